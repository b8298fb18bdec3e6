"""Who draws for the camera editors: one thread a desk, where the newest request of each editor wins."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

import torch

MOST_WAITING = 16  # requests at a desk; a page has one for each of its editors

Answer = TypeVar("Answer")
Name = tuple[str, str]  # route and editor


class Stale(Exception):
    """A newer request of the same editor has taken the place of this one."""


class Crowded(Exception):
    """More editors wait than a page can have."""


def take_one_core() -> None:
    """Let torch work in this thread alone, beside a graph that runs, and leave threads begun later what they had."""
    workers = torch.get_num_threads()
    torch.set_num_threads(1)  # of this thread, and of all that begin from now on
    restoring = threading.Thread(target=torch.set_num_threads, args=(workers,))
    restoring.start()
    restoring.join()


class Desk:
    """Requests that wait, one for each editor, and the thread that answers them one after another.

    Its thread begins with the first request; it is a daemon, so that it never holds the server up.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.waiting: dict[Name, tuple[Callable[[], object], Future]] = {}
        self.busy = False
        self.changed = threading.Condition()
        self.thread: threading.Thread | None = None

    async def ask(self, name: Name, work: Callable[[], Answer]) -> Answer:
        """What work returns, or raises; Stale where a newer request of this name comes before it has begun."""
        future: Future = Future()
        with self.changed:
            older = self.waiting.pop(name, None)
            if older and older[1].set_running_or_notify_cancel():  # else its page has gone
                older[1].set_exception(Stale())
            if len(self.waiting) >= MOST_WAITING:
                raise Crowded
            self.waiting[name] = work, future
            if self.thread is None:
                self.thread = threading.Thread(target=self.run, name=f"ex4d-{self.name}", daemon=True)
                self.thread.start()
            self.changed.notify_all()
        return await asyncio.wrap_future(future)

    def run(self) -> None:
        take_one_core()
        while True:
            with self.changed:
                self.busy = False
                self.changed.notify_all()
                self.changed.wait_for(lambda: self.waiting)
                name = next(iter(self.waiting))
                work, future = self.waiting.pop(name)
                self.busy = True
            if not future.set_running_or_notify_cancel():
                continue
            try:
                with torch.inference_mode():
                    future.set_result(work())
            except BaseException as error:  # which belongs to whoever asked
                future.set_exception(error)

    def replaced(self, name: Name) -> bool:
        """Whether a newer request of this name waits."""
        return name in self.waiting

    def wait_until_idle(self, seconds: float) -> None:
        """Let what is asked of this desk go first."""
        with self.changed:
            self.changed.wait_for(lambda: not self.busy and not self.waiting, seconds)
