// The one file that talks to ComfyUI's front end: gives every Camera Keyframes node an editor.

// @ts-expect-error served by the front end
import { app as frontEnd } from "../../../../scripts/app.js";
// @ts-expect-error served by the front end
import { api as frontEndApi } from "../../../../scripts/api.js";
import { Editor } from "./editor.js";
import { make } from "./element.js";

/** @typedef {import("./comfyui").App} App */
/** @typedef {import("./comfyui").Node} GraphNode */
/** @typedef {import("./comfyui").Graph} Graph */

const app = /** @type {App} */ (frontEnd);
const api = /** @type {import("./comfyui").Api} */ (frontEndApi);

const KIND = "EX4DCameraKeyframes";
const TEXT = "keyframes";
const SETTINGS = ["smooth", "frames", "radius", "width", "height", "focal", "fit", "relative", "keep_aim"];
const LEAST_HEIGHT = 550; // pixels, as editor.css says, and the margin that classic nodes take off
const LEAST_WIDTH = 440; // pixels, of a new node
const LATER = 300; // milliseconds after which outputs of an earlier run are there at last
const REST = 400; // milliseconds without an edit before it becomes a step of ComfyUI's undo
const FRAMES = 30; // of waiting for an element to come onto the page

/** Those whose nodes stand in a graph. @type {Map<GraphNode, Editor>} */
const editors = new Map();

/** A node as an editor's host. */
class NodeHost {
    /** @param {GraphNode} node */
    constructor(node) {
        this.node = node;
        this.waiting = 0;
    }

    /** @param {string} name */
    widget(name) {
        return this.node.widgets?.find((widget) => widget.name === name);
    }

    read() {
        return String(this.widget(TEXT)?.value ?? "");
    }

    /** @param {string} text */
    write(text) {
        const widget = this.widget(TEXT);
        if (!widget) return;
        widget.value = text;
        widget.callback?.(text, app.canvas, this.node);
        clearTimeout(this.waiting);
        this.waiting = window.setTimeout(() => this.keep(), REST);
    }

    /** Let what was edited be a step of ComfyUI's undo now. */
    keep() {
        if (!this.waiting) return;
        clearTimeout(this.waiting);
        this.waiting = 0;
        app.extensionManager?.workflow?.activeWorkflow?.changeTracker?.captureCanvasState?.();
    }

    settings() {
        return Object.fromEntries(SETTINGS.flatMap((name) => {
            const widget = this.widget(name);
            return widget ? [[name, widget.value]] : [];
        }));
    }

    /** @param {string} name */
    isConnected(name) {
        const input = this.node.inputs?.find((one) => one.name === name || one.widget?.name === name);
        return input?.link !== null && input?.link !== undefined;
    }

    isLinked() {
        return this.isConnected(TEXT);
    }

    hasScene() {
        return this.isConnected("scene");
    }

    run() {
        app.queuePrompt(0, 1, [executionId(this.node)]);
    }

    /** @param {string} route @param {RequestInit} [options] */
    fetch(route, options) {
        return api.fetchApi(route, options);
    }

    /** Nodes 2.0 does with these what it does everywhere. @param {WheelEvent} event */
    passWheel(event) {
        if (!isNodes2()) app.canvas.processMouseWheel(event);
    }

    /** @param {PointerEvent} event */
    passPointer(event) {
        if (isNodes2() || (event.button !== 1 && !(event.buttons & 4))) return;
        const names = { pointerdown: "processMouseDown", pointermove: "processMouseMove", pointerup: "processMouseUp" };
        const name = names[/** @type {keyof typeof names} */ (event.type)];
        if (name) app.canvas[/** @type {"processMouseDown"} */ (name)](event);
    }

    async viewer() {
        const selected = (/** @type {GraphNode} */ node) => Number(Boolean(node.is_selected ?? node.selected));
        const viewers = (this.node.graph?.nodes ?? []).filter((node) => node.properties?.["Camera Config"]);
        viewers.sort((one, other) => selected(other) - selected(one));
        for (const widget of viewers.flatMap((viewer) => viewer.widgets ?? [])) {
            const value = /** @type {any} */ (await widget.serializeValue?.(this.node, 0));
            const [model_3d_info] = value?.model_3d_info ?? [];
            if (value?.camera_info) return { camera_info: value.camera_info, ...(model_3d_info && { model_3d_info }) };
        }
        return null;
    }

    stop() {
        clearTimeout(this.waiting);
    }
}

function isNodes2() {
    return Boolean(/** @type {{LiteGraph?: {vueNodesMode?: boolean}}} */ (globalThis).LiteGraph?.vueNodesMode);
}

/** Where a node runs: its id, after those of the subgraphs that it is in. @param {GraphNode} node */
function executionId(node) {
    /** @param {Graph} graph @param {string} prefix @returns {string | undefined} */
    const find = (graph, prefix) => {
        for (const other of graph.nodes) {
            if (other === node) return `${prefix}${other.id}`;
            const inside = other.subgraph && find(other.subgraph, `${prefix}${other.id}:`);
            if (inside) return inside;
        }
    };
    return find(app.rootGraph ?? app.graph, "") ?? String(node.id);
}

/** The name of a node in the outputs that the front end keeps. @param {GraphNode} node */
function outputsOf(node) {
    const { graph } = node;
    if (!graph) return undefined;
    return app.nodeOutputs?.[graph === (app.rootGraph ?? app.graph) ? String(node.id) : `${graph.id}:${node.id}`];
}

/** Where a page reload finds the scene again; for this tab alone. @param {GraphNode} node */
function placeOfScene(node) {
    return `ex4d.scene:${app.rootGraph?.id}:${executionId(node)}`;
}

/** @param {GraphNode} node @param {import("./comfyui").Output} output */
function hear(node, output) {
    const key = output.ex4d_scene?.[0];
    if (key) sessionStorage.setItem(placeOfScene(node), key);
    const linked = SETTINGS.filter((name) => node.inputs?.find((one) => one.widget?.name === name)?.link != null);
    editors.get(node)?.hear(output, linked);
}

/** The scene of an earlier run, where there is one and none has come yet. @param {GraphNode} node */
function recall(node) {
    const editor = editors.get(node);
    if (!editor || editor.sceneKey) return;
    const output = outputsOf(node);
    if (output?.ex4d_scene) return hear(node, output);
    const key = sessionStorage.getItem(placeOfScene(node));
    if (key) editor.openScene(key);
}

/**
 * Nodes 2.0 keeps the element of the node that stood here before an undo, and never shows the new one: put it there.
 * @param {GraphNode} node
 * @param {HTMLElement} root
 */
function adopt(node, root) {
    let left = FRAMES;
    const look = () => {
        if (root.isConnected || !left--) return;
        const stale = document.querySelector(`[data-node-id="${CSS.escape(String(node.id))}"] .ex4d-editor`);
        if (stale) stale.replaceWith(root);
        else requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
}

/**
 * The front end may keep a node for good that has gone, and with it whatever the node holds: an editor lives only while
 * its node stands in a graph, and leaves an empty element behind.
 * @param {GraphNode} node
 */
function giveEditor(node) {
    const root = make("div", { className: "ex4d-editor", role: "group", "aria-label": "Camera editor" });
    const host = new NodeHost(node);
    // A node that is smaller than this asks for grows whenever it is opened. As an undo opens it, and ComfyUI takes that
    // for an edit, there would be nothing to redo any more. Nodes 2.0 itself keeps to editor.css alone.
    const least = () => (isNodes2() ? 0 : LEAST_HEIGHT);
    const widget = node.addDOMWidget("ex4d_view", "ex4d_view", root, {
        serialize: false, hideOnZoom: false, getMinHeight: least, getValue: () => "", setValue: () => {} });
    widget.serialize = false; // options.serialize keeps it out of the prompt, this out of the workflow
    for (const name of [TEXT, ...SETTINGS]) {
        const setting = host.widget(name);
        if (!setting) continue;
        const { callback } = setting;
        setting.callback = function (...given) {
            callback?.apply(this, given);
            if (name === TEXT) editors.get(node)?.receive();
            else editors.get(node)?.refresh();
        };
    }
    after(node, "onExecuted", (output) => hear(node, output ?? {}));
    after(node, "onConnectionsChange", () => {
        editors.get(node)?.receive();
        editors.get(node)?.refresh();
    });
    after(node, "onRemoved", () => stopEditor(node));
    after(node, "onAdded", () => {
        startEditor(node, host, root);
        adopt(node, root);
    });
    node.setSize([Math.max(node.size[0], LEAST_WIDTH), node.computeSize()[1] + LEAST_HEIGHT - least()]);
}

/** @param {GraphNode} node @param {NodeHost} host @param {HTMLElement} root */
function startEditor(node, host, root) {
    stopEditor(node);
    const editor = new Editor(host, root);
    editors.set(node, editor);
    Object.assign(root, { ex4d: editor }); // for tests and other packs
}

/** @param {GraphNode} node */
function stopEditor(node) {
    const editor = editors.get(node);
    if (!editor) return;
    editor.stop();
    editors.delete(node);
    Object.assign(editor.layout.root, { ex4d: null });
}

/** Nodes in subgraphs go with their workflow and are told nothing. */
function stopThoseGone() {
    const open = new Set(allEditors().map(([node]) => node));
    for (const node of editors.keys()) if (!open.has(node)) stopEditor(node);
}

/**
 * Do something after what a node does already.
 * @param {GraphNode} node
 * @param {"onExecuted" | "onConnectionsChange" | "onRemoved" | "onAdded"} name
 * @param {(first: any) => void} act
 */
function after(node, name, act) {
    const before = node[name];
    node[name] = function (...given) {
        before?.apply(this, given);
        act(given[0]);
    };
}

function addStyle() {
    const href = new URL("./editor.css", import.meta.url).href;
    document.head.append(Object.assign(document.createElement("link"), { rel: "stylesheet", href }));
}

app.registerExtension({
    name: "ex4d.camera_editor",
    setup() {
        addStyle();
        api.addEventListener("reconnected", () => allEditors().forEach(([node, editor]) => {
            recall(node);
            editor.refresh();
        }));
    },
    afterConfigureGraph: stopThoseGone,
    nodeCreated(node) {
        if (node.comfyClass === KIND) giveEditor(node);
    },
    loadedGraphNode(node) {
        const editor = editors.get(node);
        if (!editor) return;
        editor.open();
        recall(node);
        setTimeout(() => recall(node), LATER);
    },
});

/** The editors of all nodes that stand in the open workflow. */
function allEditors() {
    /** @type {[GraphNode, Editor][]} */
    const found = [];
    /** @param {Graph} graph */
    const visit = (graph) => {
        for (const node of graph.nodes) {
            const editor = editors.get(node);
            if (editor) found.push([node, editor]);
            if (node.subgraph) visit(node.subgraph);
        }
    };
    visit(app.rootGraph ?? app.graph);
    return found;
}
