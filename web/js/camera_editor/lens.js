// The lens that a path starts from, and the keyframe that a moment of a path would be.

import { round } from "./keys.js";
import { TARGET } from "./gestures.js";

/** @typedef {import("./keys.js").Key} Key */
/** @typedef {import("./server.js").Scene} Scene */
/** @typedef {import("./server.js").Path} Path */
/** @typedef {import("./server.js").Moment} Moment */

/**
 * Size of the pictures to render and focal length at zoom 1, pixels, as nodes/camera.py chooses them.
 * @param {Scene} scene
 * @param {Record<string, unknown>} settings
 */
export function lensOf(scene, settings) {
    const width = Number(settings.width) || scene.source_width, height = Number(settings.height) || scene.source_height;
    const [across, along] = [width / scene.source_width, height / scene.source_height];
    const factor = settings.fit === "stretch" ? across : settings.fit === "pad" ? Math.min(across, along)
        : Math.max(across, along);
    return { width, height, focal: Number(settings.focal) || scene.focal * factor };
}

/**
 * The keyframe that a moment of a path would be, written in the way of its other keyframes.
 * @param {Moment} moment
 * @param {Path} path
 * @returns {Key}
 */
export function keyOf(moment, { circles, heads }) {
    const place = circles
        ? { yaw: round(moment.yaw, 2), pitch: round(moment.pitch, 2), distance: round(moment.distance, 4) }
        : { position: moment.position.map((share) => round(share, 4)) };
    const look_at = moment.look_at.map((share) => round(share, 4));
    const isPlain = look_at.every((share, axis) => share === TARGET[axis]);
    const roll = round(moment.roll, 2), zoom = round(moment.zoom, 4);
    return {
        frame: moment.frame, ...place,
        ...(isPlain || (heads && !circles) ? {} : { look_at }),
        ...(heads ? { pan: round(moment.pan, 2), tilt: round(moment.tilt, 2) } : {}),
        ...(roll ? { roll } : {}), ...(zoom === 1 ? {} : { zoom }),
    };
}
