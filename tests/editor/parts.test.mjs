// Laws of the smaller parts: playing, colors of the strip, lens, keyframes made of moments, one request at a time.

import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { cameraOf } from "../../web/js/camera_editor/gestures.js";
import { isWithin, judge } from "../../web/js/camera_editor/judge.js";
import { keyOf, lensOf } from "../../web/js/camera_editor/lens.js";
import { Newest } from "../../web/js/camera_editor/newest.js";
import { frameAfter, MODES } from "../../web/js/camera_editor/player.js";
import { Refusal, Server } from "../../web/js/camera_editor/server.js";

const MODULES = new URL("../../web/js/camera_editor/", import.meta.url);
const RANGE = { name: "one", yaw: [-45, 45], pitch: [-20, 30], source: "" };
const SCENE = { source_width: 640, source_height: 480, focal: 500 };

test("every module but the front end's own can be loaded alone, without a page", async () => {
    const alone = readdirSync(MODULES).filter((name) => name.endsWith(".js") && name !== "extension.js");
    assert.ok(alone.length > 10);
    for (const name of alone) await import(new URL(name, MODULES).href);
});

test("every way of playing begins where it should and stays within the path", () => {
    for (const frames of [1, 2, 49]) {
        for (const mode of MODES) {
            for (let start = 0; start < frames; start++) {
                assert.equal(frameAfter(start, 0, frames, mode), start);
                for (let passed = 0; passed < 4 * frames; passed++) {
                    const frame = frameAfter(start, passed, frames, mode);
                    assert.ok(frame === null ? mode === "once" : frame >= 0 && frame < frames);
                }
            }
        }
    }
    assert.equal(frameAfter(40, 9, 49, "once"), null);
    assert.equal(frameAfter(40, 9, 49, "loop"), 0);
    assert.equal(frameAfter(40, 9, 49, "ping-pong"), 47);
    assert.equal(frameAfter(0, 96, 49, "ping-pong"), 0);
});

test("a frame is red below the limit, yellow near it or beyond the trained angles, else green", () => {
    assert.equal(judge(0.49, 0, 0, 0.5, null), "poor");
    assert.equal(judge(0.5, 0, 0, 0.5, null), "fair");
    assert.equal(judge(0.6, 80, 0, 0.5, null), "good");
    assert.equal(judge(0.9, 80, 0, 0.5, RANGE), "fair");
    assert.equal(judge(0.3, 80, 0, 0.5, RANGE), "poor");
    for (const [yaw, pitch, within] of [[45, 30, true], [-45, -20, true], [47, 0, false], [0, -22, false], [0, 32, false]])
        assert.equal(isWithin(yaw, pitch, RANGE), within);
});

test("the lens is the node's: as the scene, cropped, padded, stretched, or the one that is set", () => {
    assert.deepEqual(lensOf(SCENE, {}), { width: 640, height: 480, focal: 500 });
    assert.equal(lensOf(SCENE, { width: 1280, height: 480, fit: "crop" }).focal, 1000);
    assert.equal(lensOf(SCENE, { width: 1280, height: 480, fit: "pad" }).focal, 500);
    assert.equal(lensOf(SCENE, { width: 320, height: 480, fit: "stretch" }).focal, 250);
    assert.equal(lensOf(SCENE, { width: 320, focal: 77 }).focal, 77);
});

test("a keyframe made of a moment is its camera, in the form of the path's others", () => {
    const key = { frame: 5, yaw: 30, pitch: -10, distance: 0.7, look_at: [0.1, 0.2, 1.1], roll: 4, zoom: 1.3 };
    const position = cameraOf(key).eye;
    const moment = { ...key, position, pan: -30, tilt: 10, eye: position, rotation: [], source: 5 };
    for (const [circles, heads] of [[true, false], [true, true], [false, false], [false, true]]) {
        const made = keyOf(moment, { circles, heads });
        assert.equal("yaw" in made, circles);
        assert.equal("pan" in made, heads);
        assert.ok(!("position" in made && "pan" in made && "look_at" in made)); // the parser refuses all three
        for (const part of ["eye", "right", "down", "forward"])
            cameraOf(made)[part].forEach((value, axis) => assert.ok(Math.abs(value - cameraOf(key)[part][axis]) < 3e-4));
    }
    const plain = keyOf({ ...moment, look_at: [0, 0, 1], roll: 0, zoom: 1 }, { circles: true, heads: false });
    assert.deepEqual(Object.keys(plain), ["frame", "yaw", "pitch", "distance"]);
});

test("while one request is on its way, all that follow are one", async () => {
    let begun = 0, done = () => {};
    const newest = new Newest(() => new Promise((resolve) => {
        begun++;
        done = resolve;
    }));
    newest.ask();
    for (let time = 0; time < 10; time++) newest.ask();
    assert.equal(begun, 1);
    for (const expected of [2, 2]) {
        done();
        await new Promise(setImmediate);
        assert.equal(begun, expected);
    }
    newest.ask();
    assert.equal(begun, 3);
});

test("every kind of failure of the server is said in a sentence", async () => {
    const reply = (status, said) => new Response(JSON.stringify(said), { status, headers: { "Content-Type": "application/json" } });
    const cases = [
        [() => Promise.reject(new TypeError("Failed to fetch")), "away", /does not answer/],
        [() => new Response("404: Not Found", { status: 404 }), "old", /Restart ComfyUI/],
        [() => new Response("oh", { status: 500 }), "refused", /500/],
        [() => reply(200, { error: "keyframe 1 (line 2): yow is unknown", reason: "keyframes" }), "keyframes", /yow/],
        [() => reply(400, { error: "frames: must be a number" }), "refused", /must be a number/],
    ];
    for (const [fetch, reason, words] of cases) {
        const refused = await new Server(async () => fetch(), "one").path({}).catch((error) => error);
        assert.ok(refused instanceof Refusal && refused.reason === reason && words.test(refused.message), reason);
    }
    const older = new Server(async () => reply(200, { version: 2, ranges: [], eases: [], moves: [] }), "one");
    await assert.rejects(older.tables(), /Reload it/);
});
