// Laws of the films that begin by themselves: whose, which, where and when.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Films, filmsOf, holdsOurs, isAt } from "../../web/js/results/films.js";

const VIEW = "http://127.0.0.1:8188/api/view?";
const FILE = { filename: "new view & more_00001_.mp4", subfolder: "ex4d", type: "output" };

class Node {
    constructor(subgraph) { this.subgraph = subgraph; }
}
class Ours extends Node { static category = "EX-4D/render"; }
class Theirs extends Node { static category = "video"; }
class Alike extends Node { static category = "EX-4Dish"; }

/** As much of a page as films need: what it shows, and what is told of changes. */
class Page {
    constructor() {
        const page = this;
        this.players = [];
        this.watching = false;
        globalThis.document = { querySelectorAll: () => page.players };
        globalThis.MutationObserver = class {
            constructor(told) { page.told = told; }
            observe() { page.watching = true; }
            disconnect() { page.watching = false; }
        };
        this.films = new Films();
    }

    change(...players) {
        this.players = players;
        if (this.watching) this.told();
    }
}

function player(file, { shown = true, played = 0, refuses = false } = {}) {
    const begun = [];
    return { src: VIEW + new URLSearchParams(file), played: { length: played }, begun, muted: false, loop: false, shown,
        getClientRects() { return this.shown ? [{}] : []; },
        play() {
            begun.push([this.muted, this.loop]);
            return refuses ? Promise.reject(new Error("refused")) : Promise.resolve();
        } };
}

test("a graph is ours wherever in it a node of ours is", () => {
    const graph = (...nodes) => ({ nodes });
    for (const [one, isOurs] of [[graph(), false], [graph(new Theirs(), new Alike(), new Node()), false],
        [graph(new Theirs(), new Ours()), true], [graph(new Theirs(graph(new Theirs(graph(new Ours()))))), true],
        [graph(new Theirs(graph(new Theirs(graph(new Theirs()))))), false]])
        assert.equal(Boolean(holdsOurs(one)), isOurs);
});

test("every film and nothing else is taken from what a node has made", () => {
    const named = (...names) => names.map((filename) => ({ filename, subfolder: "", type: "output" }));
    assert.deepEqual(filmsOf({ images: named("a.png", "b.webp", "c.MP4", "d.webm", "mp4", "e.mov", "f.mkv") }),
        named("c.MP4", "d.webm", "e.mov", "f.mkv"));
    for (const nothing of [null, undefined, {}, { images: [] }]) assert.deepEqual(filmsOf(nothing), []);
});

test("a film is known by its file, its folder and its kind of folder, in whatever order and with whatever else", () => {
    const { filename, subfolder, type } = FILE;
    const encoded = encodeURIComponent(filename);
    for (const [address, is] of [[new URLSearchParams(FILE), true], [new URLSearchParams({ type, subfolder, filename }), true],
        [`filename=${encoded}&type=output&subfolder=ex4d&rand=0.5`, true], [`filename=${encoded}&type=input&subfolder=ex4d`, false],
        [`filename=${encoded}&type=output`, false], [`filename=x${encoded}&type=output&subfolder=ex4d`, false], ["", false]])
        assert.equal(isAt(VIEW + address, FILE), is, String(address));
    assert.ok(isAt(`${VIEW}filename=a.mp4&type=output`, { filename: "a.mp4", subfolder: "", type: "output" }));
    for (const address of ["", "blob:http://127.0.0.1/1", "data:video/mp4;base64,AA"]) assert.ok(!isAt(address, FILE));
});

test("every film begins once, muted and looping, where it is shown first, and nothing is watched after that", () => {
    const page = new Page(), other = { ...FILE, filename: "other.mp4" };
    const hidden = player(FILE, { shown: false }), foreign = player({ ...FILE, type: "input" }), first = player(FILE);
    page.films.expect([]);
    assert.ok(!page.watching);
    page.films.expect([FILE]);
    page.films.expect([other]);
    page.change(foreign, hidden);
    assert.ok(page.watching);
    page.change(foreign, hidden, first, player(FILE));
    assert.ok(page.watching);
    const last = player(other);
    page.change(first, last);
    assert.ok(!page.watching);
    const later = player(FILE);
    page.change(later);
    page.told(); // a change that was under way
    assert.deepEqual([hidden, foreign, first, last, later].map(({ begun }) => begun.length), [0, 0, 1, 1, 0]);
    assert.deepEqual([first.begun, last.begun], [[[true, true]], [[true, true]]]);
});

test("a film that is on the page already begins at once, but not one that has been played", () => {
    const page = new Page(), fresh = player(FILE), paused = player(FILE, { played: 1 });
    page.players = [fresh];
    page.films.expect([FILE]);
    page.players = [paused];
    page.films.expect([FILE]);
    assert.deepEqual([fresh.begun.length, paused.begun.length, paused.muted, page.watching], [1, 0, false, false]);
});

test("the next run ends the wait, and a browser that refuses is left alone", async () => {
    const page = new Page(), unseen = player(FILE), refused = player(FILE, { refuses: true });
    page.films.expect([FILE]);
    page.films.forget();
    page.change(unseen);
    page.films.expect([FILE]);
    assert.deepEqual([unseen.begun.length, page.watching], [1, false]);
    page.players = [refused];
    page.films.expect([FILE]);
    await new Promise((resolve) => setTimeout(resolve)); // node ends a test in which a refusal is nobody's
    assert.equal(refused.begun.length, 1);
});
