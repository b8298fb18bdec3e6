// What a user has chosen for all editors on this machine; never part of a workflow.

const PLACE = "ex4d.editor";
const DEFAULTS = { limit: 0.5, range: "", mode: "loop", panel: "views" };

/** @typedef {typeof DEFAULTS} Preferences */

/** @returns {Preferences} */
export function readPreferences() {
    try {
        return { ...DEFAULTS, ...JSON.parse(localStorage.getItem(PLACE) ?? "{}") };
    } catch {
        return DEFAULTS; // no storage, or not ours
    }
}

/** @param {Preferences} preferences */
export function writePreferences(preferences) {
    try {
        localStorage.setItem(PLACE, JSON.stringify(preferences));
    } catch {
        // A full or forbidden storage: the choice holds until the page is left.
    }
}
