"""Frames side by side: on a CPU each is one thread's work, a GPU is kept busy by one at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

from .clip import Progress, no_progress

Frame = TypeVar("Frame")
Made = TypeVar("Made")


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


def in_order(work: Callable[[Frame], Made], frames: Iterable[Frame],
             device: torch.device) -> Generator[Made, None, None]:
    """What work makes of frames as they come, side by side as by each_frame, in their order; no more than one waits.

    What it or work raises, and the end of who takes the results, drops the frames that have not begun.
    """
    if device.type != "cpu":
        yield from map(work, frames)
        return
    inference = torch.is_inference_mode_enabled()

    def work_alike(frame: Frame) -> Made:
        with torch.inference_mode(inference):
            return work(frame)

    running: deque = deque()
    with alone() as workers, ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        try:
            for frame in frames:
                running.append(pool.submit(work_alike, frame))
                if len(running) > workers:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def alone() -> Iterator[int]:
    """Let torch work in this thread alone: for single frames its others would only wait. Yields how many there were."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield threads
    finally:
        torch.set_num_threads(threads)


def one_by_one(frames: Iterable[Frame], count: int, progress: Progress | None = None) -> Iterator[Frame]:
    """Hand frames on to who works on them in turn.

    progress is called as by each_frame, once the next one is asked for; count may be an estimate.
    """
    for done, frame in enumerate(frames, 1):
        yield frame
        if progress:
            progress(min(done, count), count)
