// What the editor uses of ComfyUI's front end.

export interface Output {
    ex4d_scene?: (string | null)[];
    ex4d_complaint?: string[];
    ex4d_keyframes?: string[];
    ex4d_settings?: Record<string, unknown>[];
}

export interface Widget {
    name: string;
    value: unknown;
    serialize?: boolean;
    callback?: (...given: any[]) => void;
    serializeValue?: (node: Node, index: number) => unknown;
}

export interface Graph {
    id: string;
    nodes: Node[];
}

export interface Node {
    id: number | string;
    comfyClass: string;
    graph?: Graph;
    subgraph?: Graph;
    size: [number, number];
    properties?: Record<string, unknown>;
    is_selected?: boolean;
    selected?: boolean;
    widgets?: Widget[];
    inputs?: { name: string; link: number | null; widget?: { name: string } }[];
    addDOMWidget(name: string, type: string, element: HTMLElement, options: object): Widget;
    computeSize(): [number, number];
    setSize(size: [number, number]): void;
    onExecuted?: (...given: any[]) => void;
    onConnectionsChange?: (...given: any[]) => void;
    onRemoved?: (...given: any[]) => void;
    onAdded?: (...given: any[]) => void;
}

export interface App {
    graph: Graph;
    rootGraph?: Graph;
    nodeOutputs?: Record<string, Output>;
    canvas: {
        processMouseWheel(event: WheelEvent): void;
        processMouseDown(event: PointerEvent): void;
    };
    extensionManager?: {
        workflow?: { activeWorkflow?: { changeTracker?: { captureCanvasState?: () => void } } };
    };
    queuePrompt(number: number, batch: number, nodes?: string[]): Promise<boolean>;
    registerExtension(extension: {
        name: string;
        setup?: () => void;
        afterConfigureGraph?: () => void;
        nodeCreated?: (node: Node) => void;
        loadedGraphNode?: (node: Node) => void;
    }): void;
}

export interface Api extends EventTarget {
    fetchApi(route: string, options?: RequestInit): Promise<Response>;
}
