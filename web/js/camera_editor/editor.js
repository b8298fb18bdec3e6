// The editor: the present text, frame and view, and what every part does to them. The text is the only state to keep.

import { History } from "./history.js";
import { findKey, frameOf, nearest, placeKey, readScript, setKey, writeScript } from "./keys.js";
import { Hand } from "./hand.js";
import { keyOf, lensOf } from "./lens.js";
import { Newest } from "./newest.js";
import { Player } from "./player.js";
import { readPreferences, writePreferences } from "./preferences.js";
import { Refusal, Server } from "./server.js";
import { Layout } from "./layout.js";

/** @typedef {import("./keys.js").Key} Key */
/** @typedef {import("./keys.js").Script} Script */

/**
 * What the node and the front end around it offer.
 * @typedef {{read: () => string, write: (text: string) => void, settings: () => Record<string, unknown>,
 *     isLinked: () => boolean, hasScene: () => boolean, run: () => void, fetch: import("./server.js").Fetch,
 *     passWheel: (event: WheelEvent) => void, passPointer: (event: PointerEvent) => void,
 *     viewer: () => Promise<{camera_info: object, model_3d_info?: object} | null>, keep: () => void, stop: () => void}} Host
 */

const FRAMES = 49; // of a path that is as long as a scene that is not known yet
const FPS = 16; // of playing, where the clip does not say
const HINT = 3000; // milliseconds that words about a single act stand over the picture
const SHARE = 5; // while a graph runs, which the machine is there for, one part of so many of the time is for pictures
const QUIET = 250; // milliseconds without a change before the coverage of a whole path is asked

export class Editor {
    /** @param {Host} host @param {HTMLElement} root what it fills until it is stopped */
    constructor(host, root) {
        this.host = host;
        this.server = new Server(host.fetch, `editor-${Math.random().toString(36).slice(2)}`);
        this.preferences = readPreferences();
        this.history = new History(host.read());
        /** @type {{text: string | null, script: Script | null}} */
        this.parsed = { text: null, script: null };
        this.frame = 0;
        /** @type {Key | null} a view that no keyframe holds yet */
        this.draft = null;
        /** @type {string | null} */
        this.sceneKey = null;
        /** @type {import("./server.js").Scene | null} */
        this.scene = null;
        /** @type {Record<string, unknown>} the settings of the last run, for inputs that are linked */
        this.ran = {};
        /** @type {string | null} the text of the last run */
        this.ranText = null;
        this.complaint = ""; // of the last run
        this.wasReadOnly = false;
        /** @type {import("./server.js").Path | null} */
        this.path = null;
        /** @type {import("./server.js").Coverage | null} */
        this.coverage = null;
        /** @type {import("./server.js").Tables | null} */
        this.tables = null;
        this.source = 0;
        this.shownPictures = 0; // for tests and timings
        this.waiting = this.hinting = 0;
        this.player = new Player((frame) => this.show(frame), () => this.layout.draw());
        this.pictures = new Newest(() => this.fetchPicture());
        this.paths = new Newest(() => this.fetchPath());
        this.coverages = new Newest(() => this.fetchCoverage());
        this.hand = new Hand(this);
        this.layout = new Layout(this, root);
        this.load();
        this.refresh();
    }

    stop() {
        this.player.stop();
        clearTimeout(this.waiting);
        clearTimeout(this.hinting);
        this.host.stop();
        this.layout.stop();
        this.sceneKey = null; // what is on its way shows nothing
    }

    async load() {
        try {
            this.tables ??= await this.server.tables();
            this.layout.draw();
        } catch (error) {
            this.refuse(error);
        }
    }

    // ---- what is so now

    get text() {
        return this.history.text;
    }

    /** @returns {Script | null} */
    get script() {
        if (this.parsed.text !== this.text) this.parsed = { text: this.text, script: readScript(this.text) };
        return this.parsed.script;
    }

    get frames() {
        return Number(this.settings().frames) || this.path?.frames || this.scene?.frames || FRAMES;
    }

    get isReadOnly() {
        return this.host.isLinked();
    }

    settings() {
        return { ...this.host.settings(), ...this.ran };
    }

    /** What the routes are asked about: the present path, or a path that rests at the view being tried. */
    asked() {
        const keyframes = this.draft
            ? writeScript({ keys: [this.draft], retime: this.script?.retime ?? [] }) : this.text;
        return { ...this.askedView(), keyframes, frame: this.frame };
    }

    /** What is asked about a view without a path. */
    askedView() {
        return { ...this.settings(), scene: this.sceneKey };
    }

    askedPath() {
        return { ...this.askedView(), keyframes: this.text };
    }

    /** The index of the keyframe at the playhead, -1 between two. */
    get keyHere() {
        return this.script ? findKey(this.script.keys, this.frame, this.frames) : -1;
    }

    get moment() {
        return nearest(this.path?.moments ?? [], ({ frame }) => frame, this.frame);
    }

    /** The view at the playhead as a keyframe: the one that is tried, the one that is there, or what the path makes. */
    get view() {
        const { draft, script, path, moment, keyHere } = this;
        if (draft || !script) return draft;
        if (keyHere >= 0) return script.keys[keyHere];
        if (path && moment) return { ...keyOf(moment, path), frame: this.frame };
        const key = nearest(script.keys, (one) => frameOf(one, this.frames), this.frame);
        return key ? placeKey(key, this.frame, this.frames) : null;
    }

    /** Size of the pictures to render and their focal length at zoom 1, pixels. */
    get lens() {
        return this.scene ? lensOf(this.scene, this.settings()) : { width: 512, height: 384, focal: 500 };
    }

    /** @param {Key} key the factor of the focal length that it stands for */
    zoomOf(key) {
        return key.focal === undefined ? key.zoom ?? 1 : key.focal / this.lens.focal;
    }

    // ---- what comes from outside

    /** The text as the node now has it: the widget's, or where that is linked the one that ran. */
    receive() {
        const isLinked = this.isReadOnly;
        const text = (isLinked ? this.ranText : null) ?? this.host.read();
        if (text === this.text && isLinked === this.wasReadOnly) return;
        if (isLinked === this.wasReadOnly) this.history.write(text);
        else this.history = new History(text);
        this.wasReadOnly = isLinked;
        this.draft = null;
        this.refresh();
    }

    /** Begin with the text that the node was opened with: there is nothing to undo. */
    open() {
        this.history = new History(this.host.read());
        this.receive();
        this.refresh();
    }

    /**
     * What a run of the node says of itself.
     * @param {import("./comfyui").Output} output
     * @param {string[]} linked names of the inputs that come from other nodes
     */
    hear(output, linked) {
        const settings = Object.entries(output.ex4d_settings?.[0] ?? {});
        this.ran = Object.fromEntries(settings.filter(([name]) => linked.includes(name)));
        this.ranText = output.ex4d_keyframes?.[0] ?? null;
        this.complaint = output.ex4d_complaint?.[0] ?? "";
        this.receive();
        this.openScene(output.ex4d_scene?.[0] ?? null);
    }

    /** @param {string | null} key */
    async openScene(key) {
        this.sceneKey = key;
        this.coverage = null;
        this.refresh();
        try {
            this.scene = key ? await this.server.scene(key) : null;
        } catch (error) {
            this.refuse(error);
        }
        this.layout.draw();
    }

    // ---- what the server is asked

    /** Everything anew, after the text, a setting or the scene has changed. */
    refresh() {
        if (this.sceneKey) {
            this.paths.ask();
            this.pictures.ask();
            clearTimeout(this.waiting);
            this.waiting = window.setTimeout(() => this.coverages.ask(), QUIET);
        } else {
            this.path = null;
            this.layout.empty();
        }
        this.layout.draw();
    }

    async fetchPicture() {
        const asked = this.asked();
        const begun = performance.now();
        let isQueued = false;
        try {
            if (!asked.scene) return;
            const { picture, coverage, source, queued } = await this.server.picture(asked);
            if (asked.scene !== this.sceneKey) return; // the scene has gone meanwhile
            isQueued = queued > 0;
            await this.layout.picture.show(picture);
            this.source = source;
            this.layout.see(coverage);
            this.shownPictures++;
        } catch (error) {
            this.refuse(error);
        } finally {
            this.layout.follow();
        }
        if (isQueued) await new Promise((done) => setTimeout(done, (SHARE - 1) * (performance.now() - begun)));
    }

    async fetchPath() {
        if (!this.sceneKey) return;
        try {
            this.path = await this.server.path(this.askedPath());
        } catch (error) {
            this.path = null;
            this.refuse(error);
        }
        this.layout.draw();
    }

    async fetchCoverage() {
        if (!this.sceneKey) return;
        try {
            this.coverage = await this.server.coverage(this.askedPath());
        } catch (error) {
            this.coverage = null;
            this.refuse(error);
        }
        this.layout.draw();
    }

    /** @param {unknown} error */
    refuse(error) {
        if (!(error instanceof Refusal)) throw error;
        if (error.reason === "stale") return;
        if (error.reason === "no scene") {
            this.sceneKey = null;
            this.layout.empty();
        } else if (error.reason === "nothing" || error.reason === "file") this.hint(error.message);
        else this.layout.say(error.message);
    }

    // ---- time

    /** @param {number} frame */
    seek(frame) {
        this.player.stop();
        this.show(frame);
    }

    /** @param {number} frame */
    show(frame) {
        if (frame !== this.frame) this.draft = null;
        this.frame = frame;
        this.history.rest();
        this.pictures.ask();
        this.layout.draw();
    }

    play() {
        if (this.player.isOn) this.player.stop();
        else this.player.play(this.frame, this.frames, this.preferences.mode, this.scene?.fps ?? FPS);
        this.layout.draw();
    }

    /** @param {-1 | 1} way */
    seekKey(way) {
        const places = this.script?.keys.map((key) => Math.round(frameOf(key, this.frames))) ?? [];
        const ahead = places.filter((place) => (place - this.frame) * way > 0);
        if (ahead.length) this.seek(way > 0 ? Math.min(...ahead) : Math.max(...ahead));
    }

    // ---- the view

    /** @param {Key} key the view to try */
    try(key) {
        this.draft = key;
        this.pictures.ask();
    }

    /** Hold the present view in a keyframe. @param {string} kind */
    key(kind = "") {
        const { script, view } = this;
        if (!script || !view || this.isReadOnly) return;
        const key = this.keyHere >= 0 || view.time !== undefined ? view : placeKey(view, this.frame, this.frames);
        this.commit({ ...script, keys: setKey(script.keys, key, this.frames) }, kind);
    }

    /** @param {Script} script @param {string} kind */
    commit(script, kind = "") {
        if (!this.refuseEdit()) this.rewrite(() => this.history.write(writeScript(script), kind));
    }

    /** @param {string} text */
    replace(text) {
        if (!this.refuseEdit()) this.rewrite(() => this.history.write(text));
    }

    /** Whether nothing can be changed here, which it says. */
    refuseEdit() {
        if (this.isReadOnly) this.hint("The keyframes come from another node, so they cannot be changed here.");
        return this.isReadOnly;
    }

    /** Words over the picture, for a while. @param {string} words */
    hint(words) {
        this.layout.say(words);
        clearTimeout(this.hinting);
        if (this.sceneKey) this.hinting = window.setTimeout(() => this.pictures.ask(), HINT);
    }

    /** @param {() => void} step of the history */
    rewrite(step) {
        step();
        this.draft = null;
        this.host.write(this.text);
        this.refresh();
    }

    undo() {
        if (this.draft) this.drop();
        else if (this.history.canUndo && !this.isReadOnly) this.rewrite(() => this.history.undo());
    }

    redo() {
        if (this.history.canRedo && !this.isReadOnly) this.rewrite(() => this.history.redo());
    }

    /** Leave the view that was tried. */
    drop() {
        this.draft = null;
        this.pictures.ask();
        this.layout.draw();
    }

    // ---- other beginnings

    /** @param {(server: Server) => Promise<{keyframes: string}>} ask */
    async startFrom(ask) {
        if (this.refuseEdit()) return;
        try {
            this.replace((await ask(this.server)).keyframes);
        } catch (error) {
            this.refuse(error);
        }
    }

    /** @param {Partial<import("./preferences.js").Preferences>} choice */
    prefer(choice) {
        this.preferences = { ...this.preferences, ...choice };
        writePreferences(this.preferences);
        this.layout.draw();
    }
}
