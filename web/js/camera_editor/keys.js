// The camera path as the widget's JSON holds it: read, write, and every edit of it. Nothing here is drawn.

/**
 * One keyframe, with the fields that ex4d_ops/trajectory/keyframes.py explains; degrees and shares of the radius.
 * @typedef {{frame?: number, time?: number, yaw?: number, pitch?: number, distance?: number, position?: number[],
 *     look_at?: number[], pan?: number, tilt?: number, roll?: number, zoom?: number, focal?: number,
 *     ease?: string}} Key
 */

/**
 * A point of the curve that says which source frame an output frame shows.
 * @typedef {{frame?: number, time?: number, source: number, ease?: string}} Hold
 */

/** @typedef {{keys: Key[], retime: Hold[]}} Script all that the widget says */

export const EASES = ["linear", "ease-in", "ease-out", "ease-in-out"];
const FIELDS = ["frame", "time", "source", "position", "yaw", "pitch", "distance", "look_at", "pan", "tilt", "roll",
    "zoom", "focal", "ease"];

/**
 * What a text says, or null where it is not a path: then only the server can say what is wrong with it.
 * @param {string} text
 * @returns {Script | null}
 */
export function readScript(text) {
    let script;
    try {
        script = JSON.parse(text);
    } catch {
        return null;
    }
    const { keys, retime = [] } = Array.isArray(script) ? { keys: script } : script ?? {};
    return isList(keys) && keys.length && isList(retime) ? { keys, retime } : null;
}

/** @param {unknown} list */
function isList(list) {
    return Array.isArray(list) && list.every((entry) => entry && typeof entry === "object" && !Array.isArray(entry));
}

/**
 * A path as text, a line for each keyframe, in the form that the help page shows.
 * @param {Script} script
 */
export function writeScript({ keys, retime }) {
    if (!retime.length) return writeList(keys, "");
    return `{\n  "keys": ${writeList(keys, "  ")},\n  "retime": ${writeList(retime, "  ")}\n}`;
}

/** @param {object[]} list @param {string} margin */
function writeList(list, margin) {
    return `[\n${list.map((entry) => `${margin}  ${writeValue(entry)}`).join(",\n")}\n${margin}]`;
}

/** @param {unknown} value @returns {string} */
function writeValue(value) {
    if (Array.isArray(value)) return `[${value.map(writeValue).join(", ")}]`;
    if (!value || typeof value !== "object") return JSON.stringify(value);
    const place = (/** @type {string} */ name) => (FIELDS.indexOf(name) + 1 || FIELDS.length + 1);
    const fields = Object.entries(value).sort(([one], [other]) => place(one) - place(other));
    return `{${fields.map(([name, content]) => `${JSON.stringify(name)}: ${writeValue(content)}`).join(", ")}}`;
}

/**
 * Where a keyframe stands in a path of so many frames, in frames; NaN where it does not say.
 * @param {{frame?: number, time?: number}} key
 * @param {number} frames
 */
export function frameOf(key, frames) {
    return Number(key.frame ?? (key.time ?? NaN) * (frames - 1));
}

/**
 * A keyframe at another frame; one that is placed by time stays so.
 * @param {Key} key
 * @param {number} frame
 * @param {number} frames
 * @returns {Key}
 */
export function placeKey(key, frame, frames) {
    const { frame: _, time, ...rest } = key;
    if (time === undefined || frames < 2) return { frame, ...rest };
    return { time: round(frame / (frames - 1), 6), ...rest };
}

/**
 * The index of the keyframe at a frame, -1 where there is none.
 * @param {Key[]} keys
 * @param {number} frame
 * @param {number} frames
 */
export function findKey(keys, frame, frames) {
    return keys.findIndex((key) => Math.abs(frameOf(key, frames) - frame) < 0.5);
}

/**
 * The keyframes with one of them replaced, or a new one put where its frame says.
 * @param {Key[]} keys
 * @param {Key} key
 * @param {number} frames
 */
export function setKey(keys, key, frames) {
    const at = findKey(keys, frameOf(key, frames), frames);
    return sortKeys([...keys.filter((_, index) => index !== at), key], frames);
}

/**
 * The keyframes with one of them elsewhere, as they were where another stands there already.
 * @param {Key[]} keys
 * @param {number} index
 * @param {number} frame
 * @param {number} frames
 */
export function moveKey(keys, index, frame, frames) {
    const target = Math.round(Math.min(Math.max(frame, 0), frames - 1));
    const others = keys.filter((_, other) => other !== index);
    if (findKey(others, target, frames) >= 0) return keys;
    return sortKeys([...others, placeKey(keys[index], target, frames)], frames);
}

/**
 * The keyframes with a copy of one of them at another frame, in place of what stood there.
 * @param {Key[]} keys
 * @param {number} index
 * @param {number} frame
 * @param {number} frames
 */
export function copyKey(keys, index, frame, frames) {
    const target = Math.round(Math.min(Math.max(frame, 0), frames - 1));
    return findKey(keys, target, frames) === index ? keys : setKey(keys, placeKey(keys[index], target, frames), frames);
}

/**
 * The keyframes without one of them; the last one stays, for a path needs a keyframe.
 * @param {Key[]} keys
 * @param {number} index
 */
export function deleteKey(keys, index) {
    return keys.length > 1 ? keys.filter((_, other) => other !== index) : keys;
}

/**
 * The keyframes, or points of the source's curve, with another ease of the way from one of them to the next.
 * @template {{ease?: string}} Entry
 * @param {Entry[]} keys
 * @param {number} index
 * @param {string} ease
 * @returns {Entry[]}
 */
export function easeKey(keys, index, ease) {
    return keys.map((key, other) => {
        if (other !== index) return key;
        const { ease: _, ...rest } = key;
        return /** @type {Entry} */ (ease === "linear" ? rest : { ...rest, ease });
    });
}

/** @param {Key[]} keys @param {number} frames */
function sortKeys(keys, frames) {
    return [...keys].sort((one, other) => frameOf(one, frames) - frameOf(other, frames));
}

/** @param {number} value @param {number} digits */
export function round(value, digits) {
    return Number(value.toFixed(digits)) + 0; // + 0: no -0
}

/**
 * The one of some that stands nearest to a place.
 * @template One
 * @param {One[]} some
 * @param {(one: One) => number} placeOf
 * @param {number} place
 * @returns {One | undefined}
 */
export function nearest(some, placeOf, place) {
    const distance = (/** @type {One} */ one) => Math.abs(placeOf(one) - place);
    return some.reduce((/** @type {One | undefined} */ best, one) =>
        (best === undefined || distance(one) < distance(best) ? one : best), undefined);
}
