// Two small views of the scene, from above and from the side: points, source camera, path, present camera, target.

import { make } from "./element.js";
import { clearCanvas } from "./timeline.js";

/** @typedef {import("./server.js").Scene} Scene */
/** @typedef {import("./server.js").Path} Path */

/** Where a camera stands and looks, scene units. @typedef {{eye: number[], rotation: number[]}} Stand */

/**
 * @typedef {{scene: Scene | null, path: Path | null, keys: number[], camera: Stand | null, target: number[] | null,
 *     source: number, lens: number}} Shown
 */

const SPREAD = 0.9; // share of the scene's points that a view makes room for; the farthest few would shrink the rest

export class Views {
    constructor() {
        this.views = [new View("from above", ([x, , z]) => [x, -z]), new View("from the right", ([, y, z]) => [z, y])];
        this.area = make("div", { className: "ex4d-views" }, ...this.views.map(({ canvas, words }) =>
            make("figure", {}, canvas, make("figcaption", {}, words))));
        /** @type {Shown | null} */
        this.shown = null;
        this.resized = new ResizeObserver(() => this.shown && this.draw(this.shown));
    }

    /** @param {Shown} shown */
    draw(shown) {
        this.shown = shown;
        if (!this.area.isConnected) return;
        for (const view of this.views) view.paint(shown);
    }
}

/** One of the views. The scene's points, which change seldom, are a drawing of their own below the rest. */
class View {
    /** @param {string} words @param {(place: number[]) => number[]} flatten a place of the world to right and down */
    constructor(words, flatten) {
        this.words = words;
        this.canvas = make("canvas", { className: "ex4d-view", role: "img", "aria-label": words });
        this.flatten = flatten;
        /** @type {Scene | null} */
        this.scene = null;
        /** @type {number[][]} */
        this.points = [];
        /** @type {string[]} */
        this.colors = [];
        /** @type {number[][]} of what most points span */
        this.span = [];
        this.ground = make("canvas");
        this.drawn = "";
    }

    /** @param {Scene | null} scene */
    take(scene) {
        if (scene === this.scene) return;
        this.scene = scene;
        this.points = triples(scene?.points ?? []).map(this.flatten);
        this.colors = triples(scene?.colors ?? []).map((color) => `rgb(${color.join(" ")} / 70%)`);
        this.span = spanOf(this.points);
        this.drawn = "";
    }

    /** @param {Shown} shown */
    paint(shown) {
        const { pen, width, height, style } = clearCanvas(this.canvas);
        if (!width || !height) return; // a panel that is folded
        const { flatten } = this;
        const color = (/** @type {string} */ name) => style.getPropertyValue(`--ex4d-${name}`);
        const { scene, path, camera, target } = shown;
        this.take(scene);
        const trail = path?.moments.map((moment) => flatten(moment.eye)) ?? [];
        const sources = scene?.cameras.map((one) => flatten(one.eye)) ?? [[0, 0]];
        const stands = [...trail, ...sources, ...this.span,
            ...[camera?.eye, target].flatMap((place) => (place ? [flatten(place)] : []))];
        const { place, unit } = fitBounds(stands, width, height);
        this.paintGround(place);
        pen.drawImage(this.ground, 0, 0, width, height);
        drawLine(pen, sources.map(place), color("muted"), 1);
        drawLine(pen, trail.map(place), color("accent"), 1.5);
        const size = 14 / unit;
        const source = scene?.cameras[Math.min(shown.source, scene.cameras.length - 1)];
        if (source) drawFrustum(pen, source, size, 0.5, flatten, place, color("muted"));
        for (const moment of shown.keys.flatMap((frame) => path?.moments.find((one) => one.frame === frame) ?? []))
            drawDot(pen, place(flatten(moment.eye)), color("accent"));
        if (target) drawCross(pen, place(flatten(target)), color("target"));
        if (camera) drawFrustum(pen, camera, size * 1.4, shown.lens, flatten, place, color("strong"));
    }

    /** @param {(place: number[]) => number[]} place */
    paintGround(place) {
        const { ground } = this, { width, height } = this.canvas;
        const drawn = [...place([0, 0]), ...place([1, 1]), width, height].join(" ");
        if (drawn === this.drawn) return;
        this.drawn = drawn;
        [ground.width, ground.height] = [width, height]; // which empties it
        const pen = /** @type {CanvasRenderingContext2D} */ (ground.getContext("2d"));
        pen.scale(window.devicePixelRatio || 1, window.devicePixelRatio || 1);
        this.points.forEach((point, index) => {
            const [x, y] = place(point);
            pen.fillStyle = this.colors[index];
            pen.fillRect(x - 0.75, y - 0.75, 1.5, 1.5);
        });
    }
}

/** @param {number[]} numbers @returns {number[][]} */
function triples(numbers) {
    return Array.from({ length: numbers.length / 3 }, (_, index) => numbers.slice(3 * index, 3 * index + 3));
}

/** The least and the most, right and down, of what most points span; none where there are none. @param {number[][]} points */
function spanOf(points) {
    const cut = Math.floor((points.length * (1 - SPREAD)) / 2);
    const [across, down] = [0, 1].map((axis) =>
        points.map((point) => point[axis]).sort((one, other) => one - other).slice(cut, points.length - cut));
    return across.length ? [[across[0], down[0]], [across[across.length - 1], down[down.length - 1]]] : [];
}

/**
 * The scale and place at which everything has room.
 * @param {number[][]} stands
 * @param {number} width
 * @param {number} height
 */
function fitBounds(stands, width, height) {
    const bounds = [0, 1].map((axis) => {
        const all = stands.map((stand) => stand[axis]);
        return [all.reduce((one, other) => Math.min(one, other)), all.reduce((one, other) => Math.max(one, other))];
    });
    const margin = 16;
    const unit = Math.min(...[width, height].map((side, axis) =>
        Math.max(side - 2 * margin, 1) / Math.max(bounds[axis][1] - bounds[axis][0], 1e-6)));
    const middle = bounds.map(([low, high]) => (low + high) / 2);
    const place = (/** @type {number[]} */ [x, y]) =>
        [width / 2 + (x - middle[0]) * unit, height / 2 + (y - middle[1]) * unit];
    return { unit, place };
}

/** @param {CanvasRenderingContext2D} pen @param {number[][]} places @param {string} color @param {number} thick */
function drawLine(pen, places, color, thick) {
    pen.strokeStyle = color;
    pen.lineWidth = thick;
    pen.beginPath();
    for (const [x, y] of places) pen.lineTo(x, y);
    pen.stroke();
}

/** @param {CanvasRenderingContext2D} pen @param {number[]} place @param {string} color */
function drawDot(pen, [x, y], color) {
    pen.fillStyle = color;
    pen.beginPath();
    pen.arc(x, y, 2.5, 0, 2 * Math.PI);
    pen.fill();
}

/** @param {CanvasRenderingContext2D} pen @param {number[]} place @param {string} color */
function drawCross(pen, [x, y], color) {
    drawLine(pen, [[x - 4, y], [x + 4, y]], color, 1.5);
    drawLine(pen, [[x, y - 4], [x, y + 4]], color, 1.5);
}

/**
 * A camera as the outline of its frustum.
 * @param {CanvasRenderingContext2D} pen
 * @param {Stand} stand
 * @param {number} size
 * @param {number} lens half the width of what it sees, for each unit forward
 * @param {(place: number[]) => number[]} flatten
 * @param {(place: number[]) => number[]} place
 * @param {string} color
 */
function drawFrustum(pen, { eye, rotation }, size, lens, flatten, place, color) {
    const corner = (/** @type {number} */ right, /** @type {number} */ down) => place(flatten(eye.map((value, axis) =>
        value + size * (rotation[6 + axis] + lens * right * rotation[axis] + lens * down * rotation[3 + axis]))));
    const tip = place(flatten(eye));
    const corners = [corner(-1, -0.7), corner(1, -0.7), corner(1, 0.7), corner(-1, 0.7)];
    drawLine(pen, [...corners, corners[0]], color, 1.25);
    for (const end of corners) drawLine(pen, [tip, end], color, 1.25);
}
