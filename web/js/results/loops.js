// The moving picture of a node, which the front end leaves 30 pixels of height until somebody resizes the node.

/** @typedef {import("../camera_editor/comfyui").Node} Node */

const LOOP = "$$comfy_animation_preview"; // the front end's name for it, where nodes are drawn on the canvas
const HEIGHT = 220; // as the front end gives a picture that does not move

/** @param {Node} node */
export function giveRoom(node) {
    const add = node.addDOMWidget;
    node.addDOMWidget = (name, type, element, options) => add.call(
        node, name, type, element, name === LOOP ? { ...options, getMinHeight: () => HEIGHT } : options);
}
