"""The picture of the sound node."""

from __future__ import annotations

import torch
from matplotlib.figure import Figure

from ex4d_ops.sound import sound_along

from .sheet import FONT, make_figure

RATE, FPS = 8000, 24.0
HOLD = range(48, 84)  # output frames


def draw_sound() -> Figure:
    """Four words of a clip, heard along a path that plays, holds a frame, plays on, and ends at half the speed."""
    times = torch.arange(5 * RATE) / RATE
    words = torch.sin(2 * torch.pi * 90 * times) * sum(
        torch.exp(-((times - middle) / 0.17) ** 2) for middle in (0.6, 1.5, 2.5, 3.1, 3.9))
    slow = torch.arange(72) // 2
    shown = torch.cat([torch.arange(48), torch.full((len(HOLD),), 48), torch.arange(49, 78), 78 + slow])
    figure = make_figure(5.2)
    rows = [("the clip", words)] + [(f"the path, {retimed}", sound_along(words, RATE, shown, FPS, retimed))
                                    for retimed in ("silence", "stretch")]
    for axes, (title, wave) in zip(figure.subplots(3, 1, sharex=True), rows):
        axes.plot(torch.arange(len(wave)) / RATE, wave, color="0.2", linewidth=0.6)
        if title != "the clip":
            axes.axvspan(HOLD.start / FPS, HOLD.stop / FPS, color="tab:orange", alpha=0.3, linewidth=0)
            axes.axvspan((len(shown) - len(slow)) / FPS, len(shown) / FPS, color="tab:blue", alpha=0.3, linewidth=0)
        axes.set_title(title, fontsize=FONT)
        axes.set(yticks=[], ylim=(-1.2, 1.2), xlim=(0, len(shown) / FPS))
        axes.tick_params(labelsize=FONT - 3)
    axes.set_xlabel("seconds", fontsize=FONT)
    return figure
