"""Training EX-4D's adapter: Wan handed in, prepared clips in, an adapter in the released layout out."""

from .loop import train
from .model import AdaptedWan
from .record import RunState, adapter_file, plot_losses
from .rules import TrainingRules
from .validation import Validation

__all__ = ["AdaptedWan", "RunState", "TrainingRules", "Validation", "adapter_file", "plot_losses", "train"]
