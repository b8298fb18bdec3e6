// What frontend.py asks of the page: ComfyUI's `app`, worked as a user would.
globalThis.frontEnd = {
    isUp: () => window.app?.vueAppReady && window.app.isGraphReady,

    open: (workflow, name) => app.loadGraphData(workflow, true, true, name),

    // Put the nodes of a workflow in API format into the open graph. app.loadApiJson does as much, but widgets of graphs
    // that were opened before show through in it.
    place(prompt) {
        for (const [id, { class_type, _meta }] of Object.entries(prompt)) {
            const node = LiteGraph.createNode(class_type, _meta?.title);
            node.id = Number(id);
            app.graph.add(node);
        }
        for (const [id, { inputs }] of Object.entries(prompt)) {
            const node = app.graph.getNodeById(Number(id));
            for (const [name, value] of Object.entries(inputs)) {
                if (!Array.isArray(value)) {
                    this.turn(node, name, value);
                    continue;
                }
                const socket = node.inputs.findIndex((input) => input.name === name);
                app.graph.getNodeById(Number(value[0])).connect(value[1], node, socket);
            }
        }
    },

    turn(node, name, value) {
        const widget = node.widgets.find((widget) => widget.name === name);
        widget.value = value;
        widget.callback?.(value);
    },

    set(values) {
        for (const [id, widgets] of Object.entries(values))
            for (const [name, value] of Object.entries(widgets))
                this.turn(app.graph.getNodeById(Number(id)), name, value);
    },

    // As text, which leaves out what is undefined as a saved file does.
    async read() {
        const { output } = await app.graphToPrompt();
        return JSON.stringify([app.rootGraph.serialize(), output]);
    },

    faults() {
        const faults = [];
        const visit = (graph) => {
            for (const node of graph.nodes) {
                const name = `${node.title} (${node.type})`;
                if (!(node.type in LiteGraph.registered_node_types)) faults.push(`${name}: there is no such node`);
                if (node.has_errors) faults.push(`${name}: is marked red`);
                for (const input of node.inputs ?? [])
                    if (input.hasErrors) faults.push(`${name}: ${input.name} is marked red`);
                for (const { name: widget, value, options } of node.widgets ?? [])
                    if (Array.isArray(options?.values) && !options.values.includes(value))
                        faults.push(`${name}: ${widget} does not offer ${value}`);
                if (node.subgraph) visit(node.subgraph);
            }
        };
        visit(app.rootGraph);
        return faults;
    },

    // Queue the workflow, or what some output nodes need: how it ended, and what is known of that.
    async run(nodes) {
        const { api } = window.comfyAPI.api;
        const end = new Promise((resolve) => {
            for (const kind of ["execution_success", "execution_error", "execution_interrupted"])
                api.addEventListener(kind, ({ detail }) => resolve([kind, detail]), { once: true });
        });
        return await app.queuePrompt(0, 1, nodes ?? undefined) ? end : ["refused", app.lastNodeErrors];
    },

    shown: () => Object.fromEntries(Object.entries(app.nodeOutputs).map(
        ([id, { images, text }]) => [id, images?.map((image) => image.filename) ?? text])),

    // Every picture and video that nodes have made is on its node.
    showsAll: () => Object.entries(app.nodeOutputs).every(([id, { images }]) => {
        const node = app.graph.getNodeById(Number(id));
        if (!node || !images) return true;
        const isFilm = images.some(({ filename }) => /\.(mp4|webm|mkv|mov)$/.test(filename));  // not a looping picture
        if (isFilm) return node.videoContainer?.querySelector("video")?.readyState >= 2;
        return node.imgs?.length === images.length;
    }),

    // Left, top, width and height that every node takes up as it is drawn, in graph units, by id: in Nodes 2.0 an
    // element of its own, which may be larger than the node says.
    places() {
        const canvas = document.getElementById("graph-canvas").getBoundingClientRect();
        const { scale, offset } = app.canvas.ds;
        return Object.fromEntries(app.graph.nodes.map((node) => {
            const drawn = document.querySelector(`[data-node-id="${node.id}"]`)?.getBoundingClientRect();
            return [node.id, drawn ? [(drawn.x - canvas.x) / scale - offset[0], (drawn.y - canvas.y) / scale - offset[1],
                drawn.width / scale, drawn.height / scale] : [...node.boundingRect]];
        }));
    },

    // Left, top, width and height of all of the graph.
    bounds() {
        const boxes = [...app.graph.nodes, ...app.graph.groups].map((item) => item.boundingRect);
        const left = Math.min(...boxes.map(([x]) => x)), top = Math.min(...boxes.map(([, y]) => y));
        const right = Math.max(...boxes.map(([x, , width]) => x + width));
        const low = Math.max(...boxes.map(([, y, , height]) => y + height));
        return [left, top, right - left, low - top];
    },

    fit() {
        app.canvas.deselectAll();
        app.canvas.ds.fitToBounds(this.bounds());
        app.canvas.setDirty(true, true);
    },

    // The view that shows all of the graph, unscaled, margin pixels inside a window; the size of that window.
    frame(margin) {
        const [left, top, width, height] = this.bounds();
        app.canvas.deselectAll();
        app.canvas.ds.scale = 1;
        app.canvas.ds.offset = [margin - left, margin - top];
        app.canvas.setDirty(true, true);
        return { width: Math.ceil(width + 2 * margin), height: Math.ceil(height + 2 * margin) };
    },

    // The scale, once the view has come to rest.
    glided: () => new Promise((resolve) => {
        let before, still = 0;
        const look = () => {
            const { scale, offset } = app.canvas.ds, now = `${scale} ${offset}`;
            still = now === before ? still + 1 : 0;
            before = now;
            if (still > 10) resolve(scale);
            else requestAnimationFrame(look);
        };
        requestAnimationFrame(look);
    }),

    hasVideos: () => [...document.querySelectorAll("video")].every((video) => video.readyState >= 2),

    // Videos at their last frame, where cameras have moved the farthest, and without buttons.
    showEnds: () => Promise.all([...document.querySelectorAll("video")].map((video) => new Promise((resolve) => {
        video.controls = false;
        video.pause();
        video.addEventListener("seeked", resolve, { once: true });
        video.currentTime = video.duration - 0.01;
    }))),
};
