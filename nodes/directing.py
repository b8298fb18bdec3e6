"""Camera paths that are directed: keyframes, which the camera editor sets, and the source camera's own path."""

from __future__ import annotations

from typing import get_args

from comfy_api.latest import io

from ..ex4d_ops.camera import CameraPath
from ..ex4d_ops.clip import Fit
from ..ex4d_ops.rules import Relative, Smoothed
from ..ex4d_ops.trajectory import Subject, parse_keyframes, source_path, text_path
from ..ex4d_ops.trajectory.follow import follow
from ..ex4d_ops.trajectory.keyframes import check_keyframes, parse_retime
from . import kept_scenes, sockets
from .camera import (
    MAX_FRAMES,
    Scene,
    View,
    choose_view,
    draw_path,
    follow_inputs,
    pack_path,
    path_outputs,
    read_subject,
    view_inputs,
    warn_of_fit,
)
from .progress import warn
from .queued import complaint_of

EXAMPLE_KEYFRAMES = """[
  {"time": 0},
  {"time": 0.5, "yaw": 40, "pitch": 10, "ease": "ease-in-out"},
  {"time": 1, "yaw": -20, "distance": 0.8, "zoom": 1.2}
]"""


class EX4DCameraKeyframes(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="EX4DCameraKeyframes",
            display_name="Camera Keyframes (EX-4D)",
            category="EX-4D/camera",
            description="Makes a camera path through keyframes, which you set in the picture or write as JSON.",
            search_aliases=["camera path", "spline", "keyframe", "custom trajectory", "camera editor", "bullet time"],
            is_output_node=True,
            hidden=[io.Hidden.unique_id, io.Hidden.dynprompt],
            inputs=[
                io.String.Input("keyframes", multiline=True, default=EXAMPLE_KEYFRAMES,
                                tooltip="Keyframes as a JSON list. Time: frame (from 0) or time (0..1). Position: yaw "
                                        "and pitch in degrees and distance, or position [x, y, z], both with the "
                                        "radius as unit. Direction: look_at, or pan and tilt in degrees, and roll. "
                                        "Lens: zoom (factor) or focal (pixels). Speed: ease. To hold or retime "
                                        "the clip too: an object of two lists, keys and retime."),
                io.Boolean.Input("smooth", default=True,
                                 tooltip="On: smooth curves through the keyframes. Off: straight lines between them."),
                *view_inputs(), *follow_inputs(),
            ],
            outputs=path_outputs(),
        )

    @classmethod
    def validate_inputs(cls, keyframes, frames) -> bool | str:
        if keyframes is None or frames is None:  # linked: known only when the graph runs
            return True
        if not 0 <= frames <= MAX_FRAMES:  # limits of what is validated here are not checked elsewhere
            return f"frames: {frames} is out of range; use 0..{MAX_FRAMES}"
        return complaint_of(check_text, keyframes, frames)

    @classmethod
    def fingerprint_inputs(cls, **inputs) -> int:
        return kept_scenes.count_losses(unique_id(cls))

    @classmethod
    def execute(cls, keyframes, smooth, frames, radius, width, height, focal, scene=None, fit: Fit = "crop",
                relative: Relative = "world", subject=None, keep_aim=False) -> io.NodeOutput:
        try:
            followed = read_subject(scene, subject, keep_aim)
            view = choose_view(scene, frames, radius, width, height, focal, fit, followed)
            path = make_path(scene, keyframes, smooth, view, relative, followed)
        except ValueError as error:
            if is_used(cls):
                raise
            return complain(str(error), unique_id(cls))
        warn_of_fit(scene, view, focal, fit)
        key = None if scene is None else kept_scenes.keep_scene(scene, followed and followed.points, unique_id(cls))
        settings = {"smooth": smooth, "frames": frames, "radius": radius, "width": width, "height": height,
                    "focal": focal, "fit": fit, "relative": relative, "keep_aim": keep_aim}
        return io.NodeOutput(*draw_path(path, scene), ui={
            "ex4d_scene": (key,), "ex4d_keyframes": (keyframes,), "ex4d_settings": (settings,)})


def is_used(cls: type[io.ComfyNode]) -> bool:
    """Whether another node takes what this one makes; so it is where it is called without a server."""
    graph = cls.hidden.dynprompt if cls.hidden else None
    return graph is None or any(isinstance(value, list) and value[:1] == [cls.hidden.unique_id]
                                for node in graph.all_node_ids() for value in graph.get_node(node)["inputs"].values())


def complain(words: str, node: str) -> io.NodeOutput:
    """Nothing but words, in the editor and in the log: as an output node it runs in graphs that need nothing of it."""
    warn(f"Camera Keyframes makes no path: {words}")
    kept_scenes.show_nothing(node)
    return io.NodeOutput(None, None, block_execution=words, ui={"ex4d_scene": (None,), "ex4d_complaint": (words,)})


def check_text(keyframes: str, frames: int) -> None:
    """Raise ValueError where keyframes are wrong for so many frames, 0 being any number."""
    if not frames:
        check_keyframes(keyframes, MAX_FRAMES)
    else:
        parse_keyframes(keyframes, frames)
        parse_retime(keyframes, frames)


def make_path(scene: Scene | None, keyframes: str, smooth: bool, view: View, relative: Relative,
              subject: Subject | None) -> CameraPath:
    """The path of keyframes for a view of a scene, following what it is told to follow."""
    clip = len(scene) if scene and len(scene) > 1 else None  # a single image is held however long the path is
    path = text_path(keyframes, view.frames, view.radius, view.intrinsics, view.size, smooth, subject, clip)
    return follow(path, scene, relative, subject, view.radius)


def unique_id(cls: type[io.ComfyNode]) -> str:
    """The id of the node that runs, "" where it is called without a server."""
    return str(cls.hidden.unique_id) if cls.hidden else ""


class EX4DSourceCameras(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="EX4DSourceCameras",
            display_name="Source Cameras (EX-4D)",
            category="EX-4D/camera",
            description="The path that the source camera itself has taken, as it was or without its shaking.",
            search_aliases=["stabilize", "stabilization", "smooth camera", "original camera", "de-shake"],
            inputs=[
                io.MultiType.Input("scene", [sockets.Depth, sockets.Mesh],
                                   tooltip="Depth or mesh of the clip, which knows the motion of the source camera."),
                io.Int.Input("smoothing", default=0, min=0, max=1000,
                             tooltip="How many frames before and after each frame to average over, which takes out the "
                                     "shaking. 0: the path as it was filmed."),
                io.Combo.Input("smoothed", options=list(get_args(Smoothed)), default="all",
                               tooltip="What to smooth. all: position and direction. rotation: only the direction, so "
                                       "that nothing new comes into view but at the rim."),
            ],
            outputs=path_outputs(),
        )

    @classmethod
    def execute(cls, scene, smoothing, smoothed: Smoothed) -> io.NodeOutput:
        return pack_path(source_path(scene, smoothing, smoothed), scene)
