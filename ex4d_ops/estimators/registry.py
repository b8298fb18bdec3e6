"""The estimators of video depth that there are: how each is opened and run, and what its users choose.

The node and the command line read this table; who adds an estimator adds a row.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from ..clip import Progress
from .rules import RESOLUTION, DepthCrafterRules
from .weights import CATALOGUE, UNET_FOLDER, find_weights

if TYPE_CHECKING:  # the table is read before torch is asked for
    import torch
    from torch import Tensor

    from .estimate import Estimate, EstimateKind, Place

PRECISIONS = ("float32", "float16", "bfloat16")  # torch's names
SAID: Final = "as it says"


@dataclass(frozen=True)
class Setting:
    """One choice of an estimator's user. option: its name on the command line; low and high are included.

    typed: it is for the command line alone. A node saves the widgets of its choices by position, so that one widget
    more would shift those behind it in saved workflows.
    """

    name: str
    option: str
    default: int | float | str
    help: str
    low: float = 0
    high: float = 0
    step: float = 1
    choices: tuple[str, ...] = ()
    typed: bool = False


@dataclass(frozen=True)
class Estimator:
    """One row of the table.

    each_alone: it looks at each frame by itself, so that its depth has to be made steady. run(model, frames, place,
    rules, intrinsics, progress): rules is what make_rules(**settings) gives. folder: of its weights, below ComfyUI's
    models folder; read(path, precision, *settings named in reading): the model; both None where it needs no weights.
    """

    each_alone: bool
    run: Callable[[object, Tensor, Place, object, Tensor | None, Progress], Estimate]
    settings: tuple[Setting, ...] = ()
    make_rules: Callable[..., object] = dict
    folder: str | None = None
    read: Callable[..., object] | None = None
    reading: tuple[str, ...] = ()

    def over_shots(self, model: object, frames: Tensor, place: Place, settings: dict,
                   intrinsics: Tensor | None) -> Callable[[slice, Progress], Estimate]:
        """The estimate(shot, progress) that estimate_clip_depth asks for. Raises ValueError where settings clash."""
        rules = self.make_rules(**settings)
        return lambda shot, progress: self.run(model, frames[shot], place, rules, intrinsics, progress)


def run_with_rules(model, frames: Tensor, place: Place, rules: object, intrinsics: Tensor | None,
                   progress: Progress) -> Estimate:
    return model.estimate(frames, place, rules, progress)


def run_per_frame(model, frames: Tensor, place: Place, rules: object, intrinsics: Tensor | None,
                  progress: Progress) -> Estimate:
    return model.estimate(frames, place, progress)


def run_parallax(model: object, frames: Tensor, place: Place, rules: object, intrinsics: Tensor | None,
                 progress: Progress) -> Estimate:
    from .parallax import estimate_parallax

    return estimate_parallax(frames, intrinsics, progress)


def read_per_frame(path: Path, precision: torch.dtype, meaning: EstimateKind | Literal["as it says"]) -> object:
    from .per_frame import load_per_frame

    return load_per_frame(path, precision, None if meaning == SAID else meaning)


def read_video_depth_anything(path: Path, precision: torch.dtype, meaning: str) -> object:
    from .video_depth_anything import load_video_depth_anything

    return load_video_depth_anything(path, precision, None if meaning == SAID else meaning == "depth")


def read_depthcrafter(path: Path, precision: torch.dtype) -> object:
    from .depthcrafter import load_depthcrafter

    return load_depthcrafter(path, precision)


def meaning_setting(help: str, typed: bool = False) -> Setting:
    """The choice of what a model's numbers mean."""
    return Setting("meaning", "--depth-meaning", SAID, help, choices=(SAID, "depth", "disparity"), typed=typed)


ESTIMATORS: dict[str, Estimator] = {
    "Video-Depth-Anything": Estimator(
        False, run_with_rules,
        (Setting("resolution", "--depth-resolution", RESOLUTION,
                 "Shorter side of the frames the model sees, in pixels. It was trained at 518.", 112, 2044, 14),
         meaning_setting("Whether the weights give disparity, or depth in meters. as it says: depth where the "
                         "file's name contains the word metric.", typed=True)),
        lambda resolution, meaning: resolution, "video_depth_anything", read_video_depth_anything, ("meaning",)),
    "DepthCrafter": Estimator(
        False, run_with_rules,
        (Setting("steps", "--steps", DepthCrafterRules.steps, "Number of denoising steps. EX-4D uses 5.", 1, 100),
         Setting("guidance", "--guidance", DepthCrafterRules.guidance,
                 "Guidance scale. 1 means no guidance, which is twice as fast. EX-4D uses 1.", 1.0, 20.0, 0.1),
         Setting("window", "--window", DepthCrafterRules.window,
                 "Number of frames seen at once. More frames need more memory. EX-4D uses 110.", 2, 1000),
         Setting("overlap", "--overlap", DepthCrafterRules.overlap,
                 "Number of frames that neighboring windows share. EX-4D uses 25.", 0, 999),
         Setting("resolution", "--depth-resolution", DepthCrafterRules.resolution,
                 "Longest side of the frames the model sees, in pixels.", 64, 4096, 64),
         Setting("seed", "--depth-seed", DepthCrafterRules.seed,
                 "Random seed. The same seed gives the same result.", 0, 2**32 - 1)),
        DepthCrafterRules, "depthcrafter", read_depthcrafter),
    "per-frame model": Estimator(
        True, run_per_frame,
        (meaning_setting("Whether the model gives depth or disparity. as it says: reads it from the model's "
                         "configuration."),),
        folder="depth", read=read_per_frame, reading=("meaning",)),
    "parallax": Estimator(True, run_parallax),
}
FOLDERS = tuple(estimator.folder for estimator in ESTIMATORS.values() if estimator.folder)


def catalogued(folder: str | None) -> dict[str, str]:
    """The public weights that belong in a folder for models: their file or folder there -> their name."""
    return {entry.place: name for name, entry in CATALOGUE.items() if entry.folder == folder}


def find_model(estimator: Estimator, name: str, folders: list[Path]) -> Path:
    """Where the weights called name lie in the folders for an estimator. Raises ValueError saying where to get them."""
    if not is_below(name):
        raise ValueError(f"model: '{name}' is not a name in {folders[0]}; put the model there and give its name")
    public = catalogued(estimator.folder).get(name)
    if public is not None:
        return find_weights(public, folders) / name
    found = next((folder / name for folder in folders if (folder / name).exists()), None)
    if found is None:
        raise ValueError(f"model: '{name}' is not in {folders[0]}; put it there or choose another model")
    return found


def is_below(name: str) -> bool:
    """Whether a name stays in the folder that it is looked up in; links in that folder are its owner's."""
    return not (os.path.isabs(name) or os.path.normpath(name).startswith(".."))


def recognize(path: Path) -> str:
    """The estimator whose weights lie at path."""
    if path.is_file():
        return "Video-Depth-Anything"
    return "DepthCrafter" if (path / UNET_FOLDER).is_dir() else "per-frame model"
