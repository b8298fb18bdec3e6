// Colors of this pack's link types, where the color palette in use has none of its own.
import { app } from "../../../scripts/app.js";

const COLORS = {
    EX4D_DEPTH: "#3FA7A0",
    DW_MESH: "#C08A3E",
    EX4D_CAMERAS: "#E0705A",
    EX4D_PRIOR: "#C76BB3",
};

// Loading a palette sets every type that it does not name to "", so the value that is read falls back to ours.
function fallBack(colors, type) {
    let chosen = colors[type];
    Object.defineProperty(colors, type, {
        configurable: true,
        enumerable: true,
        get: () => chosen || COLORS[type],
        set: (color) => { chosen = color; },
    });
}

app.registerExtension({
    name: "EX4D.LinkColors",
    setup() {
        for (const type of Object.keys(COLORS)) {
            fallBack(app.canvas.default_connection_color_byType, type);
            fallBack(window.LGraphCanvas.link_type_colors, type);
        }
        const style = document.createElement("style");  // which Nodes 2.0 reads
        style.textContent = `:root { ${Object.entries(COLORS).map(([type, color]) =>
            `--color-datatype-${type}: ${color};`).join(" ")} }`;
        document.head.append(style);
    },
});
