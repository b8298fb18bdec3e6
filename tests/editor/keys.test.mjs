// Laws of the list of keyframes and of its history.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
    copyKey, deleteKey, easeKey, EASES, findKey, frameOf, moveKey, placeKey, readScript, setKey, writeScript,
} from "../../web/js/camera_editor/keys.js";
import { History } from "../../web/js/camera_editor/history.js";

const FRAMES = 49;
const EXAMPLE = `[
  {"frame": 0},
  {"frame": 24, "yaw": 40, "pitch": 10, "ease": "ease-in-out"},
  {"frame": 48, "yaw": -20, "distance": 0.8, "zoom": 1.2}
]`;
const keysOf = (text) => readScript(text).keys;
const placesOf = (keys) => keys.map((key) => frameOf(key, FRAMES));

test("the node's default is written as it was read", () => {
    assert.equal(writeScript(readScript(EXAMPLE)), EXAMPLE);
});

test("every path is read as it was written", () => {
    const retime = [{ frame: 20, source: 20 }, { time: 0.8, source: 20.5, ease: "ease-in" }];
    const keys = [{ time: 0 }, { time: 0.5, position: [0.1, -2, 3], look_at: [0, 0, 1], roll: -5 }, { frame: 48, pan: 1, focal: 300 }];
    for (const script of [{ keys, retime: [] }, { keys, retime }, { keys: [{ frame: 3, "later field": { a: [1] } }], retime: [] }])
        assert.deepEqual(readScript(writeScript(script)), script);
});

test("every text that is not a path is none", () => {
    for (const text of ["", "[", "[]", "3", "null", "\"x\"", "{}", "[1]", "[[]]", "[null]", "{\"keys\": []}", "{\"keys\": [{}], \"retime\": 3}"])
        assert.equal(readScript(text), null, text);
});

test("a key put where another stands takes its place, else it is added in order of time", () => {
    const keys = keysOf(EXAMPLE);
    assert.deepEqual(setKey(keys, { frame: 24, yaw: 1 }, FRAMES), [keys[0], { frame: 24, yaw: 1 }, keys[2]]);
    for (const frame of [1, 23, 25, 47])
        assert.deepEqual(placesOf(setKey(keys, { frame }, FRAMES)), [0, 24, 48, frame].sort((one, other) => one - other));
});

test("every move keeps the keys in order, apart and within the path", () => {
    for (let index = 0; index < 3; index++) {
        for (let frame = -3; frame < FRAMES + 3; frame++) {
            const keys = keysOf(EXAMPLE);
            const moved = moveKey(keys, index, frame, FRAMES);
            const places = placesOf(moved);
            assert.equal(new Set(places).size, 3);
            assert.deepEqual(places, [...places].sort((one, other) => one - other));
            assert.ok(places[0] >= 0 && places[2] < FRAMES);
            assert.deepEqual(keys, keysOf(EXAMPLE)); // what was given stays
        }
    }
});

test("a key that is placed by time stays so, and stays where it is for another length", () => {
    const moved = placeKey({ time: 1, yaw: 5 }, 12, FRAMES);
    assert.deepEqual(moved, { time: 0.25, yaw: 5 });
    assert.equal(frameOf(moved, 97), 24);
    assert.equal(findKey([{ time: 0.25 }], 12, FRAMES), 0);
});

test("a copy leaves the original, and takes the place of what stood there", () => {
    const keys = keysOf(EXAMPLE);
    assert.deepEqual(copyKey(keys, 1, 30, FRAMES)[2], { ...keys[1], frame: 30 });
    assert.deepEqual(copyKey(keys, 1, 48, FRAMES), [keys[0], keys[1], { ...keys[1], frame: 48 }]);
    assert.equal(copyKey(keys, 1, 24, FRAMES), keys);
});

test("every key can be deleted but the last", () => {
    let keys = keysOf(EXAMPLE);
    keys = deleteKey(deleteKey(deleteKey(keys, 0), 0), 0);
    assert.deepEqual(placesOf(keys), [48]);
});

test("every ease is written, linear by leaving it out", () => {
    const keys = keysOf(EXAMPLE);
    for (const ease of EASES) assert.equal(easeKey(keys, 1, ease)[1].ease ?? "linear", ease);
    assert.ok(!("ease" in easeKey(keys, 1, "linear")[1]));
});

test("undo and redo go through what was written, and writing ends what could be redone", () => {
    const history = new History("0");
    for (let step = 1; step <= 50; step++) history.write(String(step));
    for (let step = 49; step >= 0; step--) assert.equal(history.undo(), String(step));
    assert.equal(history.undo(), "0");
    for (let step = 1; step <= 50; step++) assert.equal(history.redo(), String(step));
    assert.equal(history.redo(), "50");
    history.undo();
    history.write("other");
    assert.ok(!history.canRedo);
    assert.equal(history.undo(), "49");
});

test("steps of one kind in a row are one step, until something comes between", () => {
    const history = new History("0");
    history.write("1", "wheel");
    history.write("2", "wheel");
    history.rest();
    history.write("3", "wheel");
    history.write("4");
    history.write("4");
    assert.deepEqual([history.undo(), history.undo(), history.undo(), history.canUndo], ["3", "2", "0", false]);
});

test("a history does not grow without end", () => {
    const history = new History("0");
    for (let step = 1; step <= 1000; step++) history.write(String(step));
    assert.equal(history.text, "1000");
    assert.equal(history.texts.length, 200);
});
