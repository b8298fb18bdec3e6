"""Frames side by side: on a CPU each is one thread's work, a GPU is kept busy by one at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

from .clip import Progress, no_progress

Frame = TypeVar("Frame")


def each_frame(work: Callable[[int], None], count: int, device: torch.device, progress: Progress | None = None) -> None:
    """Do work(0) ... work(count - 1), in inference mode where the caller is.

    progress(done, count) is called after every frame, in order. What it or work raises drops the frames that have
    not begun and reaches the caller.
    """
    finish = progress or no_progress
    workers = torch.get_num_threads()
    if device.type != "cpu" or workers == 1 or count == 1:
        for t in range(count):
            work(t)
            finish(t + 1, count)
        return
    inference = torch.is_inference_mode_enabled()  # a thread's own affair; ComfyUI runs nodes in it

    def work_alike(t: int) -> None:
        with torch.inference_mode(inference):
            work(t)

    # Torch's own threads inside a frame would only wait for each other.
    with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        futures = [pool.submit(work_alike, t) for t in range(count)]
        try:
            for done, future in enumerate(futures, 1):
                future.result()
                finish(done, count)
        finally:
            pool.shutdown(cancel_futures=True)
            torch.set_num_threads(workers)  # threads begun later take over what was set last


def one_by_one(frames: Iterable[Frame], count: int, progress: Progress | None = None) -> Iterator[Frame]:
    """Hand frames on to who works on them in turn.

    progress is called as by each_frame, once the next one is asked for; count may be an estimate.
    """
    for done, frame in enumerate(frames, 1):
        yield frame
        if progress:
            progress(min(done, count), count)
