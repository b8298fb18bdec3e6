"""Simulated training masks: rendering masks, tracking masks, random ones as their baseline, smooth crops."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import comfy.model_management
import folder_paths
import torch
from comfy_api.latest import io, ui

from ..ex4d_ops.camera import move_to
from ..ex4d_ops.clip import size_of
from ..ex4d_ops.prior import Prior
from ..ex4d_ops.raster import drawing_device
from ..ex4d_ops.simulate import (
    CROP_SHARE,
    DILATION,
    GRID_POINTS,
    SWEEP,
    Surface,
    crop_depth,
    crop_frames,
    draw_points,
    draw_windows,
    mask_frames,
    random_mask,
    rendering_mask,
    sweep_path,
    tracking_mask,
)
from ..ex4d_ops.tracking import Tracker, Tracks, load_tracker
from . import sockets
from .folders import TRACKER_FOLDER
from .progress import show_progress

CATEGORY = "EX-4D/train"
PREVIEW_FRAMES = 16


def seed_input() -> io.Input:
    return io.Int.Input("seed", default=0, min=0, max=2**32 - 1,
                        control_after_generate=io.ControlAfterGenerate.fixed,
                        tooltip="Random seed. The same seed gives the same result.")


def masked_outputs() -> list[io.Output]:
    return [io.Image.Output("images", tooltip="Frames of the clip, black where hidden."),
            io.Mask.Output("visible", tooltip="1 = shown (white in EX-4D's mask videos), 0 = hidden.")]


def preview(frames: torch.Tensor) -> ui.PreviewImage:
    """A few of the frames, from first to last."""
    few = torch.linspace(0, len(frames) - 1, min(PREVIEW_FRAMES, len(frames))).round().long()
    return ui.PreviewImage(sockets.as_images(frames[few.to(frames.device)]), animated=False)


def masked(prior: Prior, *more) -> io.NodeOutput:
    return io.NodeOutput(sockets.as_images(prior.color), sockets.as_mask(prior.visible), *more,
                         ui=preview(prior.color))


class EX4DRenderingMask(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="EX4DRenderingMask",
            display_name="Rendering Mask (EX-4D)",
            category=CATEGORY,
            description="Masks the parts of a clip that a camera orbiting the scene would not see. Makes training data "
                        "without a second view.",
            search_aliases=["simulated mask", "training mask", "occlusion mask", "DW-Mesh"],
            inputs=[
                sockets.Mesh.Input("mesh", tooltip="Watertight meshes of the clip, which include its frames."),
                sockets.Cameras.Input("cameras", optional=True,
                                      tooltip="Camera path to look along, with the length and the size of the clip. "
                                              "Without it, the camera swings by sweep."),
                io.Float.Input("sweep", default=SWEEP, min=-180.0, max=180.0, step=1.0,
                               tooltip="Angle that the camera swings to each side, in degrees, if no camera path is "
                                       "connected."),
                io.Int.Input("dilation", default=DILATION, min=1, max=31, step=2,
                             tooltip="Side of the square by which hidden areas grow, in pixels. 1: no growth."),
                io.Combo.Input("surface", options=list(get_args(Surface)), default="watertight", advanced=True,
                               tooltip="Which faces occlude. watertight: lets hidden faces occlude what is behind "
                                       "them, as far as they reach. visible: leaves hidden faces out, as in the "
                                       "paper's ablation without a watertight mesh."),
            ],
            outputs=masked_outputs(),
        )

    @classmethod
    def execute(cls, mesh, sweep, dilation, surface, cameras=None) -> io.NodeOutput:
        cameras = sweep_path(mesh, sweep) if cameras is None else cameras
        if cameras.size != mesh.size or len(cameras) != len(mesh):
            raise ValueError(f"cameras: the path has {len(cameras)} frames of {cameras.size[1]}x{cameras.size[0]}, but "
                             f"the clip has {len(mesh)} of {mesh.size[1]}x{mesh.size[0]}; make the path for this clip")
        device = drawing_device("auto", comfy.model_management.get_torch_device())
        visible = rendering_mask(move_to(mesh, device), move_to(cameras, device), dilation, surface,
                                 progress=show_progress())
        return masked(mask_frames(mesh.colors, visible.to(mesh.colors.device)))


class EX4DTrackingMask(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="EX4DTrackingMask",
            display_name="Tracking Mask (EX-4D)",
            category=CATEGORY,
            description="Masks rectangles that stick to surfaces of a clip and move with them, each from a random "
                        "frame on.",
            search_aliases=["simulated mask", "training mask", "point tracking", "cotracker", "tapnext", "flow"],
            inputs=[
                io.Image.Input("images", tooltip="Frames of the clip."),
                io.DynamicCombo.Input("tracker", options=[
                    io.DynamicCombo.Option("lk", []),
                    io.DynamicCombo.Option("cotracker", model_inputs()),
                    io.DynamicCombo.Option("tapnext", model_inputs()),
                ],
                tooltip="Point tracker. lk: uses OpenCV and needs no download. cotracker: uses CoTracker3, whose "
                        "license (CC BY-NC 4.0) forbids commercial use. tapnext: uses TAPNext."),
                io.Int.Input("fewest_points", default=GRID_POINTS[0], min=1, max=400,
                             tooltip="Minimum number of points to track. The actual number is random."),
                io.Int.Input("most_points", default=GRID_POINTS[1], min=1, max=400,
                             tooltip="Maximum number of points to track. The actual number is random."),
                seed_input(),
            ],
            outputs=[*masked_outputs(),
                     io.Tracks.Output("tracks", tooltip="Tracked points, for the WanMove nodes.")],
        )

    @classmethod
    def execute(cls, images, tracker, fewest_points, most_points, seed) -> io.NodeOutput:
        if fewest_points > most_points:
            raise ValueError(f"fewest_points: {fewest_points} is more than most_points ({most_points}); lower it")
        frames = sockets.read_frames("images", images)
        size, generator = size_of(frames), torch.Generator().manual_seed(seed)
        points = draw_points(size, generator, fewest_points, most_points)
        tracks = choose_tracker(tracker)(frames, points.to(frames.device), show_progress())
        visible = tracking_mask(tracks, size, generator, show_progress())
        return masked(mask_frames(frames, visible), core_tracks(tracks))


def model_inputs() -> list[io.Input]:
    """What a tracker with weights asks for."""
    return [io.Combo.Input("weights", options=folder_paths.get_filename_list(TRACKER_FOLDER),
                           tooltip=f"Weights file of the tracker in models/{TRACKER_FOLDER}."),
            io.String.Input("code", default="",
                            tooltip=f"Folder in models/{TRACKER_FOLDER} with a clone of the tracker's repository. "
                                    "Empty: uses the installed package.")]


def choose_tracker(tracker: dict) -> Tracker:
    """The tracker chosen, its files taken from the models folder and nowhere else."""
    if tracker["tracker"] == "lk":
        return load_tracker("lk")
    weights = Path(folder_paths.get_full_path_or_raise(TRACKER_FOLDER, tracker["weights"]))
    code = None
    if tracker["code"]:
        root = (Path(folder_paths.models_dir) / TRACKER_FOLDER).resolve()
        code = (root / tracker["code"]).resolve()
        if not code.is_relative_to(root):
            raise ValueError(f"code: '{tracker['code']}' is outside models/{TRACKER_FOLDER}; put the repository there")
    return load_tracker(tracker["tracker"], weights, code, comfy.model_management.get_torch_device())


def core_tracks(tracks: Tracks) -> dict[str, torch.Tensor]:
    """ComfyUI's TRACKS, which count from the centre of the first pixel."""
    device = comfy.model_management.intermediate_device()
    return {"track_path": (tracks.points - 0.5).to(device), "track_visibility": tracks.visible.to(device)}


class EX4DRandomMask(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="EX4DRandomMask",
            display_name="Random Mask (EX-4D)",
            category=CATEGORY,
            description="Masks random rectangles, new ones in every frame: the baseline to compare rendering and "
                        "tracking masks with.",
            search_aliases=["simulated mask", "training mask", "ablation"],
            inputs=[io.Image.Input("images", tooltip="Frames of the clip."), seed_input()],
            outputs=masked_outputs(),
        )

    @classmethod
    def execute(cls, images, seed) -> io.NodeOutput:
        frames = sockets.read_frames("images", images)
        generator = torch.Generator().manual_seed(seed)
        visible = random_mask(len(frames), size_of(frames), generator, show_progress())
        return masked(mask_frames(frames, visible.to(frames.device)))


class EX4DSmoothCrop(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="EX4DSmoothCrop",
            display_name="Smooth Crop (EX-4D)",
            category=CATEGORY,
            description="Crops a clip with a window that glides over it, which adds motion to clips from a still "
                        "camera.",
            search_aliases=["augmentation", "ken burns", "moving crop", "stabilize"],
            inputs=[
                io.Image.Input("images", tooltip="Frames of the clip."),
                sockets.Depth.Input("depth", optional=True,
                                    tooltip="Depth of the clip. It is cropped in the same way, with its cameras."),
                io.Float.Input("smallest", default=CROP_SHARE[0], min=0.1, max=1.0, step=0.01,
                               tooltip="Minimum size of the window, as a share of the frame's width and height. The "
                                       "actual size is random."),
                io.Float.Input("largest", default=CROP_SHARE[1], min=0.1, max=1.0, step=0.01,
                               tooltip="Maximum size of the window, as a share of the frame's width and height. The "
                                       "actual size is random."),
                seed_input(),
            ],
            outputs=[io.Image.Output("images", display_name="images", tooltip="Frames of the cropped clip."),
                     sockets.Depth.Output("depth", tooltip="Depth of the cropped clip, if depth is connected.")],
        )

    @classmethod
    def execute(cls, images, smallest, largest, seed, depth=None) -> io.NodeOutput:
        if smallest > largest:
            raise ValueError(f"smallest: {smallest:g} is more than largest ({largest:g}); lower it")
        frames = sockets.read_frames("images", images)
        size = size_of(frames)
        if depth is not None and (depth.size != size or len(depth) != len(frames)):
            raise ValueError(f"depth: it has {len(depth)} frames of {depth.size[1]}x{depth.size[0]}, but the clip has "
                             f"{len(frames)} of {size[1]}x{size[0]}; use the depth of this clip")
        windows = draw_windows(len(frames), size, torch.Generator().manual_seed(seed), smallest, largest)
        cropped = crop_frames(frames, windows, show_progress())
        return io.NodeOutput(sockets.as_images(cropped), None if depth is None else sockets.keep(
            crop_depth(depth, windows, show_progress())), ui=preview(cropped))
