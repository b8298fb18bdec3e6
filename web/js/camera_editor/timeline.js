// The time line: playhead, keyframes, eases of the ways between them, coverage of every frame, and the source below.

import { frameOf } from "./keys.js";
import { judge } from "./judge.js";
import { make } from "./element.js";

/** @typedef {import("./keys.js").Script} Script */
/** @typedef {import("./server.js").Coverage} Coverage */
/** @typedef {import("./server.js").Range} Range */

/**
 * What the time line shows. sources: the source frame that each frame shows, of some frames.
 * @typedef {{script: Script | null, frames: number, frame: number, isDraft: boolean, readOnly: boolean,
 *     coverage: Coverage | null, isStale: boolean, limit: number, range: Range | null,
 *     sources: {frame: number, source: number}[], clip: number}} Shown
 */

/**
 * @typedef {{seek: (frame: number) => void, move: (index: number, frame: number) => void,
 *     copy: (index: number, frame: number) => void, remove: (index: number) => void,
 *     ease: (index: number) => void}} Actions
 */

const EASE_SIGNS = { "linear": "—", "ease-in": "╯", "ease-out": "╭", "ease-in-out": "∫" };

export class Timeline {
    /** @param {Actions} actions */
    constructor(actions) {
        this.actions = actions;
        this.frames = 1;
        this.state = ""; // of the marks
        this.strip = make("canvas", { className: "ex4d-strip", role: "img" });
        this.track = make("div", { className: "ex4d-track" });
        this.source = make("canvas", { className: "ex4d-source", role: "img" });
        this.head = make("div", { className: "ex4d-head" });
        this.lane = make("div", { className: "ex4d-lane" }, this.strip, this.track, this.source, this.head);
        this.area = make("div", { className: "ex4d-timeline", tabIndex: 0, role: "slider", "aria-label": "Frame",
            "aria-valuemin": 0 }, this.lane);
        /** @type {Shown | null} */
        this.shown = null;
        this.area.addEventListener("pointerdown", (event) => this.scrub(event));
        this.area.addEventListener("keydown", (event) => this.step(event));
        this.resized = new ResizeObserver(() => this.shown && this.paint(this.shown));
    }

    /** @param {Shown} shown */
    draw(shown) {
        this.shown = shown;
        this.frames = shown.frames;
        this.area.setAttribute("aria-valuemax", String(shown.frames - 1));
        this.area.setAttribute("aria-valuenow", String(shown.frame));
        this.area.setAttribute("aria-valuetext", `Frame ${shown.frame} of ${shown.frames - 1}`);
        this.head.style.left = this.place(shown.frame);
        this.head.classList.toggle("ex4d-draft", shown.isDraft);
        this.placeKeys(shown);
        this.paint(shown);
    }

    /** @param {number} frame */
    place(frame) {
        return `${(100 * (frame + 0.5)) / this.frames}%`;
    }

    /** @param {PointerEvent} event */
    frameAt(event) {
        const box = this.lane.getBoundingClientRect();
        const frame = Math.floor(((event.clientX - box.left) / box.width) * this.frames);
        return Math.min(Math.max(frame, 0), this.frames - 1);
    }

    /** @param {PointerEvent} event */
    scrub(event) {
        if (event.button || event.target instanceof HTMLButtonElement) return;
        follow(this.area, event, (at) => this.actions.seek(this.frameAt(at)));
        this.actions.seek(this.frameAt(event));
    }

    /** @param {KeyboardEvent} event */
    step(event) {
        if (event.target !== this.area || !this.shown) return;
        const { frame } = this.shown;
        const to = { ArrowLeft: frame - 1, ArrowRight: frame + 1, PageUp: frame - 10, PageDown: frame + 10, Home: 0,
            End: this.frames - 1 }[event.key];
        if (to === undefined) return;
        event.preventDefault();
        this.actions.seek(Math.min(Math.max(to, 0), this.frames - 1));
    }

    /** New marks where the keyframes have changed; those that stand stay, for a hand may hold them. @param {Shown} shown */
    placeKeys({ script, frames, frame, readOnly }) {
        const keys = script?.keys ?? [];
        const places = keys.map((key) => frameOf(key, frames));
        const state = JSON.stringify([places, keys.map(({ ease }) => ease), frames, readOnly]);
        if (state !== this.state) {
            this.state = state;
            const focused = [...this.track.children].indexOf(/** @type {Element} */ (document.activeElement));
            this.track.replaceChildren(...places.map((at, index) => this.makeKey(index, at, readOnly)),
                ...places.slice(1).map((to, index) =>
                    this.makeWay(index, keys[index].ease ?? "linear", places[index], to, readOnly)));
            /** @type {HTMLElement | undefined} */ (this.track.children[focused])?.focus({ preventScroll: true });
        }
        places.forEach((at, index) =>
            this.track.children[index].setAttribute("aria-pressed", String(Math.abs(at - frame) < 0.5)));
    }

    /** @param {number} index @param {number} at @param {boolean} readOnly */
    makeKey(index, at, readOnly) {
        const words = `Keyframe at frame ${Math.round(at * 100) / 100}. Drag to move, Alt+drag to copy.`;
        const mark = make("button", { type: "button", className: "ex4d-key", title: words, "aria-label": words });
        mark.style.left = this.place(at);
        mark.addEventListener("pointerdown", (event) => {
            event.stopPropagation();
            if (event.button) return;
            this.actions.seek(Math.round(at));
            let to = Math.round(at);
            const { altKey } = event;
            follow(this.area, event, (now) => {
                to = this.frameAt(now);
                if (!readOnly) this.head.style.left = mark.style.left = this.place(to);
            }, () => {
                if (to !== Math.round(at) && !readOnly) this.actions[altKey ? "copy" : "move"](index, to);
            });
        });
        mark.addEventListener("keydown", (event) => {
            const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
            if (event.key === "Enter") this.actions.seek(Math.round(at));
            else if (by && !readOnly) this.actions.move(index, Math.round(at) + by);
            else if ((event.key === "Delete" || event.key === "Backspace") && !readOnly) this.actions.remove(index);
            else return;
            event.preventDefault();
        });
        return mark;
    }

    /** @param {number} index @param {string} ease @param {number} from @param {number} to @param {boolean} readOnly */
    makeWay(index, ease, from, to, readOnly) {
        const words = `From frame ${Math.round(from)} to ${Math.round(to)}: ${ease}. Click to change the ease.`;
        const sign = EASE_SIGNS[/** @type {keyof typeof EASE_SIGNS} */ (ease)] ?? "?";
        const way = make("button", { type: "button", className: "ex4d-way", title: words, "aria-label": words,
            disabled: readOnly, onclick: () => this.actions.ease(index) }, sign);
        way.addEventListener("pointerdown", (event) => event.stopPropagation());
        way.style.left = this.place(from);
        way.style.width = `${(100 * (to - from)) / this.frames}%`;
        return way;
    }

    /** @param {Shown} shown */
    paint(shown) {
        paintStrip(this.strip, shown);
        paintSource(this.source, shown);
    }
}

/**
 * Follow a pointer that has gone down until it is up, wherever it goes.
 * @param {HTMLElement} area
 * @param {PointerEvent} down
 * @param {(event: PointerEvent) => void} move
 * @param {() => void} [end]
 */
function follow(area, down, move, end = () => {}) {
    down.stopPropagation();
    area.setPointerCapture(down.pointerId);
    const over = new AbortController();
    const { signal } = over;
    area.addEventListener("pointermove", (event) => event.pointerId === down.pointerId && move(event), { signal });
    area.addEventListener("lostpointercapture", () => {
        over.abort();
        end();
    }, { signal });
}

/**
 * A canvas as large as it is shown, empty, and its size in pixels of the page.
 * @param {HTMLCanvasElement} canvas
 * @returns {{pen: CanvasRenderingContext2D, width: number, height: number, style: CSSStyleDeclaration}}
 */
export function clearCanvas(canvas) {
    const scale = window.devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    const [columns, rows] = [Math.round(width * scale), Math.round(height * scale)];
    if (canvas.width !== columns) canvas.width = columns; // each setting costs a layout
    if (canvas.height !== rows) canvas.height = rows;
    const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    pen.resetTransform();
    pen.clearRect(0, 0, columns, rows);
    pen.scale(scale, scale);
    return { pen, width, height, style: getComputedStyle(canvas) };
}

/** @param {HTMLCanvasElement} canvas @param {Shown} shown */
function paintStrip(canvas, { coverage, frames, limit, range, isStale }) {
    const { pen, width, height, style } = clearCanvas(canvas);
    if (!coverage) return canvas.setAttribute("aria-label", "Coverage is not known yet.");
    pen.globalAlpha = isStale ? 0.45 : 1;
    coverage.frames.forEach((frame, index) => {
        const share = coverage.coverage[index];
        const next = coverage.frames[index + 1] ?? frames;
        const level = judge(share, coverage.yaw[index], coverage.pitch[index], limit, range);
        pen.fillStyle = style.getPropertyValue(`--ex4d-${level}`);
        const [left, right] = [(frame / frames) * width, (next / frames) * width];
        const tall = Math.max(2, share * height);
        pen.fillRect(left, height - tall, Math.max(right - left - (right - left > 3 ? 1 : 0), 0.5), tall);
    });
    pen.globalAlpha = 0.6;
    pen.fillStyle = style.color;
    pen.fillRect(0, Math.round((1 - limit) * height), width, 1);
    const least = Math.min(...coverage.coverage);
    canvas.setAttribute("aria-label", `Coverage by frame; the least is ${Math.round(100 * least)} %.`);
}

/** @param {HTMLCanvasElement} canvas @param {Shown} shown */
function paintSource(canvas, { sources, frames, clip }) {
    const { pen, width, height, style } = clearCanvas(canvas);
    if (sources.length < 2 || clip < 2) return;
    pen.strokeStyle = style.color;
    pen.lineWidth = 1.5;
    pen.beginPath();
    for (const { frame, source } of sources)
        pen.lineTo(((frame + 0.5) / frames) * width, height - 2 - (source / (clip - 1)) * (height - 4));
    pen.stroke();
    canvas.setAttribute("aria-label", "Source frame shown by each frame");
}
