// Makes a box of all of the open graph: named inputs and outputs are led outside, and nothing else stays in the graph.
([name, inputs, outputs]) => {
    const { subgraph, node: box } = app.graph.convertToSubgraph(new Set([...app.graph.nodes, ...app.graph.groups]));
    subgraph.name = box.title = name;
    for (const input of [...subgraph.inputs]) subgraph.removeInput(input); // such as seeds, which come by themselves
    for (const [label, sockets] of inputs) {
        let input = null;
        for (const [id, name] of sockets) {
            const node = subgraph.getNodeById(id);
            const socket = node.inputs.find((input) => input.name === name);
            input ??= subgraph.addInput(label, String(socket.type));
            input.connect(socket, node);
        }
    }
    for (const [label, id, place] of outputs) {
        const node = subgraph.getNodeById(id);
        subgraph.addOutput(label, node.outputs[place].type).connect(node.outputs[place], node);
    }
    box.pos = [0, 0];
    box.setSize([300, box.computeSize()[1]]);
}
