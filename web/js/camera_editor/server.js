// The server's routes, as nodes/preview.py answers them.

/** @typedef {import("./keys.js").Key} Key */

/** What a path depends on besides its keyframes: the node's other inputs. @typedef {Record<string, unknown>} Settings */

/**
 * One output frame of a path: a keyframe that would make it, the camera in the world, and the source frame it shows.
 * @typedef {{frame: number, position: number[], look_at: number[], yaw: number, pitch: number, distance: number,
 *     roll: number, pan: number, tilt: number, zoom: number, eye: number[], rotation: number[], source: number}} Moment
 */

/**
 * @typedef {{frames: number, radius: number, circles: boolean, heads: boolean, retimed: boolean, moments: Moment[]}} Path
 */

/** @typedef {{frames: number[], coverage: number[], yaw: number[], pitch: number[]}} Coverage of some of a path's frames */

/**
 * @typedef {{frames: number, width: number, height: number, source_width: number, source_height: number,
 *     radius: number | null, focal: number, points: number[], colors: number[], fps?: number,
 *     cameras: {eye: number[], rotation: number[]}[], moving_camera: boolean, subject: number[][] | null}} Scene
 */

/** @typedef {{name: string, yaw: number[], pitch: number[], source: string}} Range degrees that a generator knows */

/**
 * @typedef {{name: string, default: number, low: number, high: number, unit: string, help: string}} Parameter
 */

/** @typedef {{name: string, help: string, parameters: Parameter[], ease: string}} MoveKind */

/** @typedef {{version?: number, ranges: Range[], eases: string[], moves: MoveKind[]}} Tables */

/** queued: graphs that run or wait. @typedef {{picture: Blob, coverage: number, source: number, queued: number}} Picture */

const VERSION = 1; // of the routes that this page knows

/** An answer that says what is wrong. reason: a word for programs. */
export class Refusal extends Error {
    /** @param {string} words @param {string} reason */
    constructor(words, reason) {
        super(words);
        this.reason = reason;
    }
}

/** @typedef {(route: string, options?: RequestInit) => Promise<Response>} Fetch */

export class Server {
    /** @param {Fetch} fetch @param {string} editor an id of its own on this page: its newer requests replace older ones */
    constructor(fetch, editor) {
        this.fetch = fetch;
        this.editor = editor;
    }

    /**
     * The view of one output frame, holes tinted.
     * @param {Settings & {frame: number}} asked
     * @returns {Promise<Picture>}
     */
    async picture(asked) {
        const { reply } = await this.call("picture", { ...asked, editor: this.editor });
        return { picture: await reply.blob(), coverage: Number(reply.headers.get("X-EX4D-Coverage")),
            source: Number(reply.headers.get("X-EX4D-Source")), queued: Number(reply.headers.get("X-EX4D-Queued")) };
    }

    /** @param {Settings} asked @returns {Promise<Path>} */
    path(asked) {
        return this.ask("path", { ...asked, editor: this.editor });
    }

    /** @param {Settings} asked @returns {Promise<Coverage>} */
    coverage(asked) {
        return this.ask("coverage", { ...asked, editor: this.editor });
    }

    /**
     * The surface under a place of the picture, x and y in 0..1.
     * @param {Settings & {frame: number, x: number, y: number}} asked
     * @returns {Promise<{look_at: number[]}>}
     */
    point(asked) {
        return this.ask("point", { ...asked, editor: this.editor });
    }

    /** @param {{move: string, frames: number, smooth: boolean}} asked @returns {Promise<{keyframes: string}>} */
    preset(asked) {
        return this.ask("preset", asked);
    }

    /** @param {Settings & {name: string, content: string}} asked @returns {Promise<{keyframes: string}>} */
    importFile(asked) {
        return this.ask("import", { ...asked, editor: this.editor });
    }

    /** @param {Settings & {camera_info: object}} asked @returns {Promise<{key: Key}>} */
    view(asked) {
        return this.ask("view", { ...asked, editor: this.editor });
    }

    /** @param {string} key @returns {Promise<Scene>} */
    scene(key) {
        return this.ask(`scene/${encodeURIComponent(key)}`);
    }

    /** @returns {Promise<Tables>} */
    async tables() {
        const tables = await this.ask("tables");
        if ((tables.version ?? VERSION) !== VERSION)
            throw new Refusal("This page is older than the server. Reload it (Ctrl+Shift+R).", "old");
        return tables;
    }

    /** @param {string} route @param {object} [body] */
    async ask(route, body) {
        return (await this.call(route, body)).said;
    }

    /**
     * The server's answer and what JSON it holds, or a Refusal.
     * @param {string} route
     * @param {object} [body]
     */
    async call(route, body) {
        let reply;
        try {
            reply = await this.fetch(`/ex4d/${route}`, body && {
                method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
        } catch {
            throw new Refusal("The server does not answer. The picture comes back when it does.", "away");
        }
        if (reply.status === 404 || reply.status === 405)
            throw new Refusal("The server is older than this page. Restart ComfyUI.", "old");
        if (reply.status === 403) throw new Refusal("The scene is another server's. Run this node.", "no scene");
        const isJson = reply.headers.get("Content-Type")?.startsWith("application/json");
        const said = isJson ? await reply.json() : null;
        if (!reply.ok || said?.error !== undefined)
            throw new Refusal(said?.error || `The server answers with ${reply.status}.`, said?.reason ?? "refused");
        return { reply, said };
    }
}
