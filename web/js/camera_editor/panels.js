// The panels below the time line, one of them open at a time.

import { make, makeButton, makeChoice, makeNumber } from "./element.js";
import { turnsInPlace } from "./gestures.js";
import { EASES, deleteKey, easeKey, frameOf, moveKey } from "./keys.js";
import { NEAR } from "./judge.js";
import { exportText, importFile, takeView } from "./files.js";

/** @typedef {import("./editor.js").Editor} Editor */
/** @typedef {import("./keys.js").Key} Key */

/** @type {Record<string, {title: string, draw: (panel: HTMLElement, editor: Editor) => void}>} */
export const PANELS = {
    views: { title: "Views", draw: drawViews },
    keys: { title: "Keyframes", draw: drawKeys },
    source: { title: "Source time", draw: drawSource },
    paths: { title: "Presets and files", draw: drawPaths },
    coverage: { title: "Coverage", draw: drawCoverage },
};

/** Put content into the panel, unless it shows just that already; the field that has the focus keeps it.
 * @param {HTMLElement} panel @param {string} state @param {() => (Node | string)[]} fill */
function fill(panel, state, fill) {
    if (panel.dataset.state === state) return;
    const fields = () => [...panel.querySelectorAll("input, select, button")];
    const focused = fields().indexOf(/** @type {Element} */ (document.activeElement));
    panel.dataset.state = state;
    panel.replaceChildren(...fill());
    if (focused >= 0) /** @type {HTMLElement | undefined} */ (fields()[focused])?.focus({ preventScroll: true });
}

/** @param {HTMLElement} panel @param {Editor} editor */
function drawViews(panel, editor) {
    fill(panel, "views", () => [editor.layout.views.area]);
}

// ---- keyframes in numbers

/** @param {HTMLElement} panel @param {Editor} editor */
function drawKeys(panel, editor) {
    const { text, frames, keyHere, isReadOnly } = editor;
    fill(panel, JSON.stringify(["keys", text, frames, keyHere, isReadOnly]), () => {
        const { script } = editor;
        if (!script) return [make("p", {}, "The text is not a list of keyframes.")];
        const rows = script.keys.map((key, index) => makeRow(editor, key, index, index === keyHere));
        return [make("div", { className: "ex4d-keys" }, ...rows)];
    });
}

/** @param {Editor} editor @param {Key} key @param {number} index @param {boolean} isHere */
function makeRow(editor, key, index, isHere) {
    const { frames } = editor;
    const change = (/** @type {(keys: Key[]) => Key[]} */ edit) => {
        const { script } = editor;
        if (script) editor.commit({ ...script, keys: edit(script.keys) });
    };
    const set = (/** @type {Partial<Key>} */ fields) =>
        change((keys) => keys.map((one, other) => (other === index ? { ...one, ...fields } : one)));
    const number = (/** @type {keyof Key} */ field, /** @type {number} */ rest, /** @type {number} */ step) =>
        makeNumber(field, Number(key[field] ?? rest), (value) => set({ [field]: value }), { step });
    const vector = (/** @type {"position" | "look_at"} */ field, /** @type {string} */ sign) =>
        ["x", "y", "z"].map((axis, place) => makeNumber(`${sign}${axis}`, (key[field] ?? [])[place] ?? 0, (value) =>
            set({ [field]: (key[field] ?? [0, 0, 1]).map((old, other) => (other === place ? value : old)) }),
        { step: 0.01, words: `${field} ${axis}, multiples of the radius` }));
    const cells = [
        makeNumber("frame", Math.round(100 * frameOf(key, frames)) / 100,
            (value) => {
                change((keys) => moveKey(keys, index, value, frames));
                editor.seek(Math.min(Math.max(Math.round(value), 0), frames - 1));
            }),
        ...(key.position ? vector("position", "") : [number("yaw", 0, 1), number("pitch", 0, 1), number("distance", 1, 0.05)]),
        ...(key.look_at ? vector("look_at", "target ") : []),
        ...(turnsInPlace(key) ? [number("pan", 0, 1), number("tilt", 0, 1)] : []),
        number("roll", 0, 1),
        key.focal === undefined ? number("zoom", 1, 0.05) : number("focal", 0, 5),
        makeChoice("Ease of the way to the next keyframe", EASES, key.ease ?? "linear",
            (ease) => change((keys) => easeKey(keys, index, ease))),
        makeButton("remove", `Delete the keyframe at frame ${Math.round(frameOf(key, frames))}`,
            () => change((keys) => deleteKey(keys, index))),
    ];
    const row = make("fieldset", { className: isHere ? "ex4d-here" : "", disabled: editor.isReadOnly }, ...cells);
    row.addEventListener("focusin", () => {
        const frame = Math.round(frameOf(key, frames));
        if (frame !== editor.frame) editor.seek(frame);
    });
    return row;
}

// ---- the source's time

/** @param {HTMLElement} panel @param {Editor} editor */
function drawSource(panel, editor) {
    const { text, frame, frames, isReadOnly } = editor;
    fill(panel, JSON.stringify(["source", text, frame, frames, isReadOnly]), () => {
        const { script } = editor;
        if (!script) return [make("p", {}, "The text is not a list of keyframes.")];
        const set = (/** @type {import("./keys.js").Hold[]} */ retime) => editor.commit({ ...script, retime });
        const rows = script.retime.map((point, index) => make("fieldset", { disabled: isReadOnly },
            makeNumber("frame", frameOf(point, frames), (value) => set(script.retime.map((one, other) =>
                (other === index ? { ...one, frame: Math.round(value) } : one)))),
            makeNumber("shows source frame", point.source, (value) => set(script.retime.map((one, other) =>
                (other === index ? { ...one, source: value } : one)))),
            makeChoice("Ease of the way to the next point", EASES, point.ease ?? "linear", (ease) =>
                set(easeKey(script.retime, index, ease))),
            makeButton("remove", "Delete this point", () => set(script.retime.filter((_, other) => other !== index)))));
        return [
            make("p", {}, script.retime.length ? "Between two points the clip runs from one source frame to the other."
                : "The clip plays at its own speed."),
            make("fieldset", { disabled: isReadOnly },
                makeButton("hold", "Hold the present source frame for 12 frames, then play on", () =>
                    set(holdFrom(script.retime, editor, 12)), "Hold here"),
                makeButton("hold", "Show the present source frame from beginning to end (bullet time)", () =>
                    set([0, Math.max(frames - 1, 1)].map((end) => ({ frame: end, source: editor.source }))),
                "Hold throughout"),
                makeButton("play", "Play the clip at its own speed", () => set([]), "Play normally")),
            ...rows];
    });
}

/** @param {import("./keys.js").Hold[]} retime @param {Editor} editor @param {number} length */
function holdFrom(retime, { frame, frames, source }, length) {
    const end = Math.min(frame + length, frames - 1);
    const others = retime.filter((point) => point.frame === undefined || point.frame < frame || point.frame > end);
    return [...others, { frame, source }, ...(end > frame ? [{ frame: end, source }] : [])]
        .sort((one, other) => frameOf(one, frames) - frameOf(other, frames));
}

// ---- presets and files

/** @param {HTMLElement} panel @param {Editor} editor */
function drawPaths(panel, editor) {
    const moves = editor.tables?.moves ?? [];
    fill(panel, JSON.stringify(["paths", moves.length, editor.isReadOnly]), () => {
        const numbers = make("div", { className: "ex4d-numbers" });
        const help = make("p", {});
        /** @type {Record<string, number>} */
        const values = {};
        const choice = makeChoice("Camera move", moves.map(({ name }) => name), "orbit", () => choose());
        const choose = () => {
            const move = moves.find(({ name }) => name === choice.value);
            for (const name of Object.keys(values)) delete values[name];
            const draw = () => numbers.replaceChildren(...(move?.parameters ?? []).map((parameter) => makeNumber(
                parameter.name, values[parameter.name] ?? parameter.default, (value) => {
                    values[parameter.name] = Math.min(Math.max(value, parameter.low), parameter.high);
                    draw();
                }, { step: parameter.unit === "degrees" ? 5 : 0.1, words: `${parameter.help} (${parameter.unit})` })));
            draw();
            help.textContent = move?.help ?? "";
        };
        choose();
        const text = () => choice.value + (Object.keys(values).length
            ? `:${Object.entries(values).map(([name, value]) => `${name}=${value}`).join(",")}` : "");
        return [make("fieldset", { disabled: editor.isReadOnly }, choice, numbers,
            makeButton("", "Replace the keyframes with this move", () => editor.startFrom((server) => server.preset(
                { move: text(), frames: editor.frames, smooth: editor.settings().smooth !== false })), "Use"), help),
        ...makeFiles(editor)];
    });
}

/** @param {Editor} editor */
function makeFiles(editor) {
    const pick = make("input", { type: "file", hidden: true });
    pick.onchange = () => {
        if (pick.files?.[0]) importFile(editor, pick.files[0]);
        pick.value = "";
    };
    return [make("fieldset", {},
        makeButton("", "Open a camera file of any known format; it may also be dropped on the picture",
            () => pick.click(), "Open camera file"), pick,
        makeButton("", "Take the view of ComfyUI's 3D viewer at this frame", () => takeView(editor),
            "Take view of 3D viewer"),
        makeButton("", "Save the keyframes as a JSON file", () => exportText(editor), "Save JSON"))];
}

// ---- coverage

/** @param {HTMLElement} panel @param {Editor} editor */
function drawCoverage(panel, editor) {
    const { preferences, tables, coverage } = editor;
    fill(panel, JSON.stringify(["coverage", preferences, tables !== null, coverage?.coverage]), () => {
        const any = "any generator", ranges = tables?.ranges.map(({ name }) => name) ?? [];
        const least = coverage ? coverage.coverage.indexOf(Math.min(...coverage.coverage)) : -1;
        const frame = coverage?.frames[least] ?? 0;
        return [
            make("div", { className: "ex4d-numbers" },
                makeNumber("At least seen, %", Math.round(100 * preferences.limit), (value) =>
                    editor.prefer({ limit: Math.min(Math.max(value, 0), 100) / 100 }), { step: 5 }),
                makeChoice("Generator whose trained angles count", [any, ...ranges],
                    preferences.range || any, (name) => editor.prefer({ range: name === any ? "" : name }))),
            make("p", {}, `Green: more than ${Math.round(100 * (preferences.limit + NEAR))} % of the picture is seen in `
                + "the source. Yellow: close to the limit, or beyond the angles that the generator was trained on. "
                + "Red: below the limit."),
            ...(coverage ? [makeButton("", "Go to the frame of which least is seen", () => editor.seek(frame),
                `Least: ${Math.round(100 * coverage.coverage[least])} % at frame ${frame}`)] : [])];
    });
}
