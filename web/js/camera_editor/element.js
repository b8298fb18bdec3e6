// Elements of the page and the editor's icons.

const SVG = "http://www.w3.org/2000/svg";
/** Lines of a 16 x 16 drawing. @type {Record<string, string>} */
const ICONS = {
    play: "M5 3 13 8 5 13Z",
    pause: "M5 3V13M11 3V13",
    before: "M12 3 6 8 12 13ZM4 3V13",
    after: "M4 3 10 8 4 13ZM12 3V13",
    once: "M2 8H13M10 5 13 8 10 11",
    loop: "M3 9V7A3 3 0 0 1 6 4H13M11 2 13 4 11 6M13 7V9A3 3 0 0 1 10 12H3M5 10 3 12 5 14",
    "ping-pong": "M2 8H14M4 6 2 8 4 10M12 6 14 8 12 10",
    key: "M8 2 14 8 8 14 2 8Z",
    copy: "M6 6H13V13H6ZM10 6V3H3V10H6",
    remove: "M3 4H13M6 4V2.500H10V4M4.500 4 5 13.500H11L11.500 4M6.800 6.500V11M9.200 6.500V11",
    undo: "M3 6H10A3.500 3.500 0 0 1 10 13H6M6 3 3 6 6 9",
    redo: "M13 6H6A3.500 3.500 0 0 0 6 13H10M10 3 13 6 10 9",
    orbit: "M14 8A6 3 0 1 1 10 5.200M10 2.800 10.300 5.300 7.800 6.200M8 8H8.010",
    truck: "M8 2V14M2 8H14M6 4 8 2 10 4M6 12 8 14 10 12M4 6 2 8 4 10M12 6 14 8 12 10",
    turn: "M2 5Q8 1 14 5L8 13ZM8 13H8.010",
    roll: "M13 8A5 5 0 1 1 10 3.400M10 1V4H7",
    hold: "M3 13V9H13V3M3 9V5",
};

/**
 * An element with its properties, those with a dash as attributes, and its children.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, unknown>} [properties]
 * @param {...(Node | string)} children
 */
export function make(tag, properties = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) {
        if (name.includes("-") || name === "role") element.setAttribute(name, String(value));
        else Object.assign(element, { [name]: value });
    }
    element.append(...children);
    return element;
}

/** @param {string} name */
export function drawIcon(name) {
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", "0 0 16 16");
    svg.setAttribute("aria-hidden", "true");
    const path = svg.appendChild(document.createElementNS(SVG, "path"));
    path.setAttribute("d", ICONS[name]);
    return svg;
}

/**
 * Another icon and other words for a button, where they are others.
 * @param {HTMLElement} button
 * @param {string} icon
 * @param {string} words
 */
export function setIcon(button, icon, words) {
    if (button.title === words && button.dataset.icon === icon) return;
    button.dataset.icon = icon;
    button.title = words;
    button.setAttribute("aria-label", words);
    button.replaceChildren(drawIcon(icon));
}

/** Other words for an element, where they are others: each writing costs a layout, and a new text node, for ComfyUI's
 * many styles, a millisecond. @param {Element} element @param {string} words */
export function setWords(element, words) {
    if (element.textContent === words) return;
    const text = element.firstChild;
    if (text instanceof Text && text === element.lastChild) text.data = words;
    else element.textContent = words;
}

/** @param {Element} element @param {string} name @param {string} value written where it is another */
export function setAttribute(element, name, value) {
    if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/**
 * A button that shows an icon and says in words what it does.
 * @param {string} icon
 * @param {string} words
 * @param {() => void} act
 * @param {string} [label] shown beside the icon
 */
export function makeButton(icon, words, act, label = "") {
    return make("button", { type: "button", title: words, "aria-label": words, onclick: act },
        ...(icon ? [drawIcon(icon)] : []), ...(label ? [label] : []));
}

/**
 * A choice among words.
 * @param {string} words what is chosen
 * @param {string[]} options
 * @param {string} value
 * @param {(value: string) => void} act
 */
export function makeChoice(words, options, value, act) {
    const choice = make("select", { title: words, "aria-label": words },
        ...options.map((option) => make("option", { value: option, selected: option === value }, option)));
    choice.onchange = () => act(choice.value);
    return choice;
}

/**
 * A field for a number with its name before it; what is not a number is put back.
 * @param {string} name
 * @param {number} value
 * @param {(value: number) => void} act
 * @param {{step?: number, words?: string}} [more]
 */
export function makeNumber(name, value, act, { step = 1, words = name } = {}) {
    const field = make("input", { type: "number", step: "any", value: String(value), title: words,
        "aria-label": words });
    field.onchange = () => {
        if (field.value !== "" && Number.isFinite(field.valueAsNumber)) act(field.valueAsNumber);
        else field.value = String(value);
    };
    field.onkeydown = (event) => {
        const turn = { ArrowUp: step, ArrowDown: -step }[event.key];
        if (!turn) return;
        event.preventDefault();
        act(Number((value + turn * (event.shiftKey ? 10 : 1)).toFixed(6)));
    };
    return make("label", { className: "ex4d-number" }, name, field);
}
