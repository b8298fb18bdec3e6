"""Depth from a model on the command line: `ex4d prior --depth-model`, and `ex4d download` for its weights."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from ..estimators.registry import ESTIMATORS, PRECISIONS, Estimator, Setting, find_model, recognize
from ..estimators.rules import Alignment, ClipRules, Cuts, Scale
from ..estimators.weights import CATALOGUE, download_weights
from ..evaluation.weights import EVALUATORS
from .options import as_help
from .terminal import add_command, hyphened, progress_bar, say, spaced

if TYPE_CHECKING:
    from torch import Tensor

    from ..clip import Clip
    from ..depth import VideoDepth

PARALLAX = "parallax"
PUBLIC = {**CATALOGUE, **EVALUATORS}
NAMES = f"{PARALLAX}, {', '.join(CATALOGUE)}, a Video-Depth-Anything weights file, or a transformers model's folder"


def models_folder() -> Path:
    """ComfyUI's models folder where COMFYUI_PATH says where it stands, else ./models."""
    return Path(os.environ["COMFYUI_PATH"]) / "models" if os.environ.get("COMFYUI_PATH") else Path("models")


def add_models_option(parser) -> None:
    parser.add_argument("--models", type=Path, default=models_folder(), metavar="DIR",
                        help="models folder, ordered like ComfyUI's (default: $COMFYUI_PATH/models, or else ./models)")


def add_download_command(commands) -> None:
    lines = [f"  {name:34}{weights.megabytes:6.0f} MB  {weights.licence}" for name, weights in PUBLIC.items()]
    parser = add_command(commands, "download", download, "Download the weights of a depth model or a measure.",
                         "\n".join(["names:", *lines]))
    parser.add_argument("name", choices=list(PUBLIC), metavar="NAME", help="name of the model, listed below")
    add_models_option(parser)


def download(options) -> None:
    fetched = download_weights(options.name, options.models, catalogue=PUBLIC)
    for path in fetched:
        print(path)
    if not fetched:
        print(f"{options.name}: is already in {options.models / PUBLIC[options.name].folder}")


def model_options() -> dict[str, list[tuple[str, Setting]]]:
    """The settings of all estimators by their option: several of them can have the same one."""
    options: dict[str, list[tuple[str, Setting]]] = {}
    for title, estimator in ESTIMATORS.items():
        for setting in estimator.settings:
            options.setdefault(setting.option, []).append((title, setting))
    return options


def add_estimate_options(parser) -> None:
    """Options of the depth that --depth-model finds."""
    depth = parser.add_argument_group("depth from a model (--depth-model)")
    depth.add_argument("--depth-scale-rule", choices=hyphened(get_args(Scale)), default="released",
                       help="scale of the depth. released: normalizes disparity over the clip, nearest point at 2.564; "
                       "as-given: keeps the units of the model; near-and-far: maps disparity to the range from "
                       "--near to --far (default: released)")
    depth.add_argument("--alignment", choices=["auto", *hyphened(get_args(Alignment))], default="auto",
                       help="what to correct per frame against flicker (default: auto, what suits the model)")
    depth.add_argument("--smoothing", type=int, default=0, metavar="N",
                       help="number of frames before and after to average along the motion, 0..8 (default: 0)")
    depth.add_argument("--edge-width", type=int, default=0, metavar="PX",
                       help="width of blurred depth edges to sharpen, in pixels, 0..8 (default: 0, off)")
    depth.add_argument("--cuts", choices=get_args(Cuts), default="refuse",
                       help="what to do if the clip cuts to another shot. refuse: stops with an error; split: gives "
                       "each shot a depth of its own; ignore: does not look for cuts (default: refuse)")
    depth.add_argument("--source-camera", choices=["at-rest", "estimate"], default="at-rest",
                       help="motion of the source camera. at-rest: it does not move; estimate: finds how it moved "
                       "(default: at-rest)")
    for option, settings in model_options().items():
        first = settings[0][1]
        depth.add_argument(option, type=type(first.default), metavar=None if first.choices else "N",
                           choices=hyphened(first.choices) or None,
                           help="; ".join(f"{title}: {as_help(setting.help)} (default: {setting.default})"
                                         for title, setting in settings))
    depth.add_argument("--precision", choices=list(PRECISIONS), default="float32",
                       help="number format the model computes in (default: float32)")
    add_models_option(depth)


def clip_rules(options) -> ClipRules:
    """The rules the options ask for. Raises ValueError where one is out of range."""
    for name in ("smoothing", "edge_width"):
        if not 0 <= getattr(options, name) <= 8:
            raise ValueError(f"--{name.replace('_', '-')}: got {getattr(options, name)}, must be 0..8")
    scale, alignment = map(spaced, (options.depth_scale_rule, options.alignment))
    near = 1.0 if options.near is None else options.near
    far = 100.0 if options.far is None else options.far
    return ClipRules(scale, near, far, None if alignment == "auto" else alignment, options.smoothing,
                     options.edge_width, options.cuts, options.source_camera == "estimate")


def choose_model(options) -> tuple[Estimator, Path, dict, ClipRules]:
    """The estimator that --depth-model means, where its weights lie, its settings and the rules of its depth.

    Raises ValueError where there is no such model, or a setting is out of range.
    """
    rules = clip_rules(options)
    estimator, path = choose_estimator(options.depth_model, options.models)
    return estimator, path, model_settings(options, estimator), rules


def estimate_depth(options, clip: Clip, intrinsics: Tensor | None) -> VideoDepth:
    """Depth of a clip by --depth-model; its notes are printed."""
    import torch

    from ..estimators.clip_depth import estimate_clip_depth
    from ..estimators.estimate import place_on

    estimator, path, settings, rules = choose_model(options)
    model = None if estimator.read is None else estimator.read(
        path, getattr(torch, options.precision), *(settings[name] for name in estimator.reading))
    place = place_on(torch.device(options.device))
    estimate = estimator.over_shots(model, clip.frames, place, settings, intrinsics)
    with progress_bar("depth") as progress:
        made = estimate_clip_depth(clip.frames, estimate, estimator.each_alone, rules, intrinsics, progress)
    for note in made.notes:
        say(note)
    return made.depth


def choose_estimator(name: str, models: Path) -> tuple[Estimator, Path]:
    """The estimator of the model asked for, and where its weights lie."""
    if name == PARALLAX:
        return ESTIMATORS[PARALLAX], models
    if name in CATALOGUE:
        weights = CATALOGUE[name]
        estimator = next(estimator for estimator in ESTIMATORS.values() if estimator.folder == weights.folder)
        return estimator, find_model(estimator, weights.place, [models / weights.folder])
    if not Path(name).exists():
        raise ValueError(f"--depth-model: '{name}' is not a model or a file; use {NAMES}")
    return ESTIMATORS[recognize(Path(name))], Path(name)


def model_settings(options, estimator: Estimator) -> dict:
    """The settings of an estimator, as far as options give them. Raises ValueError where one is out of range."""
    own = {setting.option: setting for setting in estimator.settings}
    settings = {setting.name: setting.default for setting in own.values()}
    for option in model_options():
        given = getattr(options, option.removeprefix("--").replace("-", "_"))
        if given is None:
            continue
        if option not in own:
            raise ValueError(f"{option}: {options.depth_model} does not have this setting; leave it out")
        setting = own[option]
        least = min(setting.low, setting.step)  # a resolution of one step is the least that a network can see
        if not setting.choices and not least <= given <= setting.high:
            raise ValueError(f"{option}: got {given:g}, must be {least:g}..{setting.high:g}")
        settings[setting.name] = spaced(given) if setting.choices else given
    return settings
