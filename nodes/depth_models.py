"""Depth of a clip from a model of the user's choice, steady over time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from comfy_api.latest import io, ui
from torch import Tensor

from ..ex4d_ops.depth import VideoDepth, match_depth
from ..ex4d_ops.estimators.clip_depth import ClipDepth, ClipRules, estimate_clip_depth, steady_given_depth
from ..ex4d_ops.estimators.weights import CATALOGUE, find_weights
from ..ex4d_ops.plot import draw_depth
from . import models, sockets
from .depth import GIVEN, lens_input, read_da3, read_lens, read_moge
from .progress import show_progress

VIDEO_DEPTH_ANYTHING, DEPTHCRAFTER, PER_FRAME = "Video-Depth-Anything", "DepthCrafter", "per-frame model"
PARALLAX, SOCKET = "parallax", "depth input"
DEFAULT_FILE = "video_depth_anything_vits.pth"
DEFAULT_FOLDER = "Depth-Anything-V2-Small-hf"
AUTO = "auto"
SAID = "as it says"
SKY_THRESHOLD = 0.5  # of Depth Anything 3's sky probability, as in Depth from Geometry
FILES = {file: name for name, weights in CATALOGUE.items() if weights.folder == "video_depth_anything"
         for file in weights.repositories[0].files}
FOLDERS = {weights.repositories[0].folder: name for name, weights in CATALOGUE.items() if weights.folder == "depth"}


def model_input() -> io.Input:
    """The choice of a model and of its settings."""
    return io.DynamicCombo.Input("model", options=[
        io.DynamicCombo.Option(VIDEO_DEPTH_ANYTHING, [
            io.Combo.Input("file", options=list_weights(), default=DEFAULT_FILE,
                           tooltip="Weights in models/video_depth_anything. vits is Apache-2.0, vitb and vitl are for "
                                   "non-commercial use; those named metric_ give metres."),
            io.Int.Input("resolution", default=518, min=112, max=2044, step=14,
                         tooltip="Shorter side at which the model sees the clip, pixels. It was trained at 518."),
        ]),
        io.DynamicCombo.Option(DEPTHCRAFTER, [
            io.Int.Input("steps", default=5, min=1, max=100, tooltip="Denoising steps per frame. Released: 5."),
            io.Float.Input("guidance", default=1.0, min=1.0, max=20.0, step=0.1,
                           tooltip="Guidance factor; 1 is none, and twice as fast. Released: 1."),
            io.Int.Input("window", default=110, min=2, max=1000,
                         tooltip="Frames seen at once; memory grows with it. Released: 110."),
            io.Int.Input("overlap", default=25, min=0, max=999, tooltip="Frames that windows share. Released: 25."),
            io.Int.Input("resolution", default=1024, min=64, max=4096, step=64,
                         tooltip="Longer side at which the model sees the clip at most, pixels."),
            io.Int.Input("seed", default=42, min=0, max=2**32 - 1,
                         control_after_generate=io.ControlAfterGenerate.fixed,
                         tooltip="A number that draws the noise it starts from."),
        ]),
        io.DynamicCombo.Option(PER_FRAME, [
            io.Combo.Input("folder", options=list_folders(), default=DEFAULT_FOLDER,
                           tooltip="Folder of a depth-estimation model of transformers in models/depth."),
            io.Combo.Input("meaning", options=[SAID, "depth", "disparity"], default=SAID,
                           tooltip="What the model's numbers are, where its configuration does not say."),
        ]),
        io.DynamicCombo.Option(PARALLAX, []),
        io.DynamicCombo.Option(SOCKET, [
            io.MultiType.Input("depth", [sockets.Depth, sockets.DA3Geometry, sockets.MoGeGeometry],
                               tooltip="Depth that other nodes found of this clip, to be made steady; pictures come "
                                       "through Depth from Images, which asks what they mean."),
        ]),
    ], tooltip="Video-Depth-Anything: steady by itself, the default. DepthCrafter: the released EX-4D's depth, by "
               "diffusion; its weights are for non-commercial use only. per-frame model: any of transformers, made "
               "steady. parallax: no model at all, for clips whose camera moves sideways past a scene at rest. depth "
               "input: what other nodes found, made steady.")


def list_weights() -> list[str]:
    """The public weights files, and what else lies in the folders for them."""
    found = {file.name for folder in models.model_folders("video_depth_anything") if folder.is_dir()
             for file in folder.iterdir() if file.suffix in (".pth", ".safetensors")}
    return [*FILES, *sorted(found - set(FILES))]


def list_folders() -> list[str]:
    """The public per-frame models, and what else lies in the folders for them."""
    found = {config.parent.name for folder in models.model_folders("depth") for config in folder.glob("*/config.json")}
    return [*FOLDERS, *sorted(found - set(FOLDERS))]


class EstimateVideoDepth(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="EstimateVideoDepth",
            display_name="Estimate Video Depth (EX-4D)",
            category="EX-4D/depth",
            description="Finds the depth of a clip with a model of your choice, steady over time. Nothing is "
                        "downloaded by itself: a missing file is named with its size, licence and address.",
            search_aliases=["DepthCrafter", "Video Depth Anything", "depth anything v2", "depth pro", "monocular depth",
                            "steady depth", "temporal consistency"],
            inputs=[
                io.Image.Input("images", tooltip="The clip, one to a thousand frames."),
                model_input(),
                io.DynamicCombo.Input("scale", options=[
                    io.DynamicCombo.Option("released", []),
                    io.DynamicCombo.Option(GIVEN, []),
                    io.DynamicCombo.Option("near and far", [
                        io.Float.Input("near", default=1.0, min=1e-6, max=1e9, step=0.0001,
                                       tooltip="Depth of the nearest point of the clip, scene units."),
                        io.Float.Input("far", default=100.0, min=1e-6, max=1e9, step=0.0001,
                                       tooltip="Depth of the farthest point of the clip, scene units."),
                    ]),
                ], tooltip="released: disparity normalised over the clip, the nearest point at 2.564 scene units, as "
                           "EX-4D was trained. as given: the units of a model that gives depth, metres or its own. "
                           "near and far: disparity normalised over the clip, between two depths that you know."),
                lens_input(io.DynamicCombo.Option(GIVEN, [])),
                io.Combo.Input("source_camera", options=["at rest", "estimate"], default="at rest",
                               tooltip="at rest: the source camera is taken to stand still, or to move as a depth "
                                       "input says. estimate: its motion is found from the frames and their depth, or "
                                       "refused where nothing tells it."),
                io.Combo.Input("cuts", options=["refuse", "split", "ignore"], default="refuse",
                               tooltip="What to do where the clip cuts to another shot. refuse: stop and say where. "
                                       "split: each shot gets a depth and a scale of its own. ignore: do not look for "
                                       "cuts."),
                io.Combo.Input("alignment", options=[AUTO, "none", "scale", "scale and shift"], default=AUTO,
                               advanced=True, tooltip="What is solved per frame over the whole clip so that depth "
                                                      "holds still. auto: nothing for video models; for others scale "
                                                      "and shift of disparity, scale of depth."),
                io.Int.Input("smoothing", default=0, min=0, max=8, advanced=True,
                             tooltip="Frames before and after that are averaged along the flow; 0: none. Edges are "
                                     "kept."),
                io.Int.Input("edge_width", default=0, min=0, max=8, advanced=True,
                             tooltip="Pixels to either side over which the model smears edges; those between two "
                                     "surfaces move to one of them. 0: edges stay as they are."),
                io.Combo.Input("precision", options=[AUTO, *models.PRECISIONS], default=AUTO, advanced=True,
                               tooltip="Numbers that the model computes with. auto: half where the device is made for "
                                       "it."),
            ],
            outputs=[
                sockets.Depth.Output("depth", tooltip="Depth of the clip, seen from its own cameras."),
                io.Image.Output("preview", tooltip="The same as pictures: near is bright."),
                io.String.Output("notes", tooltip="What was found: shots, doubts, steadiness, the residual of the "
                                                  "source camera."),
            ],
        )

    @classmethod
    def execute(cls, images, model, scale, lens, source_camera, cuts, alignment, smoothing, edge_width,
                precision) -> io.NodeOutput:
        frames = sockets.read_frames("images", images).cpu()
        rules = ClipRules(scale["scale"], scale.get("near", 1.0), scale.get("far", 100.0),
                          None if alignment == AUTO else alignment, smoothing, edge_width, cuts,
                          source_camera == "estimate")
        made = find_depth(frames, model, rules, read_lens(lens, frames.shape[1:3]), precision)
        notes = "\n".join(made.notes)
        return io.NodeOutput(sockets.keep(made.depth), sockets.as_images(draw_depth(made.depth.depth)), notes,
                             ui=ui.PreviewText(notes) if notes else None)


def find_depth(frames: Tensor, model: dict, rules: ClipRules, intrinsics: Tensor | None, precision: str) -> ClipDepth:
    """Depth of frames by the model chosen."""
    progress = show_progress()
    if model["model"] == SOCKET:
        given = match_depth(frames, read_given(model["depth"]), resize=True)
        if intrinsics is not None:
            given = replace(given, intrinsics=intrinsics.expand_as(given.intrinsics))
        return steady_given_depth(frames, given, rules, progress)
    estimate = choose_estimator(frames, model, models.choose_precision(precision), intrinsics)
    each_alone = model["model"] in (PER_FRAME, PARALLAX)
    return estimate_clip_depth(frames, estimate, each_alone, rules, intrinsics, progress)


def choose_estimator(frames: Tensor, model: dict, dtype, intrinsics: Tensor | None) -> Callable:
    """The estimate(shot, progress) of the model chosen, read from disk and placed by ComfyUI's memory management."""
    # Imported here: what they need is heavy, and not everybody has it.
    from ..ex4d_ops.estimators import depthcrafter, parallax, per_frame, video_depth_anything

    if model["model"] == PARALLAX:
        return lambda shot, progress: parallax.estimate_parallax(frames[shot], intrinsics, progress)
    if model["model"] == VIDEO_DEPTH_ANYTHING:
        path = find_model("video_depth_anything", model["file"], FILES.get(model["file"]))
        loaded, place = models.load(video_depth_anything.load_video_depth_anything, path, dtype)
        return lambda shot, progress: loaded.estimate(frames[shot], place, model["resolution"], progress)
    if model["model"] == DEPTHCRAFTER:
        settings = {name: value for name, value in model.items() if name != "model"}
        rules = depthcrafter.DepthCrafterRules(**settings)
        path = find_model("depthcrafter", "", "depthcrafter")
        loaded, place = models.load(depthcrafter.load_depthcrafter, path, dtype)
        return lambda shot, progress: loaded.estimate(frames[shot], place, rules, progress)
    path = find_model("depth", model["folder"], FOLDERS.get(model["folder"]))
    meaning = None if model["meaning"] == SAID else model["meaning"]
    loaded, place = models.load(per_frame.load_per_frame, path, dtype, meaning)
    return lambda shot, progress: loaded.estimate(frames[shot], place, progress)


def find_model(kind: str, name: str, catalogued: str | None) -> Path:
    """Where a model lies. Raises ValueError saying where to get it where it is missing."""
    folders = models.model_folders(kind)
    if catalogued is not None:
        return find_weights(catalogued, folders) / name
    found = next((folder / name for folder in folders if (folder / name).exists()), None)
    if found is None:
        raise ValueError(f"model: there is no {name} in {folders[0]}; put it there or choose another")
    return found


def read_given(depth: VideoDepth | dict) -> VideoDepth:
    """Depth from whichever socket it came by."""
    if isinstance(depth, dict):
        return read_da3(depth, SKY_THRESHOLD, True) if "mode" in depth else read_moge(depth)
    return depth
