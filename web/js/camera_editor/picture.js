// The picture: what it shows, and the gestures over it. What a gesture means is the editor's business.

import { make } from "./element.js";

/** @typedef {"orbit" | "truck" | "turn" | "roll"} Kind */
/** @typedef {{right: number, down: number}} Drag pixels on the page */
/** @typedef {{left: number, top: number, width: number, height: number, aspect: number}} Frame the picture on the page */

/**
 * @typedef {{begin: () => boolean, drag: (kind: Kind, drag: Drag, from: {x: number, y: number}) => void,
 *     pinch: (factor: number, drag: Drag) => void, end: () => void, wheel: (pixels: number) => void,
 *     aim: (x: number, y: number, everywhere: boolean) => void, tool: () => Kind,
 *     passWheel: (event: WheelEvent) => void, passPointer: (event: PointerEvent) => void}} Actions
 */

const STILL = 3; // pixels that a click may slip without being a drag
const LINE = 33; // pixels, where a wheel counts lines

export class PictureArea {
    /** @param {Actions} actions */
    constructor(actions) {
        this.actions = actions;
        this.canvas = make("canvas", { className: "ex4d-canvas" });
        this.seen = make("output", { className: "ex4d-seen" });
        this.readout = make("div", { className: "ex4d-readout" });
        this.words = make("div", { className: "ex4d-words", role: "status", hidden: true });
        this.area = make("div", {
            className: "ex4d-picture", tabIndex: 0, role: "application", "aria-roledescription": "camera view",
            "aria-label": "Camera view. Arrow keys circle the target, Shift moves, Alt turns, Control rolls, "
                + "plus and minus change the distance, K keeps the view as a keyframe.",
        }, this.canvas, this.seen, this.readout, this.words);
        this.area.dataset.captureWheel = "true"; // Nodes 2.0 leaves the wheel to what says so and has the focus
        this.pen = /** @type {ImageBitmapRenderingContext} */ (this.canvas.getContext("bitmaprenderer"));
        /** @type {Map<number, {x: number, y: number}>} */
        this.pointers = new Map();
        /** @type {{kind: Kind | "pinch", x: number, y: number, span: number, begun: boolean} | null} */
        this.gesture = null;
        this.listen();
    }

    /** @param {Blob} picture */
    async show(picture) {
        const bitmap = await createImageBitmap(picture);
        if (this.canvas.width !== bitmap.width) this.canvas.width = bitmap.width;
        if (this.canvas.height !== bitmap.height) this.canvas.height = bitmap.height;
        this.pen.transferFromImageBitmap(bitmap);
    }

    /**
     * Words in place of the picture, or over it; none where they are empty. act: a button that does something about it.
     * @param {string} words
     * @param {{label: string, act: () => void} | null} [action]
     */
    say(words, action = null) {
        if (this.words.hidden && !words) return;
        this.words.replaceChildren(...(words ? [make("span", {}, words)] : []),
            ...(action ? [make("button", { type: "button", onclick: action.act }, action.label)] : []));
        this.words.hidden = !words;
    }

    clear() {
        this.pen.transferFromImageBitmap(null);
        this.canvas.width = this.canvas.height = 1;
    }

    /** @returns {Frame} the picture's place on the page, without the bars beside it */
    frame() {
        const box = this.canvas.getBoundingClientRect();
        const aspect = this.canvas.width / Math.max(this.canvas.height, 1);
        const width = Math.min(box.width, box.height * aspect), height = width / aspect;
        return { left: box.left + (box.width - width) / 2, top: box.top + (box.height - height) / 2, width, height, aspect };
    }

    listen() {
        const { area } = this;
        area.addEventListener("pointerdown", (event) => this.press(event));
        area.addEventListener("pointermove", (event) => this.move(event));
        for (const kind of /** @type {const} */ (["pointerup", "pointercancel", "lostpointercapture"]))
            area.addEventListener(kind, (event) => this.release(event));
        area.addEventListener("dblclick", (event) => {
            event.stopPropagation();
            const { left, top, width, height } = this.frame();
            const [x, y] = [(event.clientX - left) / width, (event.clientY - top) / height];
            if (x >= 0 && x <= 1 && y >= 0 && y <= 1) this.actions.aim(x, y, event.shiftKey);
        });
        area.addEventListener("contextmenu", (event) => {
            if (event.ctrlKey) event.preventDefault(); // a roll on a Mac
        });
        area.addEventListener("wheel", (event) => this.turn(event), { passive: false });
    }

    /** @param {PointerEvent} event */
    press(event) {
        if (event.target instanceof HTMLButtonElement) return;
        if (event.button) return this.actions.passPointer(event);
        event.stopPropagation(); // but no preventDefault: the mouseup that follows makes ComfyUI's undo entry
        this.area.focus({ preventScroll: true });
        this.area.setPointerCapture(event.pointerId);
        if (event.isPrimary) this.pointers.clear(); // of fingers that went up unseen
        this.pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
        this.finish();
        this.gesture = { ...this.middle(), kind: this.pointers.size > 1 ? "pinch" : this.kindOf(event), begun: false };
    }

    /** @param {PointerEvent} event @returns {Kind} */
    kindOf(event) {
        if (event.shiftKey) return "truck";
        if (event.altKey) return "turn";
        return event.ctrlKey || event.metaKey ? "roll" : this.actions.tool();
    }

    /** Where the pointers are on average, and how far apart. */
    middle() {
        const [one, other = one] = [...this.pointers.values()];
        return { x: (one.x + other.x) / 2, y: (one.y + other.y) / 2, span: Math.hypot(one.x - other.x, one.y - other.y) };
    }

    /** @param {PointerEvent} event */
    move(event) {
        if (event.buttons & 4) return this.actions.passPointer(event);
        const { gesture } = this;
        if (!gesture || !this.pointers.has(event.pointerId)) return;
        event.stopPropagation();
        this.pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
        const { x, y, span } = this.middle();
        const drag = { right: x - gesture.x, down: y - gesture.y };
        const slip = Math.max(Math.hypot(drag.right, drag.down), Math.abs(span - gesture.span));
        if (!gesture.begun && (slip < STILL || !(gesture.begun = this.actions.begin()))) return;
        const { left, top } = this.frame();
        if (gesture.kind === "pinch") this.actions.pinch(span / Math.max(gesture.span, 1), drag);
        else this.actions.drag(gesture.kind, drag, { x: gesture.x - left, y: gesture.y - top });
    }

    /** @param {PointerEvent} event */
    release(event) {
        if (event.button === 1) return this.actions.passPointer(event);
        if (event.type === "pointerup") this.move(event); // a busy browser leaves out the last moves
        if (!this.pointers.delete(event.pointerId)) return;
        event.stopPropagation();
        this.finish();
    }

    finish() {
        if (this.gesture?.begun) this.actions.end();
        this.gesture = null;
    }

    /** @param {WheelEvent} event */
    turn(event) {
        const isOurs = this.area.contains(document.activeElement) && !event.ctrlKey;
        if (!isOurs) return this.actions.passWheel(event);
        event.preventDefault();
        event.stopPropagation();
        this.actions.wheel(event.deltaY * (event.deltaMode ? LINE : 1));
    }
}
