// Playing: which frame is on after some time.

export const MODES = ["once", "loop", "ping-pong"];

/**
 * The frame that is on so many frames after one, null where playing once is over.
 * @param {number} start
 * @param {number} passed
 * @param {number} frames
 * @param {string} mode one of MODES
 * @returns {number | null}
 */
export function frameAfter(start, passed, frames, mode) {
    const last = frames - 1;
    if (mode === "once") return start + passed > last ? null : start + passed;
    if (mode === "loop" || !last) return (start + passed) % frames;
    const phase = (start + passed) % (2 * last);
    return last - Math.abs(last - phase);
}

/** Calls show with one frame after the other at a rate. */
export class Player {
    /** @param {(frame: number) => void} show @param {() => void} end */
    constructor(show, end) {
        this.show = show;
        this.end = end;
        this.running = 0;
    }

    get isOn() {
        return this.running !== 0;
    }

    /** @param {number} start @param {number} frames @param {string} mode @param {number} fps */
    play(start, frames, mode, fps) {
        this.stop();
        const begin = performance.now();
        const from = mode === "once" && start >= frames - 1 ? 0 : start;
        /** @type {number | null} */
        let shown = null;
        const tick = () => {
            const frame = frameAfter(from, Math.floor(((performance.now() - begin) * fps) / 1000), frames, mode);
            if (frame === null) {
                this.running = 0;
                this.show(frames - 1);
                this.end();
                return;
            }
            this.running = requestAnimationFrame(tick);
            if (frame !== shown) this.show(frame);
            shown = frame;
        };
        this.running = requestAnimationFrame(tick);
    }

    stop() {
        cancelAnimationFrame(this.running);
        this.running = 0;
    }
}
