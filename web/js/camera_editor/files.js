// Paths that come from elsewhere, and the file that goes there.

import { make } from "./element.js";

/** @typedef {import("./editor.js").Editor} Editor */

const FIRST = "Run this node first: lengths of a file are measured by its scene.";
const CHUNK = 0x8000; // bytes that are turned into letters at a time: arguments of a call are limited

/** Take the path of a file of any known format. @param {Editor} editor @param {File} file */
export async function importFile(editor, file) {
    if (!editor.sceneKey) return editor.hint(FIRST);
    const bytes = new Uint8Array(await file.arrayBuffer());
    let letters = "";
    for (let at = 0; at < bytes.length; at += CHUNK) letters += String.fromCharCode(...bytes.subarray(at, at + CHUNK));
    await editor.startFrom((server) =>
        server.importFile({ ...editor.askedView(), name: file.name, content: btoa(letters) }));
}

/** Take the view of the graph's 3D viewer at the present frame. @param {Editor} editor */
export async function takeView(editor) {
    if (!editor.sceneKey) return editor.hint(FIRST);
    const viewer = await editor.host.viewer();
    if (!viewer) return editor.hint("There is no 3D viewer in this graph. Add one and turn its view first.");
    try {
        const { key } = await editor.server.view({ ...editor.askedView(), ...viewer });
        editor.hand.nudge("", () => ({ frame: editor.frame, ...key }));
    } catch (error) {
        editor.refuse(error);
    }
}

/** Save the keyframes as a file. @param {Editor} editor */
export function exportText(editor) {
    const url = URL.createObjectURL(new Blob([editor.text], { type: "application/json" }));
    make("a", { href: url, download: "keyframes.json" }).click();
    setTimeout(() => URL.revokeObjectURL(url));
}
