// Lays the open graph out: stacks of groups left to right, in each group its columns, in each column its nodes.
// measured: how high nodes are drawn, their titles included, by id.
([stacks, measured]) => {
    const GAP = 30, PADDING = 20, TITLE = LiteGraph.NODE_TITLE_HEIGHT, HEADING = 40, WIDTH = 300;

    const prepare = ({ id, kind, title, height, text, models, pack, fixed }) => {
        let node = app.graph.getNodeById(id);
        if (!node) {
            node = LiteGraph.createNode(kind, title);
            node.id = id;
            app.graph.add(node);
            node.widgets[0].value = text;
        }
        if (fixed) node.widgets.find(({ name }) => name === "control_after_generate").value = "fixed";
        if (models.length) node.properties.models = models;
        node.properties.cnr_id = pack;
        const least = measured[id] ? Math.ceil(measured[id]) - TITLE : 0;
        node.setSize([WIDTH, Math.max(least, height ?? node.computeSize()[1])]);
        return node;
    };

    const placeColumn = (column, left, high) => {
        const nodes = column.map(prepare);
        let top = high;
        for (const node of nodes) {
            node.pos = [left, top + TITLE];
            top += TITLE + node.size[1] + GAP;
        }
        return [left + WIDTH, top - GAP];
    };

    const placeGroup = ({ title, color, columns }, left, high) => {
        let right = left - GAP, low = high;
        for (const column of columns) {
            const [edge, end] = placeColumn(column, right + GAP, high + HEADING);
            right = edge;
            low = Math.max(low, end);
        }
        if (title) {
            const group = new LiteGraph.LGraphGroup(title);
            group.color = color;
            group.pos = [left - PADDING, high - PADDING];
            group.size = [right - left + 2 * PADDING, low - high + 2 * PADDING];
            app.graph.add(group);
        }
        return [right, low];
    };

    app.graph.groups.slice().forEach((group) => app.graph.remove(group));
    let left = 0;
    for (const stack of stacks) {
        let right = left, high = 0;
        for (const group of stack) {
            const [edge, low] = placeGroup(group, left, high);
            right = Math.max(right, edge);
            high = low + 2 * PADDING + GAP;
        }
        left = right + 2 * PADDING + GAP;
    }
}
