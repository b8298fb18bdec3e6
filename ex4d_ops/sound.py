"""The sound of a clip along a path that changes its time: silent where the clip does not play, or stretched with it."""

from __future__ import annotations

from collections.abc import Iterator
from operator import itemgetter
from typing import Literal

import numpy as np
import torch
from torch import Tensor

Retimed = Literal["silence", "stretch"]
SHORTEST = 1.0  # seconds; what plays at its own speed for less is a part of a clip that plays at another
SLOWEST, FASTEST = 1 / 8, 8.0  # of its own speed: a held frame is not heard, a leap neither
FADE = 0.005  # seconds, without which a sound that begins or ends clicks


def sound_along(wave: Tensor, rate: int, source_frame: Tensor, fps: float, retimed: Retimed = "silence") -> Tensor:
    """The sound of a path whose output frames show these source frames, at its moments.

    wave: [..., N] samples of the clip, rate a second; source_frame: [T]; fps: of clip and path. [..., T / fps * rate].
    retimed: what is heard where the clip does not play at its own speed; a frame that is held is silent either way.
    """
    shown = source_frame.cpu().double().numpy()
    times = np.arange(round(len(shown) / fps * rate)) / rate * fps  # output frames
    place, heard = (play if retimed == "silence" else stretch)(shown, times, fps)
    at = place / fps * rate
    heard = heard & (at > -0.5) & (at <= wave.shape[-1] - 0.5)
    left = np.floor(at + 1e-6)  # of a sample that is met but for rounding, itself
    left, share = torch.from_numpy(left).long(), torch.from_numpy(np.clip(at - left, 0, 1)).to(wave.dtype)
    last = wave.shape[-1] - 1
    before, after = (wave.cpu()[..., index.clamp(0, last)] for index in (left, left + 1))
    return torch.lerp(before, after, share) * torch.from_numpy(fade(heard, round(FADE * rate))).to(before)


def play(shown: np.ndarray, times: np.ndarray, fps: float) -> tuple[np.ndarray, np.ndarray]:
    """Where in the clip output times are, both in frames, and which are heard where only its own speed is."""
    frame = frame_at(shown, times)
    own, begun = np.full(len(shown), len(shown) == 1), np.zeros(len(shown))
    for begin, end, step in steady_parts(shown, fps):
        if step == 1:
            own[begin:end + 1], begun[begin:end + 1] = True, begin
    within = (begun[frame] == 0) | (times - begun[frame] > FADE * fps)  # a gap to fade in between two parts
    return shown[frame] + times - frame, own[frame] & within


def stretch(shown: np.ndarray, times: np.ndarray, fps: float) -> tuple[np.ndarray, np.ndarray]:
    """Where in the clip output times are, both in frames, and which are heard: those of frames that follow each other.

    Source frames are whole numbers: the clip is within half a frame of them, by the straightest curve, and where their
    step stays the same it is at them.
    """
    slack = np.full(len(shown), 0.5)
    for begin, end, _ in steady_parts(shown, fps):
        slack[begin:end + 1] = 0
    curve = straighten(shown - slack, shown + slack)
    curve = np.r_[curve, 2 * curve[-1] - curve[-2] if len(curve) > 1 else curve[0] + 1]
    speed = np.abs(np.diff(curve))[frame_at(shown, times)]
    return np.interp(times, np.arange(len(curve)), curve), (speed > SLOWEST) & (speed < FASTEST)


def frame_at(shown: np.ndarray, times: np.ndarray) -> np.ndarray:
    return np.minimum(times.astype(int), len(shown) - 1)


def steady_parts(shown: np.ndarray, fps: float) -> Iterator[tuple[int, int, int]]:
    """First frame, last frame and step of every part of a path that steps evenly for long enough, or throughout."""
    steps = np.diff(shown)
    changes = np.flatnonzero(np.diff(steps)) + 1
    for begin, end in zip([0, *changes], [*changes, len(steps)]):
        if end > begin and end - begin >= min(SHORTEST * fps - 1, len(steps)):
            yield int(begin), int(end), int(steps[begin])


def straighten(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """The straightest curve between two bounds [T]: a string that is pulled taut from the middle of the first."""
    last = len(low) - 1
    corners = [(0, (low[0] + high[0]) / 2)]
    while (at := corners[-1][0]) < last:
        value, least, most = corners[-1][1], (-np.inf, (at, 0.0)), (np.inf, (at, 0.0))  # speed, and the corner it is to
        for there in range(at + 1, last + 1):
            down, up = (low[there] - value) / (there - at), (high[there] - value) / (there - at)
            if down > most[0] or up < least[0]:
                corners.append(most[1] if down > most[0] else least[1])
                break
            least = max(least, (down, (there, low[there])), key=itemgetter(0))
            most = min(most, (up, (there, high[there])), key=itemgetter(0))
        else:
            corners.append((last, value + (least[0] + most[0]) / 2 * (last - at)))
    frames, places = zip(*corners)
    return np.interp(np.arange(last + 1), frames, places)


def fade(heard: np.ndarray, samples: int) -> np.ndarray:
    """Which samples are heard as how loud, with so many samples of fading at their ends."""
    if heard.all() or not len(heard) or not samples:
        return heard.astype(np.float32)
    sums = np.cumsum(np.r_[0, np.pad(heard, samples, "edge")], dtype=np.float64)
    width = 2 * samples + 1
    return (sums[width:] - sums[:-width]).astype(np.float32) / width
