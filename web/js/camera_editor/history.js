// What undo and redo go through: texts, the present one among them.

const LONGEST = 200; // steps

/** Texts in the order they were written; a step that goes on with the one before it takes its place. */
export class History {
    /** @param {string} text */
    constructor(text) {
        this.texts = [text];
        this.at = 0;
        this.kind = "";
    }

    get text() {
        return this.texts[this.at];
    }

    get canUndo() {
        return this.at > 0;
    }

    get canRedo() {
        return this.at < this.texts.length - 1;
    }

    /**
     * Write a text. Steps of one kind that follow each other are one step; those without a kind stand alone.
     * @param {string} text
     * @param {string} kind
     */
    write(text, kind = "") {
        if (text === this.text) return;
        const goesOn = kind !== "" && kind === this.kind && this.at > 0;
        this.texts.splice(this.at + (goesOn ? 0 : 1), Infinity, text);
        this.texts.splice(0, this.texts.length - LONGEST);
        this.at = this.texts.length - 1;
        this.kind = kind;
    }

    /** End a run of steps of one kind. */
    rest() {
        this.kind = "";
    }

    undo() {
        this.at = Math.max(this.at - 1, 0);
        this.kind = "";
        return this.text;
    }

    redo() {
        this.at = Math.min(this.at + 1, this.texts.length - 1);
        this.kind = "";
        return this.text;
    }
}
