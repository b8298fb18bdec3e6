"""Whole clips side by side: in processes of this machine, or on a Ray cluster. (parallel.py is for their frames.)"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import cache
from itertools import islice
from types import ModuleType
from typing import Any, TypeVar

import torch

WAITING = 2  # clips handed to each worker ahead of time
RAY_ROWS = 4096  # handed to Ray at once; it keeps some 10 KB of each until the last of them is done

Clip = TypeVar("Clip")
Made = TypeVar("Made")
Begin = Callable[[], Callable[[Clip], Made]]  # called once in every worker; makes what is called with each clip


# ---- in processes -------------------------------------------------------------------------------


def work_here(packed: bytes, clip: Any) -> Any:
    """Work on one clip in this worker process. packed: Begin, pickled."""
    return own_work(packed)(clip)


@cache
def own_work(packed: bytes) -> Callable[[Any], Any]:
    """This process's, made when the first clip arrives, so that what is wrong with it is told like all else."""
    return pickle.loads(packed)()


def begin_process(threads: int) -> None:
    """Work with so many threads, and end when the process that began this one does, even if it is killed."""
    torch.set_num_threads(threads)
    if parent := multiprocessing.parent_process():
        threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()


def in_processes(clips: Iterator[Clip], begin: Begin[Clip, Made], workers: int, threads: int = 1) -> Iterator[Made]:
    """What is made of clips, as they are done. Few wait at a time, so that memory doesn't grow with their number."""
    context, packed = multiprocessing.get_context("spawn"), pickle.dumps(begin)
    with ProcessPoolExecutor(workers, context, begin_process, (threads,)) as pool:
        running = {pool.submit(work_here, packed, clip) for clip in islice(clips, WAITING * workers)}
        try:
            while running:
                finished, running = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    yield future.result()
                running |= {pool.submit(work_here, packed, clip) for clip in islice(clips, len(finished))}
        except BrokenProcessPool as error:
            raise ValueError("a worker process was ended from outside, as systems do where memory is short; use fewer "
                             "at once, and the same command goes on") from error
        finally:
            pool.shutdown(cancel_futures=True)


# ---- on a cluster -------------------------------------------------------------------------------


class RowWork:
    """What Ray Data makes once in every worker and calls with each row."""

    def __init__(self, begin: Begin[Any, Any]) -> None:
        self.work = begin()

    def __call__(self, row: dict) -> dict:
        torch.set_num_threads(1)
        return {"made": pickle.dumps(self.work(pickle.loads(row["clip"])))}


def on_a_cluster(clips: Iterator[Clip], begin: Begin[Clip, Made], workers: int,
                 at_once: int = RAY_ROWS) -> Iterator[Made]:
    """The same by Ray Data, on a cluster whose machines all see the folders, or on this machine."""
    with ray_cluster(workers) as ray:
        while rows := [{"clip": pickle.dumps(clip)} for clip in islice(clips, at_once)]:
            table = ray.data.from_items(rows, override_num_blocks=len(rows))
            done = table.map(RowWork, fn_constructor_args=(begin,), concurrency=workers)
            yield from (pickle.loads(row["made"]) for row in done.iter_rows())


@contextmanager
def ray_cluster(workers: int) -> Iterator[ModuleType]:
    """Ray on the cluster at $RAY_ADDRESS, or on this machine; ends it unless the caller had begun it.

    Raises ValueError where Ray is missing.
    """
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise ValueError(f"--engine ray needs {error.name}, which is not installed; install it with: pip install "
                         "'ray[data]'") from error
    if ray.is_initialized():
        yield ray
        return
    own = {"address": "local", "num_cpus": workers, "include_dashboard": False}  # or it would look for one that runs
    local = {} if "RAY_ADDRESS" in os.environ else own
    ray.init(log_to_driver=False, **local)
    try:
        yield ray
    finally:
        ray.shutdown()
