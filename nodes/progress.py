"""What a node tells while it runs: progress, with the cancel button's answer, and doubts."""

from __future__ import annotations

import logging
import sys
from typing import Any

import comfy.model_management
import comfy.utils
from comfy_execution.utils import get_executing_context

from .. import ex4d_ops
from ..ex4d_ops.clip import Progress

library_log = logging.getLogger(ex4d_ops.__name__)  # to which all loggers of the library hand on what they are told


def running_server() -> Any:
    """ComfyUI's server, which there is by the time that packs are loaded; None for who calls nodes without one."""
    server = sys.modules.get("server")
    return getattr(server.PromptServer, "instance", None) if server else None


def show_progress() -> Progress:
    """A `progress(done, total)` that fills the node's bar, and raises where the user has pressed cancel."""
    bar = comfy.utils.ProgressBar(1)

    def report(done: int, total: int) -> None:
        comfy.model_management.throw_exception_if_processing_interrupted()
        bar.update_absolute(done, total)

    return report


class OnTheNode(logging.Handler):
    """Shows what the library warns of on the node that runs; ComfyUI's own log has it anyway."""

    def emit(self, record: logging.LogRecord) -> None:
        if context := get_executing_context():  # none where a node is called without a server
            from server import PromptServer

            PromptServer.instance.send_progress_text(record.getMessage(), context.node_id)


def show_warnings() -> None:
    """Let every warning of the library and of our nodes be seen on the node that runs, from now on."""
    library_log.addHandler(OnTheNode(logging.WARNING))


def warn(sentence: str) -> None:
    """Say on the node that runs, and in the log, what may be wrong."""
    library_log.warning(sentence)
