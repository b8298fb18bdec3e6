"""Depth from a model on the command line: `ex4d prior --depth-model`, and `ex4d download` for its weights."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from ..clip import Clip
from ..depth import VideoDepth
from ..estimators.clip_depth import ClipRules, estimate_clip_depth
from ..estimators.depthcrafter import UNET_FOLDER
from ..estimators.estimate import place_on
from ..estimators.weights import CATALOGUE, download_weights, find_weights
from .terminal import add_command, progress_bar, say

PARALLAX = "parallax"
PRECISIONS = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
NAMES = f"{PARALLAX}, {', '.join(CATALOGUE)}, a Video-Depth-Anything weights file, or a transformers model's folder"


def models_folder() -> Path:
    """ComfyUI's models folder where COMFYUI_PATH says where it stands, else ./models."""
    return Path(os.environ["COMFYUI_PATH"]) / "models" if os.environ.get("COMFYUI_PATH") else Path("models")


def add_models_option(parser) -> None:
    parser.add_argument("--models", type=Path, default=models_folder(), metavar="DIR",
                        help="models folder, ComfyUI's or one like it (default: $COMFYUI_PATH/models, else ./models)")


def add_download_command(commands) -> None:
    lines = [f"  {name:34}{weights.megabytes:6.0f} MB  {weights.licence}" for name, weights in CATALOGUE.items()]
    parser = add_command(commands, "download", download, "Fetch the weights of a depth model.",
                         "\n".join(["names:", *lines]))
    parser.add_argument("name", choices=list(CATALOGUE), metavar="NAME", help="see below")
    add_models_option(parser)


def download(options) -> None:
    fetched = download_weights(options.name, options.models)
    for path in fetched:
        print(path)
    if not fetched:
        print(f"{options.name}: is there already, in {options.models / CATALOGUE[options.name].folder}")


def add_estimate_options(parser) -> None:
    """Options of the depth that --depth-model finds."""
    depth = parser.add_argument_group("depth from a model (--depth-model)")
    depth.add_argument("--depth-scale-rule", choices=["released", "as-given", "near-and-far"], default="released",
                       help="released: disparity over the clip, nearest at 2.564 (default); as-given: the model's own "
                       "units; near-and-far: disparity between --near and --far")
    depth.add_argument("--alignment", choices=["auto", "none", "scale", "scale-and-shift"], default="auto",
                       help="solved per frame over the clip (default: auto, what suits the model)")
    depth.add_argument("--smoothing", type=int, default=0, metavar="N", help="frames averaged along the flow, each way")
    depth.add_argument("--edge-width", type=int, default=0, metavar="PX", help="land pixels that fly between surfaces")
    depth.add_argument("--cuts", choices=["refuse", "split", "ignore"], default="refuse",
                       help="what to do where the clip cuts (default: refuse)")
    depth.add_argument("--source-camera", choices=["at-rest", "estimate"], default="at-rest",
                       help="estimate: find the source camera's motion (default: at-rest)")
    depth.add_argument("--depth-resolution", type=int, metavar="PX", help="side at which the model sees the clip")
    depth.add_argument("--steps", type=int, default=5, help="of DepthCrafter (default: 5)")
    depth.add_argument("--window", type=int, default=110, help="frames DepthCrafter sees at once (default: 110)")
    depth.add_argument("--overlap", type=int, default=25, help="frames that its windows share (default: 25)")
    depth.add_argument("--guidance", type=float, default=1.0, help="of DepthCrafter (default: 1, none)")
    depth.add_argument("--depth-meaning", choices=["depth", "disparity"],
                       help="what a transformers model's numbers are, where it does not say")
    depth.add_argument("--precision", choices=list(PRECISIONS), default="float32", help="default: float32")
    add_models_option(depth)


def clip_rules(options) -> ClipRules:
    """The rules the options ask for. Raises ValueError where one is out of range."""
    for name in ("smoothing", "edge_width"):
        if not 0 <= getattr(options, name) <= 8:
            raise ValueError(f"--{name.replace('_', '-')}: got {getattr(options, name)}, must be 0..8")
    scale, alignment = (text.replace("-", " ") for text in (options.depth_scale_rule, options.alignment))
    near = 1.0 if options.near is None else options.near
    far = 100.0 if options.far is None else options.far
    return ClipRules(scale, near, far, None if alignment == "auto" else alignment, options.smoothing,
                     options.edge_width, options.cuts, options.source_camera == "estimate")


def estimate_depth(options, clip: Clip, intrinsics: Tensor | None) -> VideoDepth:
    """Depth of a clip by --depth-model; what there is to say of it goes to the terminal."""
    rules = clip_rules(options)
    estimate, each_alone = choose_estimator(options, clip.frames, intrinsics)
    with progress_bar("depth") as progress:
        made = estimate_clip_depth(clip.frames, estimate, each_alone, rules, intrinsics, progress)
    for note in made.notes:
        say(note)
    return made.depth


def choose_estimator(options, frames: Tensor, intrinsics: Tensor | None) -> tuple[Callable, bool]:
    """The estimate(shot, progress) of the model asked for, and whether it looks at each frame alone."""
    from ..estimators import depthcrafter, parallax, per_frame, video_depth_anything

    name, place, dtype = options.depth_model, place_on(options.device), PRECISIONS[options.precision]
    if name == PARALLAX:
        return lambda shot, progress: parallax.estimate_parallax(frames[shot], intrinsics, progress), True
    path, kind = find_model(name, options.models)
    if kind == "depthcrafter":
        rules = depthcrafter.DepthCrafterRules(options.steps, options.guidance, options.window, options.overlap,
                                               options.depth_resolution or 1024)
        model = depthcrafter.load_depthcrafter(path, dtype)
        return lambda shot, progress: model.estimate(frames[shot], place, rules, progress), False
    if kind == "depth":
        model = per_frame.load_per_frame(path, dtype, options.depth_meaning)
        return lambda shot, progress: model.estimate(frames[shot], place, progress), True
    model = video_depth_anything.load_video_depth_anything(path, dtype)
    resolution = options.depth_resolution or video_depth_anything.RESOLUTION
    return lambda shot, progress: model.estimate(frames[shot], place, resolution, progress), False


def find_model(name: str, models: Path) -> tuple[Path, str]:
    """Where a model lies, and of which kind it is: the folder of models that its like belong to."""
    if name in CATALOGUE:
        weights = CATALOGUE[name]
        folder = find_weights(name, [models / weights.folder])
        if weights.folder == "video_depth_anything":
            return folder / next(iter(weights.repositories[0].files)), weights.folder
        return folder / weights.repositories[0].folder if weights.folder == "depth" else folder, weights.folder
    path = Path(name)
    if path.is_dir():
        return path, "depthcrafter" if (path / UNET_FOLDER).is_dir() else "depth"
    if path.is_file():
        return path, "video_depth_anything"
    raise ValueError(f"--depth-model: there is no {name!r}; use {NAMES}")
