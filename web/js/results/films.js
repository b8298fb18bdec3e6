// Films that a run has saved: each begins by itself, muted, in the first player on the page that shows it.

/** @typedef {import("../camera_editor/comfyui").Graph} Graph */
/** @typedef {import("../camera_editor/comfyui").Node} Node */
/** @typedef {{filename: string, subfolder: string, type: string}} File as the server names it */

const FILM = /\.(mp4|webm|mov|mkv)$/i;
const OURS = "EX-4D/"; // begins the category of every node of this pack
const CHANGES = { childList: true, subtree: true, attributeFilter: ["src", "style"] }; // that may show a film

/** @param {Node} node */
export function isOurs(node) {
    return /** @type {{category?: string}} */ (node.constructor).category?.startsWith(OURS) ?? false;
}

/** Whether nodes of this pack are in a graph, or in subgraphs of it. @param {Graph} graph @returns {boolean} */
export function holdsOurs(graph) {
    return graph.nodes.some((node) => isOurs(node) || (node.subgraph && holdsOurs(node.subgraph)));
}

/** The films among what a node says that it has made. @param {{images?: File[]} | null} [output] */
export function filmsOf(output) {
    return (output?.images ?? []).filter(({ filename }) => FILM.test(filename));
}

/** Whether a file is at an address of the server. @param {string} address @param {File} file */
export function isAt(address, { filename, subfolder, type }) {
    const asked = new URLSearchParams(address.split("?")[1]);
    return asked.get("filename") === filename && asked.get("type") === type && (asked.get("subfolder") ?? "") === subfolder;
}

export class Films {
    constructor() {
        /** @type {File[]} */
        this.awaited = [];
        this.observer = new MutationObserver(() => this.look());
    }

    /** @param {File[]} files */
    expect(files) {
        this.awaited.push(...files);
        if (this.awaited.length) this.observer.observe(document, CHANGES);
        this.look();
    }

    forget() {
        this.awaited = [];
        this.observer.disconnect();
    }

    look() {
        for (const player of /** @type {NodeListOf<HTMLVideoElement>} */ (document.querySelectorAll("video[controls]"))) {
            const isShown = player.getClientRects().length > 0; // an app hides the players of its graph
            const film = isShown ? this.awaited.find((file) => isAt(player.src, file)) : undefined;
            if (!film) continue;
            this.awaited = this.awaited.filter((file) => file !== film);
            if (!player.played.length) begin(player); // else it is known, and may have been paused
        }
        if (!this.awaited.length) this.forget();
    }
}

/** @param {HTMLVideoElement} player */
function begin(player) {
    player.muted = player.loop = true;
    player.play().catch(() => {}); // a browser may refuse, and offers its own button
}
