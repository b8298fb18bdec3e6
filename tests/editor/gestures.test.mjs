// Laws of gestures: each changes the right numbers, by the right amount, and the picture follows the hand.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
    aimAt, applyDrag, cameraOf, dolly, magnify, orbit, orbitOf, roll, targetOf, truck, turn, wrap,
} from "../../web/js/camera_editor/gestures.js";

const FORMS = [
    { frame: 7 },
    { frame: 7, yaw: 35, pitch: -20, distance: 0.6, roll: 8, zoom: 1.5 },
    { time: 0.5, yaw: -50, pitch: 30, look_at: [0.3, -0.2, 1.4] },
    { frame: 7, yaw: 15, pan: -4, tilt: 9 },
    { frame: 7, yaw: 15, look_at: [0.2, 0.1, 1.3], pan: -4, tilt: 9, roll: -12 },
    { frame: 7, position: [0.4, -0.3, -0.2] },
    { frame: 7, position: [0.4, -0.3, -0.2], look_at: [0.1, 0, 2], roll: 20 },
    { frame: 7, position: [0.4, -0.3, -0.2], pan: 25, tilt: -5, focal: 300 },
];
const VIEW = { width: 400, height: 300, focal: 420, x: 300, y: 150 };
const near = (one, other, slack, words) => [one].flat(3).forEach((value, index) =>
    assert.ok(Math.abs(value - [other].flat(3)[index]) <= slack, `${words ?? ""} ${value} for ${[other].flat(3)[index]}`));
const dot = (one, other) => one.reduce((sum, value, axis) => sum + value * other[axis], 0);
const minus = (one, other) => one.map((value, axis) => value - other[axis]);

/** Where a point of the world stands in the picture, pixels from its center. */
function project(key, point) {
    const { eye, right, down, forward } = cameraOf(key);
    const from = minus(point, eye), depth = dot(from, forward);
    return [(VIEW.focal * dot(from, right)) / depth, (VIEW.focal * dot(from, down)) / depth];
}

test("every camera is a right-handed frame", () => {
    for (const key of FORMS) {
        const { right, down, forward } = cameraOf(key);
        const rows = [right, down, forward];
        near(rows.map((one) => rows.map((other) => dot(one, other))), [1, 0, 0, 0, 1, 0, 0, 0, 1], 1e-12);
        near([right[1] * down[2] - right[2] * down[1], right[2] * down[0] - right[0] * down[2],
            right[0] * down[1] - right[1] * down[0]], forward, 1e-12);
    }
});

test("every gesture keeps what it does not change, and what it was given", () => {
    const gestures = [(key) => orbit(key, 3, 2), (key) => dolly(key, 1.1), (key) => truck(key, 0.1, 0.2),
        (key) => turn(key, 3, 2), (key) => roll(key, 5), (key) => magnify(key, 1.1), (key) => aimAt(key, [0, 0.2, 1])];
    for (const key of FORMS) {
        for (const gesture of gestures) {
            const before = JSON.stringify(key), after = gesture(key);
            assert.equal(JSON.stringify(key), before);
            assert.deepEqual([after.frame, after.time, after.ease], [key.frame, key.time, key.ease]);
            assert.equal("position" in after, "position" in key); // its kind of place stays, and so the path's
        }
    }
});

test("a plain drag circles: 90 degrees for the picture's width, the scene under the pointer goes with it", () => {
    for (const key of FORMS) {
        const turned = applyDrag("orbit", key, { right: 40, down: 20 }, VIEW);
        const [before, after] = [orbitOf(key), orbitOf(turned)];
        near(after.yaw - before.yaw, -9, 0.02);
        near(after.pitch - before.pitch, 4.5, 0.02);
        near(after.distance, before.distance, 1e-3);
        near(targetOf(turned), targetOf(key), 0);
        if (key.pan === undefined) near(project(turned, targetOf(key)), [0, 0], 0.3);
    }
});

test("a drag cannot turn the picture over, and takes back nothing that is over already", () => {
    near(orbit({ pitch: 80 }, 0, 30).pitch, 90, 0);
    near(orbit({ pitch: 120 }, 0, -5).pitch, 115, 0);
    near(orbit({ pitch: 120 }, 0, 5).pitch, 120, 0);
    assert.ok(orbitOf(orbit({ position: [0, 0, 0] }, 0, 500)).pitch < 90);
});

test("a drag that moves takes the target along with the pointer, pixel by pixel", () => {
    for (const key of FORMS) {
        if (key.pan !== undefined) continue; // there the target is not in the center
        const moved = applyDrag("truck", key, { right: 30, down: -50 }, VIEW);
        near(minus(project(moved, targetOf(key)), project(key, targetOf(key))), [30, -50], 0.1);
        near(cameraOf(moved).forward, cameraOf(key).forward, 1e-3);
    }
});

test("a drag that turns in place takes the center along with the pointer, and stays where it is", () => {
    for (const key of FORMS) {
        const level = { ...key, roll: 0 };
        const { eye, forward } = cameraOf(level);
        const turned = applyDrag("turn", level, { right: 30, down: 0 }, VIEW);
        near(cameraOf(turned).eye, eye, 1e-9);
        const ahead = eye.map((value, axis) => value + forward[axis]);
        if (Math.abs(orbitOf(level).pitch) < 1 && !level.tilt) near(project(turned, ahead), [30, 0], 0.1);
        near(applyDrag("turn", { frame: 0 }, { right: -42, down: 42 }, VIEW).pan, 5.71, 0.005);
        near(applyDrag("turn", { frame: 0 }, { right: -42, down: 42 }, VIEW).tilt, 5.71, 0.005);
    }
});

test("the first turn in place begins at the heading that is there", () => {
    for (const key of FORMS) near(cameraOf(turn(key, 0, 0)).forward, cameraOf(key).forward, 2e-4);
});

test("a drag around the center rolls, the picture with the pointer", () => {
    for (const key of FORMS) {
        const rolled = applyDrag("roll", key, { right: -100, down: 100 }, VIEW); // from 3 o'clock to 6
        near(rolled.roll - (key.roll ?? 0), -90, 1e-9);
        const point = cameraOf(key).eye.map((value, axis) => value + cameraOf(key).forward[axis] + 0.1 * cameraOf(key).right[axis]);
        near(project(rolled, point), [project(key, point)[1], project(key, point)[0]].map((value, axis) => (axis ? value : -value)), 0.1);
    }
});

test("a dolly scales the distance and stops before the target", () => {
    for (const key of FORMS) {
        const closer = dolly(key, 0.5);
        if (key.pan === undefined) {
            near(orbitOf(closer).distance, orbitOf(key).distance / 2, 1e-3);
            near(cameraOf(closer).forward, cameraOf(key).forward, 1e-3);
        }
        let last = key;
        for (let step = 0; step < 100; step++) last = dolly(last, 0.5);
        if (key.pan === undefined) assert.ok(orbitOf(last).distance > 0.005);
    }
});

test("a lens multiplies the number that the key has", () => {
    assert.equal(magnify({ zoom: 1.5 }, 2).zoom, 3);
    assert.equal(magnify({}, 2).zoom, 2);
    assert.deepEqual(magnify({ focal: 300 }, 2), { focal: 600 });
});

test("every camera aimed at a point stands where it stood and sees the point in the center", () => {
    const point = [0.4, 0.3, 1.7];
    for (const key of FORMS) {
        const aimed = aimAt(key, point);
        near(cameraOf(aimed).eye, cameraOf(key).eye, 5e-4);
        near(project(aimed, point), [0, 0], 0.3);
        assert.deepEqual(targetOf(aimed), point);
        near(project(orbit(aimed, 20, 5), point), [0, 0], 0.3, "and circles it");
    }
});

test("angles wrap to the nearest", () => {
    near([190, -190, 10, 530].map(wrap), [-170, 170, 10, 170], 1e-9);
});
