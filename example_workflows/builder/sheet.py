"""A workflow as a few lines of Python: nodes, what they are wired to, and in which groups they stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

PACK, CORE = "comfyui-ex4d", "comfy-core"  # names in the registry, by which the front end finds a missing pack
INPUT, EX4D, MODELS, GENERATE, OUTPUT = "#8fb573", "#6fa8dc", "#d9a55a", "#b48ad0", "#9aa5ad"  # colors of groups

NOTE = "MarkdownNote"
NOTE_LINE, NOTE_STEP = 45, 16  # letters a line, graph units from line to line, of a node of a column's width
PRIOR_BOX, VIEW_BOX, PAINT_BOX = "Video to Prior (EX-4D)", "Video from a New View (EX-4D)", "Generate New View (EX-4D)"


class Model(NamedTuple):
    """A file that a loader needs, as the front end offers it for download. directory: in ComfyUI's models folder."""

    name: str
    url: str
    directory: str


class Socket(NamedTuple):
    """An output of a node, or an input, by its name."""

    node: Node
    name: str


@dataclass(frozen=True, eq=False)
class Node:
    """One node. inputs: widgets by name (`move.yaw` for those of a choice) and the outputs it is wired to.

    height: in graph units, None for what it has by itself. fixed: its seed stays from run to run. box: what it is, if
    it is a box of its workflow alone.
    """

    kind: str
    inputs: dict[str, object] = field(default_factory=dict)
    title: str | None = None
    height: int | None = None
    models: tuple[Model, ...] = ()
    fixed: bool = False
    box: Box | None = None

    def __getitem__(self, name: str) -> Socket:
        return Socket(self, name)


def note(title: str, text: str) -> Node:
    """Words on the graph, in Markdown, as high as they need."""
    lines = sum(1 + len(line) // NOTE_LINE for line in text.strip().splitlines())
    return Node(NOTE, {"text": text.strip()}, title, 60 + NOTE_STEP * lines)


@dataclass(frozen=True)
class Group:
    """A titled frame around columns of nodes, left to right; without a title only the nodes."""

    title: str
    color: str
    columns: Sequence[Sequence[Node]]


@dataclass(frozen=True)
class Sheet:
    """A workflow: stacks of groups, left to right.

    asked: the widgets of app mode. app: opens in app mode.
    """

    name: str
    stacks: Sequence[Sequence[Group]]
    asked: Sequence[Socket] = ()
    app: bool = False

    @property
    def numbered(self) -> dict[Node, int]:
        """Every node and its id, in the order in which they are read, notes last."""
        nodes = [node for stack in self.stacks for group in stack for column in group.columns for node in column]
        return {node: number for number, node in enumerate(sorted(nodes, key=lambda node: node.kind == NOTE), 1)}

    @property
    def kinds(self) -> set[str]:
        """The nodes that it and its boxes are made of."""
        return {kind for node in self.numbered if node.kind != NOTE
                for kind in (node.box.inside.kinds if node.box else {node.kind})}

    def prompt(self, info: dict[str, dict]) -> dict[str, dict]:
        """The workflow in API format, as far as it is said here. info: the server's /object_info, and of boxes."""
        numbers = self.numbered

        def value_of(value: object) -> object:
            return [str(numbers[value.node]), place_of(value, info)] if isinstance(value, Socket) else value

        return {str(number): {"class_type": info[node.kind].get("id", node.kind),
                              "inputs": {name: value_of(value) for name, value in node.inputs.items()},
                              "_meta": {"title": node.title or info[node.kind]["display_name"] or node.kind}}
                for node, number in numbers.items() if node.kind in info}

    def linear(self, info: dict[str, dict]) -> dict:
        """What of it app mode shows: the widgets asked for, and what is saved or shown in the end."""
        numbers = self.numbered
        ends = [node for node in numbers if node.kind in info and info[node.kind]["output_node"]]
        saved = [node for node in ends if node.kind.startswith("Save")] or ends
        said: dict = {"linearData": {"inputs": [[numbers[node], name] for node, name in self.asked],
                                     "outputs": [numbers[node] for node in saved]}}
        return said | {"linearMode": True} if self.app else said

    def arrangement(self, info: dict[str, dict]) -> list[list[dict]]:
        """What arrange.js needs to lay the workflow out."""
        numbers = self.numbered

        def describe(node: Node) -> dict:
            source = info.get(node.kind, {}).get("python_module", "")
            return {"id": numbers[node], "kind": node.kind, "title": node.title, "height": node.height,
                    "fixed": node.fixed,
                    "text": node.inputs["text"] if node.kind == NOTE else None,
                    "models": [model._asdict() for model in node.models],
                    "pack": PACK if source.startswith("custom_nodes.") else CORE}

        return [[{"title": group.title, "color": group.color,
                  "columns": [[describe(node) for node in column] for column in group.columns]} for group in stack]
                for stack in self.stacks]


def place_of(output: Socket, info: dict[str, dict]) -> int:
    """Which of its node's outputs it is, counted from 0."""
    return info[output.node.kind]["output_name"].index(output.name)


@dataclass(frozen=True)
class Box:
    """A workflow as one node. inputs, outputs: sockets and widgets inside, by the box's name for them.

    description, aliases: of one that is offered as a blueprint.
    """

    inside: Sheet
    inputs: dict[str, Socket | Sequence[Socket]]
    outputs: dict[str, Socket]
    description: str = ""
    aliases: Sequence[str] = ()

    def arrangement(self, info: dict[str, dict]) -> list:
        """What box.js needs to make it of its workflow."""
        numbers = self.inside.numbered
        sockets = {name: [said] if isinstance(said, Socket) else said for name, said in self.inputs.items()}
        return [self.inside.name,
                [(name, [(numbers[node], socket) for node, socket in said]) for name, said in sockets.items()],
                [(name, numbers[said.node], place_of(said, info)) for name, said in self.outputs.items()]]

    def info(self, blueprint: dict) -> dict:
        """What /object_info would say of it, if it were a node. blueprint: as it was written."""
        (definition,) = blueprint["definitions"]["subgraphs"]
        return {"id": definition["id"], "display_name": self.inside.name, "output_name": list(self.outputs),
                "python_module": "custom_nodes.", "output_node": False}
