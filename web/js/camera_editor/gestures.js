// What a gesture does to a keyframe: pure arithmetic, in the units and signs of ex4d_ops/trajectory/keyframes.py.
// The picture follows the hand: what is under the pointer goes where the pointer goes.

import { round } from "./keys.js";

/** @typedef {import("./keys.js").Key} Key */
/** @typedef {number[]} Vector [x, y, z]: right, down, forward; shares of the radius */
/** @typedef {{eye: Vector, right: Vector, down: Vector, forward: Vector}} Camera as it stands in the world */

export const TARGET = [0, 0, 1]; // in front of the source camera
export const ORBIT = 90; // degrees for a drag across the picture
export const WHEEL = 0.001; // of the distance, for each pixel that a wheel turns; 100 a notch
const NEAREST = 0.01; // distance that dollies stop at
const ZOOMS = [0.1, 10];
const DEGREE = Math.PI / 180;

/**
 * The axes of a level camera that has circled its target by these angles, degrees.
 * @param {number} yaw
 * @param {number} pitch
 */
export function circle(yaw, pitch) {
    const [sinYaw, cosYaw] = [Math.sin(yaw * DEGREE), Math.cos(yaw * DEGREE)];
    const [sinPitch, cosPitch] = [Math.sin(pitch * DEGREE), Math.cos(pitch * DEGREE)];
    return {
        right: [cosYaw, 0, sinYaw],
        down: [sinPitch * sinYaw, cosPitch, -sinPitch * cosYaw],
        forward: [-sinYaw * cosPitch, sinPitch, cosYaw * cosPitch],
    };
}

/**
 * The angles at which a level camera that looks along a direction stands: circle's inverse.
 * @param {Vector} direction
 */
export function anglesOf([x, y, z]) {
    return { yaw: Math.atan2(-x, z) / DEGREE, pitch: Math.atan2(y, Math.hypot(x, z)) / DEGREE };
}

/** @param {Vector} one @param {Vector} other @param {number} [factor] */
export function add(one, other, factor = 1) {
    return one.map((value, axis) => value + factor * other[axis]);
}

/** @param {Key} key */
export function turnsInPlace(key) {
    return key.pan !== undefined || key.tilt !== undefined;
}

/** @param {Key} key @returns {Vector} what it looks at, or at least circles */
export function targetOf(key) {
    return key.look_at ?? TARGET;
}

/** @param {Key} key @returns {Camera} */
export function cameraOf(key) {
    const eye = eyeOf(key);
    const level = turnsInPlace(key) ? circle(-(key.pan ?? 0), -(key.tilt ?? 0))
        : key.position ? aim(add(targetOf(key), eye, -1)) : circle(key.yaw ?? 0, key.pitch ?? 0);
    const [sin, cos] = [Math.sin((key.roll ?? 0) * DEGREE), Math.cos((key.roll ?? 0) * DEGREE)];
    return {
        eye, forward: level.forward,
        right: level.right.map((value, axis) => cos * value + sin * level.down[axis]),
        down: level.down.map((value, axis) => cos * value - sin * level.right[axis]),
    };
}

/** @param {Vector} direction */
function aim(direction) {
    const { yaw, pitch } = anglesOf(direction);
    return circle(yaw, pitch);
}

/** @param {Key} key @returns {Vector} */
function eyeOf(key) {
    return key.position ?? add(targetOf(key), circle(key.yaw ?? 0, key.pitch ?? 0).forward, -(key.distance ?? 1));
}

/**
 * How a keyframe stands to its target: its angles and its distance, whichever way it is written.
 * @param {Key} key
 */
export function orbitOf(key) {
    if (!key.position) return { yaw: key.yaw ?? 0, pitch: key.pitch ?? 0, distance: key.distance ?? 1 };
    const toTarget = add(targetOf(key), key.position, -1);
    return { ...anglesOf(toTarget), distance: Math.hypot(...toTarget) };
}

/**
 * The keyframe after it has circled its target: degrees to the right and up. Where it turns in place it turns along.
 * @param {Key} key
 * @param {number} right
 * @param {number} up
 * @returns {Key}
 */
export function orbit(key, right, up) {
    const start = orbitOf(key);
    const yaw = start.yaw + right;
    const pitch = bound(start.pitch + up, start.pitch, key.position ? 89 : 90);
    const turned = turnsInPlace(key)
        ? { pan: angle((key.pan ?? 0) - right), tilt: angle((key.tilt ?? 0) - pitch + start.pitch) } : {};
    if (!key.position) return { ...key, yaw: angle(yaw), pitch: angle(pitch), ...turned };
    return { ...key, position: vector(add(targetOf(key), circle(yaw, pitch).forward, -start.distance)), ...turned };
}

/**
 * The keyframe at another distance from its target; where it turns in place and has no target, along its heading.
 * @param {Key} key
 * @param {number} factor
 * @returns {Key}
 */
export function dolly(key, factor) {
    const { distance } = orbitOf(key);
    const reached = Math.max(distance * factor, Math.min(distance, NEAREST));
    if (!key.position) return { ...key, distance: length(reached) };
    const { eye, forward } = cameraOf(key);
    return { ...key, position: vector(add(eye, forward, distance - reached)) };
}

/**
 * The keyframe moved without a turn, and its target with it: shares of the radius to the right and up.
 * @param {Key} key
 * @param {number} right
 * @param {number} up
 * @returns {Key}
 */
export function truck(key, right, up) {
    const camera = cameraOf(key);
    const slide = add(camera.right.map((value) => value * right), camera.down, -up);
    const moved = { ...key };
    if (key.position) moved.position = vector(add(key.position, slide));
    if (!key.position || !turnsInPlace(key)) moved.look_at = vector(add(targetOf(key), slide));
    return moved;
}

/**
 * The keyframe turned in place: degrees to the right and up.
 * @param {Key} key
 * @param {number} right
 * @param {number} up
 * @returns {Key}
 */
export function turn(key, right, up) {
    const { yaw, pitch } = orbitOf(key);
    const { pan = 0, tilt = 0 } = turnsInPlace(key) ? key : { pan: -yaw, tilt: -pitch };
    const turned = { ...key, pan: angle(pan + right), tilt: angle(bound(tilt + up, tilt, 89)) };
    if (key.position) delete turned.look_at; // there is no circle that it could be the center of
    return turned;
}

/**
 * The keyframe leant over to its right, degrees.
 * @param {Key} key
 * @param {number} right
 * @returns {Key}
 */
export function roll(key, right) {
    return { ...key, roll: angle((key.roll ?? 0) + right) };
}

/**
 * The keyframe with another lens: a factor of the focal length that it has.
 * @param {Key} key
 * @param {number} factor
 * @returns {Key}
 */
export function magnify(key, factor) {
    if (key.focal !== undefined) return { ...key, focal: round(key.focal * factor, 1) };
    return { ...key, zoom: length(Math.min(Math.max((key.zoom ?? 1) * factor, ZOOMS[0]), ZOOMS[1])) };
}

/**
 * The keyframe where it stands, but looking at a point, which it circles from now on.
 * @param {Key} key
 * @param {Vector} point
 * @returns {Key}
 */
export function aimAt(key, point) {
    const { pan, tilt, look_at, ...rest } = key;
    if (key.position) return { ...rest, look_at: vector(point) };
    const toPoint = add(point, eyeOf(key), -1);
    const { yaw, pitch } = anglesOf(toPoint);
    return { ...rest, yaw: angle(yaw), pitch: angle(pitch), distance: length(Math.hypot(...toPoint)),
        look_at: vector(point) };
}

/**
 * What a drag over the picture does to a keyframe. drag: pixels; view: width and height of the picture and its focal
 * length, pixels on the page, and from where in it the drag began.
 * @param {"orbit" | "truck" | "turn" | "roll"} kind
 * @param {Key} key as it was when the drag began
 * @param {{right: number, down: number}} drag
 * @param {{width: number, height: number, focal: number, x: number, y: number}} view
 * @returns {Key}
 */
export function applyDrag(kind, key, drag, view) {
    if (kind === "orbit") return orbit(key, -ORBIT * drag.right / view.width, ORBIT * drag.down / view.width);
    if (kind === "truck") {
        const step = orbitOf(key).distance / view.focal; // at the target a pixel of the drag is a pixel of the picture
        return truck(key, -drag.right * step, drag.down * step);
    }
    if (kind === "turn")
        return turn(key, -Math.atan2(drag.right, view.focal) / DEGREE, Math.atan2(drag.down, view.focal) / DEGREE);
    const [x, y] = [view.x - view.width / 2, view.y - view.height / 2];
    const from = Math.atan2(y, x), to = Math.atan2(y + drag.down, x + drag.right);
    return roll(key, -wrap((to - from) / DEGREE)); // clockwise in the picture: the camera leans to its left
}

/**
 * An angle as the nearest one to 0 that looks the same.
 * @param {number} degrees
 */
export function wrap(degrees) {
    return degrees - 360 * Math.round(degrees / 360);
}

/**
 * A value within a limit to either side, or no farther out than it was.
 * @param {number} value
 * @param {number} before
 * @param {number} limit
 */
function bound(value, before, limit) {
    return Math.min(Math.max(value, Math.min(before, -limit)), Math.max(before, limit));
}

/** @param {number} degrees */
function angle(degrees) {
    return round(degrees, 2);
}

/** @param {number} share */
function length(share) {
    return round(share, 4);
}

/** @param {Vector} place */
function vector(place) {
    return place.map(length);
}
