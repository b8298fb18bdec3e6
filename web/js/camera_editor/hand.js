// What a hand does to the view at the playhead: gestures over the picture, steps of keys, the slider.

import { aimAt, applyDrag, dolly, magnify, orbitOf, truck, WHEEL } from "./gestures.js";

/** @typedef {import("./editor.js").Editor} Editor */
/** @typedef {import("./keys.js").Key} Key */
/** @typedef {import("./picture.js").Drag} Drag */

export class Hand {
    /** @param {Editor} editor */
    constructor(editor) {
        this.editor = editor;
        /** @type {Key | null} the view that the gesture going on began with */
        this.base = null;
    }

    /** Begin a gesture, unless nothing can be changed. */
    begin() {
        this.editor.player.stop();
        this.base = this.editor.refuseEdit() ? null : this.editor.view;
        return this.base !== null;
    }

    /**
     * End a gesture: where a keyframe is, it changes; else the view waits for Key. Gestures of one kind in a row are
     * undone together.
     * @param {string} kind
     */
    end(kind = "") {
        const { editor } = this;
        this.base = null;
        if (editor.draft && editor.keyHere >= 0) editor.key(kind);
        else editor.layout.draw();
    }

    /** Pixels of the page that the focal length of a keyframe is long. @param {Key} key */
    focalOf(key) {
        const { lens, layout } = this.editor;
        return (lens.focal * this.editor.zoomOf(key) * layout.picture.frame().width) / lens.width;
    }

    /** @param {import("./picture.js").Kind} kind @param {Drag} drag @param {{x: number, y: number}} from */
    drag(kind, drag, from) {
        if (!this.base) return;
        const { width, height } = this.editor.layout.picture.frame();
        this.editor.try(applyDrag(kind, this.base, drag, { width, height, focal: this.focalOf(this.base), ...from }));
    }

    /** Two fingers: apart is closer, together they move. @param {number} factor @param {Drag} drag */
    pinch(factor, drag) {
        if (!this.base) return;
        const step = orbitOf(this.base).distance / this.focalOf(this.base);
        this.editor.try(dolly(truck(this.base, -drag.right * step, drag.down * step), 1 / Math.max(factor, 0.01)));
    }

    /** One small step, as of a key or a notch of the wheel. @param {string} kind @param {(key: Key) => Key} change */
    nudge(kind, change) {
        if (!this.begin() || !this.base) return;
        this.editor.try(change(this.base));
        this.end(kind);
    }

    /** @param {number} pixels */
    wheel(pixels) {
        this.nudge("wheel", (key) => dolly(key, Math.exp(pixels * WHEEL)));
    }

    /** @param {number} zoom */
    magnify(zoom) {
        if (this.base ?? (this.begin() && this.base))
            this.editor.try(magnify(this.base, zoom / this.editor.zoomOf(this.base)));
    }

    /** What lies under a place of the picture becomes the target. @param {number} x @param {number} y @param {boolean} all */
    async aim(x, y, all) {
        const { editor } = this;
        if (editor.refuseEdit() || !editor.sceneKey) return;
        try {
            const { look_at } = await editor.server.point({ ...editor.asked(), x, y });
            const { script } = editor;
            if (!all) this.nudge("", (key) => aimAt(key, look_at));
            else if (script) editor.commit({ ...script, keys: script.keys.map((key) => aimAt(key, look_at)) });
        } catch (error) {
            editor.refuse(error);
        }
    }
}
