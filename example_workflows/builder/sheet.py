"""A workflow as a few lines of Python: nodes, what they are wired to, and in which groups they stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

PACK, CORE = "comfyui-ex4d", "comfy-core"  # names in the registry, by which the front end finds a missing pack
INPUT, EX4D, MODELS, GENERATE, OUTPUT = "#8fb573", "#6fa8dc", "#d9a55a", "#b48ad0", "#9aa5ad"  # colours of groups

NOTE = "MarkdownNote"


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

    size: (width, height) in graph units, None for the size it has by itself. fixed: its seed stays from run to run.
    """

    kind: str
    inputs: dict[str, object] = field(default_factory=dict)
    title: str | None = None
    size: tuple[int, int] | None = None
    models: tuple[Model, ...] = ()
    fixed: bool = False

    def __getitem__(self, name: str) -> Socket:
        return Socket(self, name)


def note(title: str, text: str, size: tuple[int, int]) -> Node:
    """Words on the graph, in Markdown."""
    return Node(NOTE, {"text": text.strip()}, title, size)


@dataclass(frozen=True)
class Group:
    """A titled frame around columns of nodes, left to right; without a title only the nodes."""

    title: str
    color: str
    columns: Sequence[Sequence[Node]]


@dataclass(frozen=True)
class Sheet:
    """A workflow: stacks of groups, left to right."""

    name: str
    stacks: Sequence[Sequence[Group]]

    @property
    def numbered(self) -> dict[Node, int]:
        """Every node and its id, in the order in which they are read, notes last."""
        nodes = [node for stack in self.stacks for group in stack for column in group.columns for node in column]
        return {node: number for number, node in enumerate(sorted(nodes, key=lambda node: node.kind == NOTE), 1)}

    def prompt(self, info: dict[str, dict]) -> dict[str, dict]:
        """The workflow in API format, as far as it is said here. info: the server's /object_info."""
        numbers = self.numbered

        def value_of(value: object) -> object:
            return [str(numbers[value.node]), place_of(value, info)] if isinstance(value, Socket) else value

        return {str(number): {"class_type": node.kind,
                              "inputs": {name: value_of(value) for name, value in node.inputs.items()},
                              "_meta": {"title": node.title or info[node.kind]["display_name"] or node.kind}}
                for node, number in numbers.items() if node.kind in info}

    def arrangement(self, info: dict[str, dict]) -> list[list[dict]]:
        """What arrange.js needs to lay the workflow out."""
        numbers = self.numbered

        def describe(node: Node) -> dict:
            source = info.get(node.kind, {}).get("python_module", "")
            return {"id": numbers[node], "kind": node.kind, "title": node.title, "size": node.size, "fixed": node.fixed,
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
    """A workflow that is offered as one node, a blueprint. inputs: sockets and widgets inside, by the box's name."""

    inside: Sheet
    description: str
    aliases: Sequence[str]
    inputs: dict[str, Socket]
    outputs: dict[str, Socket]
