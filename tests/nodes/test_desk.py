"""Laws of the desks that draw for the editors: the newest wins, a flood is turned away, torch's threads stay."""

import asyncio
import threading
from importlib import import_module

import pytest
import torch


@pytest.fixture
def desks(nodes):
    return import_module(f"{nodes.package.__name__}.nodes.desk")  # which is imported where there is a server


def ask_all(desks, names: list[str], work=lambda name: name) -> list:
    """What a desk answers to requests of these names that come at once, while it is busy with another."""
    desk, busy, free = desks.Desk("test"), threading.Event(), threading.Event()

    async def ask() -> list:
        def hold() -> str:
            busy.set()
            free.wait(10)
            return "held"

        first = asyncio.ensure_future(desk.ask(("route", "first"), hold))
        while not busy.is_set():
            await asyncio.sleep(0.01)
        waiting = [asyncio.ensure_future(desk.ask(("route", name), lambda k=k: work(k)))
                   for k, name in enumerate(names)]
        await asyncio.sleep(0.05)
        free.set()
        return await asyncio.gather(first, *waiting, return_exceptions=True)

    return asyncio.run(ask())


def test_the_newest_of_each_editor_wins(desks):
    held, *answers = ask_all(desks, ["a", "b", "a", "a", "b"])
    assert held == "held" and answers[3:] == [3, 4]
    assert all(isinstance(answer, desks.Stale) for answer in answers[:3])


def test_more_editors_than_a_page_has_are_turned_away(desks):
    _, *answers = ask_all(desks, [str(k) for k in range(desks.MOST_WAITING + 5)])
    assert answers[:desks.MOST_WAITING] == list(range(desks.MOST_WAITING))
    assert all(isinstance(answer, desks.Crowded) for answer in answers[desks.MOST_WAITING:])


def test_what_fails_is_told_to_who_asked_and_the_desk_goes_on(desks):
    _, failed, fine = ask_all(desks, ["a", "b"], lambda k: 1 // k)
    assert isinstance(failed, ZeroDivisionError) and fine == 1


def test_a_desk_draws_with_one_thread_and_leaves_others_theirs(desks):
    before = torch.get_num_threads()
    _, (threads, inference) = ask_all(
        desks, ["a"], lambda k: (torch.get_num_threads(), torch.is_inference_mode_enabled()))
    later: list[int] = []
    fresh = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
    fresh.start()
    fresh.join()
    assert threads == 1 and inference and later == [before] and torch.get_num_threads() == before
