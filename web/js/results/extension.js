// Plays what a graph with nodes of this pack has saved, as soon as the front end shows it, and gives their loops room.

// @ts-expect-error served by the front end
import { app as frontEnd } from "../../../../scripts/app.js";
// @ts-expect-error served by the front end
import { api as frontEndApi } from "../../../../scripts/api.js";
import { Films, filmsOf, holdsOurs, isOurs } from "./films.js";
import { giveRoom } from "./loops.js";

const app = /** @type {import("../camera_editor/comfyui").App} */ (frontEnd);
const api = /** @type {import("../camera_editor/comfyui").Api} */ (frontEndApi);

app.registerExtension({
    name: "EX4D.Results",
    nodeCreated(node) {
        if (isOurs(node)) giveRoom(node);
    },
    setup() {
        const films = new Films();
        api.addEventListener("execution_start", () => films.forget());
        api.addEventListener("executed", (event) => {
            const { output } = /** @type {CustomEvent} */ (event).detail;
            if (holdsOurs(app.rootGraph ?? app.graph)) films.expect(filmsOf(output));
        });
    },
});
