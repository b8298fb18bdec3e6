// What the colors of the coverage strip mean.

/** @typedef {import("./server.js").Range} Range */

export const NEAR = 0.1; // share above the limit that is still close to it
const SLACK = 1; // degree beyond a range that nobody sees

/**
 * Green, yellow or red for one frame: red below the limit, yellow close above it or beyond the trained angles.
 * @param {number} share seen, 0..1
 * @param {number} yaw degrees
 * @param {number} pitch degrees
 * @param {number} limit 0..1
 * @param {Range | null} range
 * @returns {"good" | "fair" | "poor"}
 */
export function judge(share, yaw, pitch, limit, range) {
    if (share < limit) return "poor";
    return share < limit + NEAR || (range && !isWithin(yaw, pitch, range)) ? "fair" : "good";
}

/** @param {number} yaw @param {number} pitch @param {Range} range */
export function isWithin(yaw, pitch, range) {
    return range.yaw[0] - SLACK <= yaw && yaw <= range.yaw[1] + SLACK
        && range.pitch[0] - SLACK <= pitch && pitch <= range.pitch[1] + SLACK;
}
