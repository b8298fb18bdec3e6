// The editor on the page: the picture, rows of controls below it, the time line and one open panel.

import { Tools, Transport } from "./controls.js";
import { make, setWords } from "./element.js";
import { cameraOf, dolly, orbit, roll, targetOf, truck, turn, turnsInPlace } from "./gestures.js";
import { importFile } from "./files.js";
import { copyKey, deleteKey, EASES, easeKey, frameOf, moveKey } from "./keys.js";
import { PANELS } from "./panels.js";
import { PictureArea } from "./picture.js";
import { Timeline } from "./timeline.js";
import { Views } from "./views.js";

/** @typedef {import("./editor.js").Editor} Editor */

const STEPS = { angle: 1, share: 0.02, factor: 1.05 }; // of a key press: degrees, radii, distance

export class Layout {
    /** @param {Editor} editor @param {HTMLElement} root */
    constructor(editor, root) {
        this.editor = editor;
        this.root = root;
        this.listening = new AbortController();
        this.following = 0;
        this.tools = new Tools(editor);
        this.transport = new Transport(editor);
        this.isPointerInside = false;
        this.isFocusedByPointer = false;
        const { hand } = editor;
        this.picture = new PictureArea({
            begin: () => hand.begin(), end: () => hand.end(), drag: (kind, drag, from) => hand.drag(kind, drag, from),
            pinch: (factor, drag) => hand.pinch(factor, drag), wheel: (pixels) => hand.wheel(pixels),
            aim: (x, y, all) => hand.aim(x, y, all), tool: () => this.tools.chosen,
            passWheel: (event) => editor.host.passWheel(event), passPointer: (event) => editor.host.passPointer(event),
        });
        this.timeline = new Timeline({
            seek: (frame) => editor.seek(frame),
            move: (index, frame) => this.edit((keys) => moveKey(keys, index, frame, editor.frames), frame),
            copy: (index, frame) => this.edit((keys) => copyKey(keys, index, frame, editor.frames), frame),
            remove: (index) => this.edit((keys) => deleteKey(keys, index)),
            ease: (index) => this.edit((keys) => easeKey(keys, index,
                EASES[(EASES.indexOf(keys[index].ease ?? "linear") + 1) % EASES.length])),
        });
        this.views = new Views();
        this.panel = make("div", { className: "ex4d-panel" });
        this.tabs = make("div", { className: "ex4d-tabs", role: "tablist" }, ...Object.entries(PANELS).map(
            ([name, { title }]) => make("button", { type: "button", role: "tab", id: tabId(editor, name), onclick: () =>
                editor.prefer({ panel: name === editor.preferences.panel ? "" : name }) }, title)));
        root.replaceChildren(this.picture.area, this.tools.area, this.transport.area, this.timeline.area, this.tabs,
            this.panel);
        this.listen();
        this.timeline.resized.observe(this.timeline.area);
        this.views.resized.observe(this.views.area);
    }

    stop() {
        this.listening.abort();
        cancelAnimationFrame(this.following);
        this.timeline.resized.disconnect();
        this.views.resized.disconnect();
        this.root.replaceChildren();
    }

    // ---- edits of the list

    /** @param {(keys: import("./keys.js").Key[]) => import("./keys.js").Key[]} change @param {number} [frame] to go to */
    edit(change, frame) {
        const { script } = this.editor;
        if (!script) return;
        if (frame !== undefined) this.editor.frame = Math.min(Math.max(frame, 0), this.editor.frames - 1);
        this.editor.commit({ ...script, keys: change(script.keys) });
    }

    // ---- keys and focus

    listen() {
        const { root } = this;
        const { signal } = this.listening;
        /** @type {<Kind extends keyof HTMLElementEventMap>(kind: Kind, act: (event: HTMLElementEventMap[Kind]) => void) => void} */
        const on = (kind, act) => root.addEventListener(kind, act, { signal });
        document.addEventListener("pointerdown", (event) => this.leave(event), { capture: true, signal });
        for (const kind of ["touchstart", "touchmove", "touchend", "touchcancel"]) // with which ComfyUI zooms the graph
            document.addEventListener(kind, (event) => this.holds(event) && event.stopPropagation(),
                { capture: true, passive: true, signal });
        on("pointerenter", () => {
            this.isPointerInside = true;
            this.editor.receive();
        });
        on("pointerleave", () => (this.isPointerInside = false));
        on("pointerdown", (event) => {
            this.isFocusedByPointer = true;
            if (!event.button) event.stopPropagation();
        });
        on("focusin", () => this.editor.receive());
        on("focusout", (event) => {
            if (!root.contains(/** @type {Node | null} */ (event.relatedTarget))) this.isFocusedByPointer = false;
        });
        on("keydown", (event) => this.press(event));
        on("dragover", (event) => {
            event.preventDefault();
            event.stopPropagation();
        });
        on("drop", (event) => {
            event.preventDefault();
            event.stopPropagation();
            const file = event.dataTransfer?.files[0];
            if (file) importFile(this.editor, file);
        });
    }

    /** A press elsewhere takes the focus away, and with it the keys. @param {PointerEvent} event */
    leave(event) {
        const focused = /** @type {HTMLElement | null} */ (document.activeElement);
        if (!this.holds(event) && this.root.contains(focused)) focused?.blur();
    }

    /** Whether something happens inside. @param {Event} event */
    holds(event) {
        return this.root.contains(/** @type {Node} */ (event.target));
    }

    /** @param {KeyboardEvent} event */
    press(event) {
        const isForPage = (event.ctrlKey || event.metaKey) && !event.key.startsWith("Arrow");
        if (isForPage) this.editor.host.keep(); // ComfyUI's undo may follow
        if (isForPage || (this.isFocusedByPointer && !this.isPointerInside)) return;
        event.stopPropagation();
        if (event.defaultPrevented) return;
        const { target } = event;
        if (target instanceof HTMLInputElement || target instanceof HTMLSelectElement) return;
        if (target instanceof HTMLButtonElement && (event.key === " " || event.key === "Enter")) return;
        const moves = target === this.picture.area ? this.moves(event) : {};
        const act = this.shortcuts()[event.key] ?? moves[event.key];
        if (!act) return;
        event.preventDefault();
        act();
    }

    /** @returns {Record<string, () => void>} */
    shortcuts() {
        const { editor } = this;
        const step = (/** @type {number} */ by) => () =>
            editor.seek(Math.min(Math.max(editor.frame + by, 0), editor.frames - 1));
        return { "k": () => editor.key(), " ": () => editor.play(), ",": step(-1), ".": step(1),
            "[": () => editor.seekKey(-1), "]": () => editor.seekKey(1), "Escape": () => editor.drop(), "Delete": () => this.transport.removeHere() };
    }

    /** @param {KeyboardEvent} event @returns {Record<string, () => void>} */
    moves({ shiftKey, altKey, ctrlKey }) {
        const { angle, share, factor } = STEPS;
        const { hand } = this.editor;
        const move = (/** @type {number} */ right, /** @type {number} */ up) => () => hand.nudge("step", (key) =>
            shiftKey ? truck(key, right * share, up * share) : altKey ? turn(key, right * angle, up * angle)
                : ctrlKey ? roll(key, right * angle) : orbit(key, right * angle, up * angle));
        const near = (/** @type {number} */ by) => () => hand.nudge("step", (key) => dolly(key, by));
        return { ArrowLeft: move(-1, 0), ArrowRight: move(1, 0), ArrowUp: move(0, 1), ArrowDown: move(0, -1),
            "+": near(1 / factor), "=": near(1 / factor), "-": near(factor) };
    }

    // ---- drawing

    /** What the picture shows is seen by this share. @param {number} share */
    see(share) {
        this.say("");
        setWords(this.picture.seen, `${Math.round(100 * share)} % seen`);
    }

    /** @param {string} words */
    say(words) {
        this.picture.say(words);
    }

    /** Words in place of a picture that is not there yet. */
    empty() {
        const { host, script, complaint } = this.editor;
        this.picture.clear();
        this.picture.seen.textContent = "";
        if (!script) return this.picture.say("The keyframes are not a JSON list of keyframes. Mend the text, or undo.");
        if (!host.hasScene()) return this.picture.say("Connect depth or a mesh to scene to see the picture.");
        this.picture.say(complaint || "Run this node to see the picture.", { label: "Run", act: () => host.run() });
    }

    draw() {
        const { editor } = this;
        const { script, draft, preferences, isReadOnly } = editor;
        this.timeline.draw({
            script, frames: editor.frames, frame: editor.frame, isDraft: draft !== null, readOnly: isReadOnly,
            coverage: editor.coverage, isStale: false, limit: preferences.limit,
            range: editor.tables?.ranges.find(({ name }) => name === preferences.range) ?? null,
            sources: editor.path?.moments ?? [], clip: editor.scene?.frames ?? 0,
        });
        this.root.classList.toggle("ex4d-read-only", isReadOnly);
        this.drawTabs();
        this.drawView();
    }

    drawTabs() {
        const { editor } = this;
        const open = editor.preferences.panel;
        for (const tab of this.tabs.children) tab.setAttribute("aria-selected", String(tab.id === tabId(editor, open)));
        this.panel.hidden = !(open in PANELS);
        if (open in PANELS) PANELS[open].draw(this.panel, editor);
    }

    /** Draw what changes with the view that is tried, once before the page is drawn again: with its picture. */
    follow() {
        this.following ||= requestAnimationFrame(() => this.drawView());
    }

    drawView() {
        cancelAnimationFrame(this.following);
        this.following = 0;
        const { view } = this.editor;
        this.drawViews(); // which reads sizes, before anything is written
        this.tools.draw();
        this.transport.draw();
        setWords(this.picture.readout, view ? describe(view) : "");
    }

    drawViews() {
        const { editor } = this;
        if (!this.views.area.isConnected) return;
        const { view, scene, path, moment, draft, lens } = editor;
        const radius = path?.radius ?? scene?.radius ?? 1;
        const tried = draft ? standOf(draft, radius) : moment;
        this.views.draw({ scene, path, camera: tried ?? null, source: editor.source, lens: view
            ? lens.width / (2 * lens.focal * editor.zoomOf(view)) : 0.5,
            keys: editor.script?.keys.map((key) => Math.round(frameOf(key, editor.frames))) ?? [],
            target: view ? targetOf(view).map((share) => share * radius) : null });
    }
}

/** @param {Editor} editor @param {string} panel */
function tabId(editor, panel) {
    return `ex4d-${editor.server.editor}-${panel}`;
}

/** @param {import("./keys.js").Key} key @param {number} radius */
function standOf(key, radius) {
    const { eye, right, down, forward } = cameraOf(key);
    return { eye: eye.map((share) => share * radius), rotation: [...right, ...down, ...forward] };
}

/** A view in numbers. @param {import("./keys.js").Key} key */
function describe(key) {
    const turned = turnsInPlace(key) ? [`pan ${key.pan ?? 0}°`, `tilt ${key.tilt ?? 0}°`] : [];
    const place = key.position ? [`position ${key.position.join(", ")}`]
        : [`yaw ${key.yaw ?? 0}°`, `pitch ${key.pitch ?? 0}°`, `distance ${key.distance ?? 1}`];
    return [...place, ...turned, ...(key.roll ? [`roll ${key.roll}°`] : [])].join("  ");
}
