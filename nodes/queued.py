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


def written_inputs(combo: str) -> dict[str, object]:
    """What the node now checked has for the inputs that the choice of a dynamic combo brings, links left out."""
    context = get_executing_context()
    node = _graph.get({}).get(context.node_id, {}) if context else {}
    return {name.removeprefix(f"{combo}."): value for name, value in node.get("inputs", {}).items()
            if name.startswith(f"{combo}.") and not isinstance(value, list)}


def complaint_of(check: Callable, *values) -> bool | str:
    """True, or what a check has against these values, for validate_inputs."""
    try:
        check(*values)
    except ValueError as error:
        return str(error)
    return True
