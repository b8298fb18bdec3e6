"""The graph that is being queued, for validate_inputs, which ComfyUI calls without the inputs that a choice brings."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar

from comfy_execution.utils import get_executing_context

from .progress import running_server

_graph: ContextVar[dict] = ContextVar("graph")  # of the request that queues it


def watch_queue() -> None:
    """Remember every graph that is queued, from now on, while it is checked."""
    if server := running_server():
        server.add_on_prompt_handler(remember)


def remember(request: dict) -> dict:
    graph = request.get("prompt")
    _graph.set(graph if isinstance(graph, dict) else {})
    return request


def queued_node(node: str | None = None) -> tuple[str | None, dict]:
    """Class and inputs of a node, links among them; of the one that is now checked where none is named."""
    if node is None:
        context = get_executing_context()
        node = context.node_id if context else None
    found = _graph.get({}).get(node, {})
    return found.get("class_type"), found.get("inputs", {})


def written_inputs(combo: str) -> dict[str, object]:
    """What the node now checked has for the inputs that the choice of a dynamic combo brings, links left out."""
    return {name.removeprefix(f"{combo}."): value for name, value in queued_node()[1].items()
            if name.startswith(f"{combo}.") and not isinstance(value, list)}


def complaint_of(check: Callable, *values) -> bool | str:
    """True, or what a check has against these values, for validate_inputs."""
    try:
        check(*values)
    except ValueError as error:
        return str(error)
    return True
