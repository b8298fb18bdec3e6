"""A generated video compared with what was asked for."""

from __future__ import annotations

import json

import torch
from comfy_api.latest import io, ui

from ..ex4d_ops.camera import move_to
from ..ex4d_ops.clip import Clip
from ..ex4d_ops.evaluation.agreement import Reference
from ..ex4d_ops.evaluation.cell import Cell, Scene, project_subject
from ..ex4d_ops.evaluation.one_run import describe_differences, fit_video, measure
from ..ex4d_ops.evaluation.table import describe_figures
from ..ex4d_ops.mesh import describe_clip
from ..ex4d_ops.prior import check_frames_exist
from . import sockets
from .guide import read_prior
from .progress import show_progress, warn

CPU = torch.device("cpu")  # where flow is found
RATE = 1.0  # frames per second, which no IMAGE has


class EX4DEvaluate(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="EX4DEvaluate",
            display_name="Evaluate Video (EX-4D)",
            category="EX-4D/generate",
            description="Measures whether a generated video shows what the source has seen, holds still and follows "
                        "the camera path. Needs no model.",
            search_aliases=["metrics", "PSNR", "SSIM", "camera accuracy", "compare videos", "benchmark", "quality"],
            is_output_node=True,
            inputs=[
                io.Image.Input("images", tooltip="Frames of the generated video."),
                io.Image.Input("color", tooltip="Color of the prior that it was generated from, from Render "
                                                "Watertight Mesh."),
                io.Mask.Input("visible", tooltip="Mask of the prior. 1 = seen in the source."),
                io.Combo.Input("differing", options=["use", "stop"], default="use",
                               tooltip="What to do if the video has another length or size than the prior. use: "
                                       "crops, resizes and trims it. stop: stops with an error."),
                sockets.Mesh.Input("mesh", optional=True,
                                   tooltip="Watertight meshes that the prior was rendered from. If connected, with "
                                           "cameras, the cameras that the video shows are found and compared with "
                                           "the path."),
                sockets.Cameras.Input("cameras", optional=True, tooltip="Camera path of the prior."),
                io.Image.Input("exact", optional=True,
                               tooltip="What the new camera would have filmed, if that is known. If connected, all "
                                       "pixels are compared with it."),
                io.Mask.Input("subject", optional=True,
                              tooltip="Mask per frame of the source: 1 = the subject. If connected, with mesh and "
                                      "cameras, measures how far from its place the subject is seen."),
            ],
            outputs=[
                io.String.Output("report", tooltip="The mean of each measure over the frames, as text."),
                io.String.Output("figures", tooltip="Every measure of every frame, as JSON. null: cannot be told in "
                                                    "that frame."),
            ],
        )

    @classmethod
    def execute(cls, images, color, visible, differing, mesh=None, cameras=None, exact=None,
                subject=None) -> io.NodeOutput:
        cell = read_cell(color, visible, mesh, cameras, exact, subject)
        video = Clip(sockets.read_frames("images", images).to(CPU), RATE)
        for difference in describe_differences(video, cell.planned):
            if differing == "stop":
                raise ValueError(f"images: {difference}; choose differing use to compare it all the same")
            warn(f"images: {difference}; it is cropped, resized and trimmed for that")
        with sockets.blame("images"):
            given = fit_video(video.frames, cell)
        figures = measure(given, show_progress())
        report = describe_figures(figures)
        return io.NodeOutput(report, json.dumps(figures), ui=ui.PreviewText(report))


def read_cell(color, visible, mesh, cameras, exact, subject) -> Cell:
    """What a video is compared with. Raises ValueError where inputs do not belong together."""
    prior = move_to(read_prior(color, visible), CPU)
    if (mesh is None) != (cameras is None):
        raise ValueError("mesh, cameras: one comes without the other; connect both, or neither")
    scene = None if mesh is None else Scene(move_to(mesh, CPU), move_to(cameras, CPU), mesh.nearest)
    planned = describe_clip(prior.color.shape)
    if scene is not None:
        check_frames_exist(scene.mesh, scene.cameras)
        if describe_clip((len(cameras), *cameras.size)) != planned:
            raise ValueError(f"cameras: {describe_clip((len(cameras), *cameras.size))}, but color has {planned}; "
                             "connect the path that the prior was rendered along")
    wanted = prior.color if exact is None else sockets.read_frames("exact", exact).to(CPU)
    if describe_clip(wanted.shape) != planned:
        raise ValueError(f"exact: {describe_clip(wanted.shape)}, but color has {planned}; connect views along the same "
                         "path")
    place = None if subject is None else read_place(subject, scene)
    return Cell(Clip(prior.color, RATE), Reference(wanted, prior.visible, exact is not None, place), scene)


def read_place(subject, scene: Scene | None) -> torch.Tensor:
    """Where the path sees the subject, [T, H, W] bool."""
    if scene is None:
        raise ValueError("subject: its place in the new view is not known; connect mesh and cameras too")
    masks = sockets.read_mask("subject", subject).to(CPU)
    if masks.shape != scene.mesh.depth.shape:
        raise ValueError(f"subject: {describe_clip(masks.shape)}, but mesh has "
                         f"{describe_clip(scene.mesh.depth.shape)}; connect a mask per frame of the source")
    return project_subject(scene, masks)
