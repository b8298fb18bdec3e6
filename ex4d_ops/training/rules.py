"""What a training run is asked for."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from .model import RELEASED_HIDDEN
from .objective import RELEASED_SHIFT, Expert, Objective

LATER = ("expert",)  # rules that runs of version 0.1 did not know
# What may change when a run goes on; everything else would make it another run.
MAY_CHANGE = ("steps", "save_every", "validate_every", "validation_steps", "tensorboard", "recompute")


@dataclass(frozen=True)
class TrainingRules:
    """How an adapter is trained; the defaults are the paper's.

    steps: of the optimiser. batch: clips at once, per process; accumulation: batches per step and process.
    rank: of the LoRA, its alpha is the same. hidden_channels: inside the prior encoder, 1024 in the released one.
    objective, shift: see objective.py. ema: decay per step of the averaged weights that are saved instead, 0 = off.
    recompute: gradient checkpointing, one tensor per block is kept. *_every: steps; validation_steps: of the sampler.
    expert: of Wan 2.2 I2V, which the base is; only its noise levels are drawn. "both": a base for all levels.
    """

    steps: int = 1000
    batch: int = 1
    accumulation: int = 1
    learning_rate: float = 3e-5
    rank: int = 16
    hidden_channels: int = RELEASED_HIDDEN
    objective: Objective = "velocity"
    shift: float = RELEASED_SHIFT
    ema: float = 0.0
    recompute: bool = True
    seed: int = 0
    save_every: int = 100
    validate_every: int = 500
    validation_steps: int = 25
    tensorboard: bool = True
    expert: Expert = "both"

    def fixed(self) -> dict:
        """What must stay as it is while a run goes on; rules that older runs did not know, where they are used."""
        unused = [name for name in LATER if getattr(self, name) == getattr(TrainingRules, name)]
        return {name: value for name, value in asdict(self).items() if name not in (*MAY_CHANGE, *unused)}
