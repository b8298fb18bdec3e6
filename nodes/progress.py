"""What a node tells while it runs: progress, with the cancel button's answer, and doubts."""

from __future__ import annotations

import logging
from collections.abc import Callable

import comfy.model_management
import comfy.utils
from comfy_execution.utils import get_executing_context

log = logging.getLogger(__name__)


def show_progress() -> Callable[[int, int], None]:
    """A `progress(done, total)` that fills the node's bar, and raises where the user has pressed cancel."""
    bar = comfy.utils.ProgressBar(1)

    def report(done: int, total: int) -> None:
        comfy.model_management.throw_exception_if_processing_interrupted()
        bar.update_absolute(done, total)

    return report


def warn(sentence: str) -> None:
    """Say in the log, and on the node that runs, what may be wrong."""
    log.warning(sentence)
    if context := get_executing_context():  # none where a node is called without a server
        from server import PromptServer

        PromptServer.instance.send_progress_text(sentence, context.node_id)
