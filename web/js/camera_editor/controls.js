// Two rows of controls: what a drag does and the lens; time, undo and the keyframe here.

import { make, makeButton, setAttribute, setIcon, setWords } from "./element.js";
import { deleteKey } from "./keys.js";
import { MODES } from "./player.js";

/** @typedef {import("./editor.js").Editor} Editor */
/** @typedef {import("./picture.js").Kind} Kind */

/** @type {[Kind, string][]} */
const TOOLS = [["orbit", "Circle the target: drag"], ["truck", "Move sideways and up: Shift+drag"],
    ["turn", "Turn in place: Alt+drag"], ["roll", "Roll: Ctrl+drag"]];
const OCTAVES = 3; // that the slider zooms in and out

export class Tools {
    /** @param {Editor} editor */
    constructor(editor) {
        this.editor = editor;
        /** @type {Kind} */
        this.chosen = "orbit";
        this.buttons = TOOLS.map(([kind, words]) => makeButton(kind, words, () => {
            this.chosen = kind;
            this.draw();
        }));
        this.slider = make("input", { type: "range", min: String(-OCTAVES), max: String(OCTAVES), step: "0.01",
            title: "Lens: factor of the source's focal length. Double-click: 1", "aria-label": "Lens" });
        this.slider.addEventListener("input", () => {
            editor.hand.magnify(2 ** Number(this.slider.value));
        });
        this.slider.addEventListener("change", () => editor.hand.end());
        this.slider.addEventListener("dblclick", () => {
            editor.hand.magnify(1);
            editor.hand.end();
        });
        this.factor = make("output", { className: "ex4d-factor" });
        this.area = make("div", { className: "ex4d-row" },
            make("div", { className: "ex4d-tools", role: "group", "aria-label": "What a drag does" }, ...this.buttons),
            make("label", { className: "ex4d-lens" }, "Lens", this.slider, this.factor));
    }

    draw() {
        this.buttons.forEach((button, index) =>
            setAttribute(button, "aria-pressed", String(TOOLS[index][0] === this.chosen)));
        const { view } = this.editor;
        if (!view) return;
        const zoom = this.editor.zoomOf(view);
        this.slider.value = String(Math.log2(zoom));
        setWords(this.factor, `${zoom.toFixed(2)}×`);
    }
}

export class Transport {
    /** @param {Editor} editor */
    constructor(editor) {
        this.editor = editor;
        this.play = makeButton("play", "Play (Space)", () => editor.play());
        this.mode = makeButton("loop", "Playing", () => editor.prefer(
            { mode: MODES[(MODES.indexOf(editor.preferences.mode) + 1) % MODES.length] }));
        this.time = make("output", { className: "ex4d-time" });
        this.key = makeButton("key", "Keep this view as a keyframe (K)", () => editor.key(), "Key");
        this.key.classList.add("ex4d-keep");
        this.remove = makeButton("remove", "Delete the keyframe here (Delete)", () => this.removeHere());
        this.undo = makeButton("undo", "Undo", () => editor.undo());
        this.redo = makeButton("redo", "Redo", () => editor.redo());
        this.area = make("div", { className: "ex4d-row" },
            makeButton("before", "To the keyframe before ([)", () => editor.seekKey(-1)), this.play,
            makeButton("after", "To the next keyframe (])", () => editor.seekKey(1)), this.mode, this.time,
            this.undo, this.redo, this.remove, this.key);
    }

    removeHere() {
        const { keyHere, script } = this.editor;
        if (script && keyHere >= 0) this.editor.commit({ ...script, keys: deleteKey(script.keys, keyHere) });
    }

    draw() {
        const { editor } = this;
        const { draft, frame, frames, isReadOnly, keyHere, preferences, script, source } = editor;
        const isOn = editor.player.isOn;
        setIcon(this.play, isOn ? "pause" : "play", isOn ? "Pause (Space)" : "Play (Space)");
        setIcon(this.mode, preferences.mode, `Playing: ${preferences.mode}`);
        setWords(this.time, `${frame} / ${frames - 1}`);
        setAttribute(this.time, "title", `Frame ${frame} of ${frames - 1}; source frame ${source}`);
        this.undo.disabled = isReadOnly || !(draft || editor.history.canUndo);
        this.redo.disabled = isReadOnly || !editor.history.canRedo;
        this.remove.disabled = isReadOnly || keyHere < 0 || (script?.keys.length ?? 0) < 2;
        this.key.disabled = isReadOnly || !script;
        this.key.classList.toggle("ex4d-draft", draft !== null && keyHere < 0);
    }
}
