"""What of a clip moves, and how much of other views it has seen: what to know before a prior is rendered."""

from __future__ import annotations

import math

import comfy.model_management
import torch
from comfy_api.latest import io, ui

from ..ex4d_ops.background import find_motion
from ..ex4d_ops.camera import move_to
from ..ex4d_ops.depth import match_depth
from ..ex4d_ops.plot import plot_coverage
from ..ex4d_ops.preflight import angles_around, coverage_map, widest_angles
from . import sockets
from .progress import show_progress
from .simulate import preview


class EX4DMotionMask(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="EX4DMotionMask",
            display_name="Motion Mask (EX-4D)",
            category="EX-4D/depth",
            description="Finds what moves in a clip, so that everything else can fill what other frames do not see.",
            search_aliases=["dynamic mask", "moving objects", "static background", "motion segmentation"],
            inputs=[
                io.Image.Input("images", tooltip="Frames of the clip."),
                sockets.Depth.Input("depth", tooltip="Depth of the clip. If the camera moves, it must include the "
                                                  "source cameras."),
            ],
            outputs=[io.Mask.Output("moving", tooltip="1 = moves or changes, 0 = stands still. Connect it to Render "
                                                      "Watertight Mesh (EX-4D).")],
        )

    @classmethod
    def execute(cls, images, depth) -> io.NodeOutput:
        frames = sockets.read_frames("images", images)
        device = comfy.model_management.get_torch_device()
        moving = find_motion(frames.to(device), move_to(match_depth(frames, depth, resize=True), device),
                             show_progress()).to(frames.device)
        tint = frames.new_tensor([1.0, 0.2, 0.2])
        return io.NodeOutput(sockets.as_mask(moving), ui=preview(
            torch.where(moving[..., None], 0.4 * frames + 0.6 * tint, 0.5 * frames)))


class EX4DCoverageMap(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="EX4DCoverageMap",
            display_name="Coverage Map (EX-4D)",
            category="EX-4D/render",
            description="Shows how much of every view around a frame the clip has seen, before you spend minutes on a "
                        "video model.",
            search_aliases=["angle limits", "how far", "preflight", "visible share"],
            inputs=[
                sockets.Mesh.Input("mesh", tooltip="Watertight meshes of the clip."),
                io.Float.Input("share", default=0.6, min=0.01, max=0.99, step=0.01,
                               tooltip="Smallest share of the picture that must be seen. The map has a line there, and "
                                       "the outputs say how far the camera can go."),
                io.Int.Input("frame", default=0, min=0, max=9999, tooltip="Frame to look around, counted from 0."),
                io.Float.Input("widest_yaw", default=90.0, min=5.0, max=180.0, step=5.0,
                               tooltip="Widest angle to look at to the left and to the right, in degrees."),
                io.Float.Input("widest_pitch", default=45.0, min=5.0, max=85.0, step=5.0,
                               tooltip="Widest angle to look at up and down, in degrees."),
                io.Float.Input("step", default=10.0, min=1.0, max=45.0, step=1.0, advanced=True,
                               tooltip="Angle from one view to the next, in degrees. Smaller steps give a finer map "
                                       "and take longer."),
                io.Float.Input("radius", default=0.0, min=0.0, max=1e6, step=0.001, advanced=True,
                               tooltip="Distance of the point that the camera circles, in scene units. 0: depth of the "
                                       "nearest point of the frame + 0.15, as in Camera Trajectory (EX-4D)."),
            ],
            outputs=[
                io.Image.Output("map", tooltip="Share of the picture seen from every angle, with a line at the chosen "
                                               "share and the angles that generators were trained on."),
                io.String.Output("text", tooltip="How far the camera can go, as text."),
                io.Float.Output("left", tooltip="How far the camera can go to the left, in degrees."),
                io.Float.Output("right", tooltip="How far the camera can go to the right, in degrees."),
                io.Float.Output("down", tooltip="How far the camera can go down, in degrees."),
                io.Float.Output("up", tooltip="How far the camera can go up, in degrees."),
            ],
        )

    @classmethod
    def execute(cls, mesh, share, frame, widest_yaw, widest_pitch, step, radius) -> io.NodeOutput:
        if frame >= len(mesh):
            raise ValueError(f"frame: there is no frame {frame}; the mesh has 0..{len(mesh) - 1}")
        yaw, pitch = (angles_around(math.radians(limit), math.radians(step)) for limit in (widest_yaw, widest_pitch))
        device = comfy.model_management.get_torch_device()
        shares = coverage_map(move_to(mesh, device), yaw, pitch, frame, radius or None, progress=show_progress())
        widest = widest_angles(shares, yaw, pitch, share)
        picture = sockets.as_images(plot_coverage(shares, yaw, pitch, widest))
        return io.NodeOutput(picture, str(widest), widest.left, widest.right, widest.down, widest.up,
                             ui=ui.PreviewImage(picture, animated=False))
