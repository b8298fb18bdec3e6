"""Two eyes: a camera path as a left and a right one, and the stereo video that they see."""

from __future__ import annotations

from typing import get_args

import comfy.model_management
from comfy_api.latest import io

from ..ex4d_ops.background import make_background
from ..ex4d_ops.camera import move_to
from ..ex4d_ops.preflight import doubt_parallax, measure_parallax
from ..ex4d_ops.raster import drawing_device
from ..ex4d_ops.rules import Layout, RenderRules
from ..ex4d_ops.trajectory.stereo import eye_distance_of_share, stereo_paths
from ..ex4d_ops.two_eyes import render_eyes
from . import sockets
from .camera import scene_radius
from .progress import show_progress, warn


class EX4DStereoCameras(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="EX4DStereoCameras",
            display_name="Stereo Cameras (EX-4D)",
            category="EX-4D/camera",
            description="Converts a camera path to the paths of a left and a right eye, and measures how far apart "
                        "they see things.",
            search_aliases=["3D video", "stereoscopic", "VR", "side by side", "interaxial", "convergence"],
            inputs=[
                sockets.Cameras.Input("cameras", tooltip="Camera path between the two eyes."),
                io.MultiType.Input("scene", [sockets.Depth, sockets.Mesh],
                                   tooltip="Depth or mesh of the clip, for which the parallax is measured."),
                io.DynamicCombo.Input("eye_distance", options=[
                    io.DynamicCombo.Option("share of the width", [
                        io.Float.Input("percent", default=2.0, min=0.01, max=50.0, step=0.01,
                                       tooltip="Parallax of what is very far away, in percent of the width. 1 to 3 is "
                                               "usual."),
                    ]),
                    io.DynamicCombo.Option("scene units", [
                        io.Float.Input("distance", default=0.065, min=1e-6, max=1e6, step=0.001,
                                       tooltip="Distance between the eyes, in scene units. People's eyes are 0.065 "
                                               "meters apart."),
                    ]),
                ],
                tooltip="How far apart the eyes are. share of the width: as far as makes this parallax. scene units: "
                        "this distance; use it if the depth is in meters."),
                io.Float.Input("convergence", default=0.0, min=0.0, max=1e6, step=0.001,
                               tooltip="Distance at which both eyes see the same, in scene units. What is nearer "
                                       "stands before the screen. 0: nearest point of the scene + 0.15."),
            ],
            outputs=[
                sockets.Cameras.Output("left", tooltip="Camera path of the left eye."),
                sockets.Cameras.Output("right", tooltip="Camera path of the right eye."),
                io.String.Output("parallax", tooltip="How far apart the eyes see things, as text."),
            ],
        )

    @classmethod
    def execute(cls, cameras, scene, eye_distance, convergence) -> io.NodeOutput:
        plane = convergence or scene_radius(scene)
        if plane is None:
            raise ValueError("convergence: 0 takes it from scene, which shows only sky in frame 0; set a distance in "
                             "scene units")
        if eye_distance["eye_distance"] == "scene units":
            distance = eye_distance["distance"]
        else:
            distance = eye_distance_of_share(cameras, eye_distance["percent"] / 100, plane)
        left, right = stereo_paths(cameras, distance, plane)
        parallax = measure_parallax(scene, left, right)
        if doubt := doubt_parallax(parallax):
            warn(doubt)
        return io.NodeOutput(sockets.keep(left), sockets.keep(right), f"{parallax}. The eyes are {distance:.4g} scene "
                             f"units apart and meet at {plane:.4g}.")


class EX4DStereoVideo(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        flat = [io.DynamicCombo.Option(name, []) for name in get_args(Layout) if name != "VR180"]
        return io.Schema(
            node_id="EX4DStereoVideo",
            display_name="Stereo Video (EX-4D)",
            category="EX-4D/render",
            description="Renders a mesh for two eyes into one video: side by side, over and under, or VR180.",
            search_aliases=["3D video", "stereoscopic", "VR180", "SBS", "equirectangular", "over-under"],
            inputs=[
                sockets.Mesh.Input("mesh", tooltip="Watertight meshes of the clip, one per source frame."),
                sockets.Cameras.Input("left", tooltip="Camera path of the left eye, from Stereo Cameras."),
                sockets.Cameras.Input("right", tooltip="Camera path of the right eye, from Stereo Cameras."),
                io.DynamicCombo.Input("layout", options=[*flat, io.DynamicCombo.Option("VR180", [
                    io.Int.Input("side", default=1024, min=64, max=8192, step=16,
                                 tooltip="Width and height of each eye's picture, in pixels."),
                ])],
                tooltip="How the two pictures are put into one. side by side: left and right, whole. over and under: "
                        "the left one above, whole. half: squashed, so that both together are as large as one. VR180: "
                        "half a sphere per eye, equirectangular, for headsets."),
                io.Mask.Input("moving", optional=True,
                              tooltip="Mask per frame of what moves, from Motion Mask. If connected, fills what an eye "
                                      "does not see with what other frames have seen of the rest. Set hidden_reach of "
                                      "the mesh to 0.1 for it."),
            ],
            outputs=[
                io.Image.Output("color", tooltip="Both eyes' pictures in one. Black where the source has seen "
                                                 "nothing."),
                io.Mask.Output("visible", tooltip="1 = seen in the source, 0 = to be painted."),
            ],
        )

    @classmethod
    def execute(cls, mesh, left, right, layout, moving=None) -> io.NodeOutput:
        if (len(left), left.size) != (len(right), right.size):
            raise ValueError(f"right: {len(right)} frames of {right.size[1]}x{right.size[0]}, but left has {len(left)} "
                             f"of {left.size[1]}x{left.size[0]}; connect both from the same Stereo Cameras")
        device = drawing_device("auto", comfy.model_management.get_torch_device())
        mesh, left, right = (move_to(flow, device) for flow in (mesh, left, right))
        background = None if moving is None else make_background(
            mesh, sockets.read_mask("moving", moving).to(device), progress=show_progress())
        prior = render_eyes(mesh, left, right, layout["layout"], RenderRules("face", False, 0),
                            progress=show_progress(), side=layout.get("side", 0), background=background)
        return io.NodeOutput(sockets.as_images(prior.color), sockets.as_mask(prior.visible))
