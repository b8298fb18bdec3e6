"""What a run leaves in its folder: the adapter, the state to go on from, the loss curve. All whole or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from .. import files
from ..files.whole import sweep, written_whole
from ..plot import draw_figure

STATE = "state.pt"
CURVE = "loss.png"
SMOOTHED = 20  # the thick line averages so many parts of the run


@dataclass(eq=False)
class RunState:
    """Where a run stands, by the released names of its weights; all tensors on the CPU.

    asked: what must not change when it goes on. losses: one per step done. weights, average: what is trained, and its
    running mean (empty: none is kept). moments: AdamW's of each weight.
    """

    asked: dict
    losses: list[float] = field(default_factory=list)
    weights: dict[str, Tensor] = field(default_factory=dict)
    average: dict[str, Tensor] = field(default_factory=dict)
    moments: dict[str, dict[str, Tensor]] = field(default_factory=dict)

    @property
    def step(self) -> int:
        return len(self.losses)


def adapter_file(folder: Path, step: int) -> Path:
    return folder / f"ex4d-{step:06}.ckpt"


def save_run(folder: Path, state: RunState) -> None:
    """Write the adapter, then the state, then the curve, so that a state's adapter is always there.

    An adapter of another base than the released one says so, see checkpoint.read_base.
    """
    base = {name: value for name, value in state.asked.items() if name == "base"}
    write_tensors(adapter_file(folder, state.step), (state.average or state.weights) | base)
    write_tensors(folder / STATE, vars(state))
    files.write_picture(folder / CURVE, plot_losses(state.losses))


def write_tensors(path: Path, values: dict) -> None:
    """Write a torch file whose bytes are those of its values alone: torch puts the name it is given into it."""
    with written_whole(path) as whole, open(whole, "wb") as file:
        torch.save(values, file)


def load_run(folder: Path, asked: dict) -> RunState | None:
    """The state of the run in a folder, None where none has begun there.

    Drops what a killed run left half written. Raises ValueError where the state is damaged, or of a run that was asked
    for something else.
    """
    sweep(folder)
    path = folder / STATE
    if not path.exists():
        return None
    try:
        state = RunState(**torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:  # a damaged file can make the reader raise anything
        raise ValueError(f"{path}: cannot be read as the state of a run; choose another folder, or delete it to start "
                         "again") from error
    changed = [f"{name} was {state.asked.get(name)}, now it is {asked.get(name)}" for name in state.asked | asked
               if state.asked.get(name) != asked.get(name)]
    if changed:
        raise ValueError(f"{folder}: the run there was started differently ({'; '.join(changed)}); change that back, "
                         "or choose another folder")
    return state


def plot_losses(losses: Sequence[float]) -> Tensor:
    """The loss of every step and its running mean, as an image [H, W, 3]."""
    from matplotlib.figure import Figure

    values = torch.tensor(losses, dtype=torch.float64)
    window = max(len(values) // SMOOTHED, 1)
    means = values.unfold(0, window, 1).mean(-1)
    figure = Figure(figsize=(8, 4.5), dpi=100, layout="constrained")
    axes = figure.subplots()
    steps = torch.arange(1, len(values) + 1)
    axes.plot(steps, values, color="0.75", linewidth=0.8, label="each step")
    axes.plot(steps[window - 1:], means, color="crimson", linewidth=1.8, label=f"mean of {window}")
    axes.set(xlabel="step", ylabel="loss", yscale="log", title=f"step {len(values)}, loss {means[-1]:.4g}")
    axes.legend(loc="upper right")
    return draw_figure(figure)
