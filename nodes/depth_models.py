"""Depth of a clip from a model of the user's choice, steady over time."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import get_args

from comfy_api.latest import io, ui
from torch import Tensor

from ..ex4d_ops.clip import size_of
from ..ex4d_ops.depth import VideoDepth, match_depth
from ..ex4d_ops.estimators.clip_depth import ClipDepth, ClipRules, estimate_clip_depth, steady_given_depth
from ..ex4d_ops.estimators.estimate import place_on
from ..ex4d_ops.estimators.registry import ESTIMATORS, PRECISIONS, Estimator, Setting, catalogued, find_model
from ..ex4d_ops.estimators.steadiness import Alignment, Cuts
from ..ex4d_ops.opencv import need_opencv
from ..ex4d_ops.plot import draw_depth
from . import depth_memory, sockets
from .depth import GIVEN, lens_input, read_da3, read_lens, read_moge
from .folders import model_folders
from .progress import show_progress
from .queued import complaint_of, written_inputs

SOCKET = "depth input"
DEFAULT_FILE = "video_depth_anything_vits.pth"
DEFAULT_FOLDER = "Depth-Anything-V2-Small-hf"
AUTO = "auto"
SKY_THRESHOLD = 0.5  # of Depth Anything 3's sky probability, as in Depth from Geometry


def model_input() -> io.Input:
    """The choice of a model and of its settings."""
    files = list_weights()
    first = DEFAULT_FILE if DEFAULT_FILE in files or not files else files[0]
    weights = {
        "Video-Depth-Anything": [
            io.Combo.Input("file", options=files, default=first,
                           tooltip="Weights file in models/video_depth_anything. vits: Apache-2.0. vitb and vitl: for "
                                   "non-commercial use only. Files named metric_ give depth in meters."),
        ],
        "per-frame model": [
            io.Combo.Input("folder", options=list_folders(), default=DEFAULT_FOLDER,
                           tooltip="Folder in models/depth with a depth-estimation model of transformers."),
        ],
    }
    options = [io.DynamicCombo.Option(title, weights.get(title, []) + [
        setting_input(setting) for setting in estimator.settings if not setting.typed])
        for title, estimator in ESTIMATORS.items()]
    return io.DynamicCombo.Input("model", options=[
        *options,
        io.DynamicCombo.Option(SOCKET, [
            io.MultiType.Input("depth", [sockets.Depth, sockets.DA3Geometry, sockets.MoGeGeometry],
                               tooltip="Depth of this clip from other nodes. Convert depth images with Depth from "
                                       "Images first."),
        ]),
    ],
    tooltip="Depth model. Video-Depth-Anything: steady over time, the default. DepthCrafter: the diffusion model that "
            "gave the released EX-4D its depth, for non-commercial use only. per-frame model: any depth model of "
            "transformers, made steady over time. parallax: needs no model, but a camera that moves sideways past a "
            "scene that stands still. depth input: depth from other nodes, made steady over time.")


def setting_input(setting: Setting) -> io.Input:
    """The input of one of an estimator's settings."""
    if setting.choices:
        return io.Combo.Input(setting.name, options=list(setting.choices), default=str(setting.default),
                              tooltip=setting.help)
    if isinstance(setting.default, float):
        return io.Float.Input(setting.name, default=setting.default, min=setting.low, max=setting.high,
                              step=setting.step, tooltip=setting.help)
    widget = partial(io.Int.Input, setting.name, default=int(setting.default), min=int(setting.low),
                     max=int(setting.high), tooltip=setting.help)
    if setting.name == "seed":
        return widget(control_after_generate=io.ControlAfterGenerate.fixed)
    return widget(step=int(setting.step)) if setting.step != 1 else widget()


def list_weights() -> list[str]:
    """The weights files that are there. One that is named and is not, the front end offers for download."""
    return sorted({file.name for folder in model_folders("video_depth_anything") if folder.is_dir()
                   for file in folder.iterdir() if file.suffix in (".pth", ".safetensors")})


def list_folders() -> list[str]:
    """The public per-frame models, and what else lies in the folders for them."""
    found = {config.parent.name for folder in model_folders("depth") for config in folder.glob("*/config.json")}
    public = catalogued("depth")
    return [*public, *sorted(found - set(public))]


class EstimateVideoDepth(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="EstimateVideoDepth",
            display_name="Estimate Video Depth (EX-4D)",
            category="EX-4D/depth",
            description="Estimates the depth of a clip with a model of your choice, steady over time. Nothing is "
                        "downloaded automatically: if a file is missing, an error names its size, license and "
                        "address before anything runs.",
            search_aliases=["DepthCrafter", "Video Depth Anything", "depth anything v2", "depth pro", "monocular depth",
                            "parallax", "steady depth", "temporal consistency"],
            inputs=[
                io.Image.Input("images", tooltip="Frames of the clip, 1 to 1000."),
                model_input(),
                io.DynamicCombo.Input("scale", options=[
                    io.DynamicCombo.Option("released", []),
                    io.DynamicCombo.Option(GIVEN, []),
                    io.DynamicCombo.Option("near and far", [
                        io.Float.Input("near", default=1.0, min=1e-6, max=1e9, step=0.0001,
                                       tooltip="Depth of the nearest point of the clip, in scene units."),
                        io.Float.Input("far", default=100.0, min=1e-6, max=1e9, step=0.0001,
                                       tooltip="Depth of the farthest point of the clip, in scene units."),
                    ]),
                ],
                tooltip="Unit of the depth. released: normalizes disparity over the clip, with the nearest point at "
                        "2.564 scene units, as EX-4D was trained. as given: keeps the unit of a model that gives "
                        "depth, in meters or its own. near and far: normalizes disparity over the clip between two "
                        "depths that you set."),
                lens_input(io.DynamicCombo.Option(GIVEN, [])),
                io.Combo.Input("source_camera", options=["at rest", "estimate"], default="at rest",
                               tooltip="Motion of the source camera. at rest: assumes that it stands still, or moves "
                                       "as a depth input says. estimate: finds its motion from the frames and their "
                                       "depth, and stops with an error if it cannot."),
                io.Combo.Input("cuts", options=list(get_args(Cuts)), default="refuse",
                               tooltip="What to do if the clip cuts to another shot. refuse: stops with an error that "
                                       "names the frame. split: gives each shot its own depth and scale. ignore: does "
                                       "not look for cuts."),
                io.Combo.Input("alignment", options=[AUTO, *get_args(Alignment)], default=AUTO,
                               advanced=True,
                               tooltip="What to correct in each frame so that the depth is steady over the clip. auto: "
                                       "corrects nothing for video models, scale and shift for disparity, and scale "
                                       "for depth. none, scale, scale and shift: correct just that."),
                io.Int.Input("smoothing", default=0, min=0, max=8, advanced=True,
                             tooltip="Number of frames before and after to average along the motion in the clip. Edges "
                                     "are kept. 0: no smoothing."),
                io.Int.Input("edge_width", default=0, min=0, max=8, advanced=True,
                             tooltip="Width, in pixels to each side, over which the model blurs depth edges. Pixels "
                                     "between two surfaces move to one of them. 0: leaves edges as they are."),
                io.Combo.Input("precision", options=[AUTO, *PRECISIONS], default=AUTO, advanced=True,
                               tooltip="Number format that the model computes in. auto: uses float16 if the device is "
                                       "fast with it, otherwise float32."),
            ],
            outputs=[
                sockets.Depth.Output("depth", tooltip="Depth of the clip, with the source cameras."),
                io.Image.Output("preview", tooltip="Depth images. Near is bright."),
                io.String.Output("notes",
                                 tooltip="What was found: shots, doubts about the depth, steadiness, and the residual "
                                         "of the source camera."),
            ],
        )

    @classmethod
    def validate_inputs(cls, model, *, scale=None, lens=None) -> bool | str:  # every dynamic combo comes; one is blamed
        estimator, chosen = ESTIMATORS.get(model["model"]), written_inputs("model")
        if find_spec("cv2") is None:
            return complaint_of(need_opencv)
        if estimator is None or estimator.folder is None or not chosen:
            return True
        return complaint_of(find_chosen, estimator, chosen)

    @classmethod
    def execute(cls, images, model, scale, lens, source_camera, cuts, alignment, smoothing, edge_width,
                precision) -> io.NodeOutput:
        frames = sockets.read_frames("images", images).cpu()
        rules = ClipRules(scale["scale"], scale.get("near", 1.0), scale.get("far", 100.0),
                          None if alignment == AUTO else alignment, smoothing, edge_width, cuts,
                          source_camera == "estimate")
        made = find_depth(frames, model, rules, read_lens(lens, size_of(frames)), precision)
        notes = "\n".join(made.notes)
        outputs = sockets.keep(made.depth), sockets.as_images(draw_depth(made.depth.depth)), notes
        return io.NodeOutput(*outputs, ui=ui.PreviewText(notes)) if notes else io.NodeOutput(*outputs)


def find_depth(frames: Tensor, model: dict, rules: ClipRules, intrinsics: Tensor | None, precision: str) -> ClipDepth:
    """Depth of frames by the model chosen."""
    progress = show_progress()
    if model["model"] == SOCKET:
        given = match_depth(frames, read_given(model["depth"]), resize=True)
        if intrinsics is not None:
            given = replace(given, intrinsics=intrinsics.expand_as(given.intrinsics))
        return steady_given_depth(frames, given, rules, progress)
    estimator = ESTIMATORS[model["model"]]
    settings = {setting.name: model.get(setting.name, setting.default) for setting in estimator.settings}
    loaded, place = None, place_on(frames.device)
    if estimator.read is not None and estimator.folder is not None:
        path = find_chosen(estimator, model)
        loaded, place = depth_memory.load(estimator.read, path, depth_memory.choose_precision(precision),
                                          *(settings[name] for name in estimator.reading))
    estimate = estimator.over_shots(loaded, frames, place, settings, intrinsics)
    return estimate_clip_depth(frames, estimate, estimator.each_alone, rules, intrinsics, progress)


def find_chosen(estimator: Estimator, model: dict) -> Path:
    """Where the weights chosen for an estimator lie. Raises ValueError saying where to get them."""
    return find_model(estimator, model.get("file") or model.get("folder") or "", model_folders(estimator.folder or ""))


def read_given(depth: VideoDepth | dict) -> VideoDepth:
    """Depth from whichever socket it came by."""
    if isinstance(depth, dict):
        return read_da3(depth, SKY_THRESHOLD, True) if "mode" in depth else read_moge(depth)
    return depth
