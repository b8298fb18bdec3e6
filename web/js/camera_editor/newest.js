// One request at a time: what is asked while it is on its way is asked once, when it is back.

export class Newest {
    /** @param {() => Promise<void>} work reads what is so when it begins, and does not throw */
    constructor(work) {
        this.work = work;
        this.isAsked = false;
        this.isBusy = false;
    }

    ask() {
        this.isAsked = true;
        if (!this.isBusy) this.go();
    }

    async go() {
        this.isBusy = true;
        while (this.isAsked) {
            this.isAsked = false;
            await this.work();
        }
        this.isBusy = false;
    }
}
