"""Frames side by side: on a CPU each is one thread's work, a GPU is kept busy by one at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import torch


def each_frame(work: Callable[[int], None], count: int, device: torch.device) -> Iterator[None]:
    """Do work(0) ... work(count - 1) and yield as each is done, in order.

    An exception, raised by work or where the iterator is used, drops what has not begun.
    """
    workers = torch.get_num_threads()
    if device.type != "cpu" or workers == 1:
        yield from map(work, range(count))
        return
    # Torch's own threads inside a frame would only wait for each other.
    with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        futures = [pool.submit(work, t) for t in range(count)]
        try:
            for future in futures:
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)
            torch.set_num_threads(workers)  # threads begun later take over what was set last
