"""Training EX-4D's adapter: a video model handed in, prepared clips in, an adapter in the released layout out.

Read rules.py, what can be chosen; loop.py, the run; model.py, the model with what is trained; objective.py, the loss.
clips.py stacks clips, validation.py looks at others, record.py keeps a run on disk, config.py reads it from YAML.
"""

from .loop import train
from .model import AdaptedWan, adapt
from .record import RunState, adapter_file, plot_losses
from .rules import TrainingRules
from .validation import Validation

__all__ = ["AdaptedWan", "RunState", "TrainingRules", "Validation", "adapt", "adapter_file", "plot_losses", "train"]
