"""The progress bar and the cancel button, as the library's `progress`."""

from __future__ import annotations

from collections.abc import Callable

import comfy.model_management
import comfy.utils


def show_progress() -> Callable[[int, int], None]:
    """A `progress(done, total)` that fills the node's bar, and raises where the user has pressed cancel."""
    bar = comfy.utils.ProgressBar(1)

    def report(done: int, total: int) -> None:
        comfy.model_management.throw_exception_if_processing_interrupted()
        bar.update_absolute(done, total)

    return report
