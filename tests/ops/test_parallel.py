"""Frames side by side do what one after another would: same results, same mode, nothing left behind."""

import pytest
import torch

from ex4d_ops.parallel import each_frame, one_by_one

CPU = torch.device("cpu")


@pytest.mark.parametrize("inference", [True, False])
def test_frames_are_worked_on_in_the_mode_of_the_caller(inference):
    modes = [None] * 4
    with torch.inference_mode(inference):
        result = torch.empty(4)

        def work(t: int) -> None:
            modes[t] = torch.is_inference_mode_enabled()
            result[t] = t

        each_frame(work, 4, CPU)
    assert modes == [inference] * 4 and result.tolist() == [0, 1, 2, 3]


def test_what_a_frame_raises_reaches_the_caller_and_leaves_the_threads_of_torch_as_they_were():
    threads = torch.get_num_threads()

    def fail(t: int) -> None:
        raise ValueError(f"frame {t}")

    with pytest.raises(ValueError, match="frame 0"):
        each_frame(fail, 4, CPU)
    assert torch.get_num_threads() == threads


def test_progress_counts_every_frame_in_order_and_can_cancel():
    seen = []

    def progress(done: int, total: int) -> None:
        seen.append((done, total))
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        each_frame(lambda t: None, 5, CPU, progress)
    assert seen == [(1, 5), (2, 5), (3, 5)]


def test_frames_in_turn_are_counted_once_they_are_dealt_with():
    seen = []
    for frame in one_by_one("abc", 2, lambda done, count: seen.append((done, count))):
        seen.append(frame)
    assert seen == ["a", (1, 2), "b", (2, 2), "c", (2, 2)]  # two were expected, three came
    assert list(one_by_one("abc", 3)) == ["a", "b", "c"]
