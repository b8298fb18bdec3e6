"""Camera paths: the view they are made for, moves, edits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import get_args

import torch
from comfy_api.latest import io, ui
from torch import Tensor

from ..ex4d_ops.camera import (
    CameraPath,
    cover_intrinsics,
    default_intrinsics,
    fit_intrinsics,
    intrinsics_from_focal,
)
from ..ex4d_ops.clip import Fit, describe_fit
from ..ex4d_ops.depth import VideoDepth
from ..ex4d_ops.mesh import DWMesh
from ..ex4d_ops.plot import plot_path
from ..ex4d_ops.rules import Relative
from ..ex4d_ops.small_scene import Shot
from ..ex4d_ops.trajectory import (
    EASES,
    MOVES,
    RELEASED_FRAMES,
    Move,
    MoveKind,
    Parameter,
    Subject,
    automatic_radius,
    make_move,
    make_subject,
    move_path,
    parse_moves,
    subject_target,
)
from ..ex4d_ops.trajectory.editing import Retimed, blend, chain, fit, freeze, ping_pong, retime, reverse
from ..ex4d_ops.trajectory.follow import follow
from . import sockets
from .progress import warn
from .queued import complaint_of, written_inputs

Scene = VideoDepth | DWMesh | Shot  # what tells of a clip
MAX_FRAMES = 10000
STEPS = {"degrees": 0.5}  # of the number widgets, by unit
SPEEDS = [name for name in EASES if name != "there-and-back"]
SPEED_TIP = ("linear: keeps a constant speed. ease-in: starts slowly. ease-out: ends slowly. ease-in-out: starts and "
             "ends slowly.")


def auto(name: str) -> str:
    """What the node shows of a number that stands for something else where it is 0; a widget can't show a word."""
    return f"{name} (0: auto)"


# ---- the view a path is for ---------------------------------------------------------------------


def view_inputs() -> list[io.Input]:
    """What every node asks that makes a path from nothing: for which scene, pictures and lens."""
    return [
        io.Int.Input("frames", display_name=auto("frames"), default=0, min=0, max=MAX_FRAMES,
                     tooltip="Number of frames in the path. 0: as many as the scene has, or 49 for a single image. Wan "
                             "needs 4k+1 (49, 81 ...). The clip must have as many, unless Compose Cameras holds a "
                             "frame."),
        io.MultiType.Input("scene", [sockets.Depth, sockets.Mesh], optional=True,
                           tooltip="Depth or mesh of the clip. It sets the radius, the size and the focal length where "
                                   "they are 0, and is drawn in the plot."),
        io.Float.Input("radius", display_name=auto("radius"), default=0.0, min=0.0, max=1e6, step=0.001,
                       tooltip="Distance from the camera of source frame 0 to the target, the point that the camera "
                               "moves around, in scene units. 0: nearest point of the scene + 0.15, as in EX-4D."),
        io.Int.Input("width", display_name=auto("width"), default=0, min=0, max=8192, step=16, advanced=True,
                     tooltip="Width of the video to render, in pixels. 0: same as the scene."),
        io.Int.Input("height", display_name=auto("height"), default=0, min=0, max=8192, step=16, advanced=True,
                     tooltip="Height of the video to render, in pixels. 0: same as the scene."),
        io.Float.Input("focal", display_name=auto("focal"), default=0.0, min=0.0, max=1e6, step=0.1, advanced=True,
                       tooltip="Focal length of the new camera, in pixels. 0: same as the scene; without a scene, 500 "
                               "pixels at a width of 512, as in EX-4D."),
        io.Combo.Input("fit", options=list(get_args(Fit)), default="crop", optional=True, advanced=True,
                       tooltip="What to do if width and height have another aspect ratio than the scene. crop: cuts "
                               "off its sides. stretch: squashes it, as EX-4D's own program does. pad: leaves black "
                               "bars. A focal length above 0 is used as it is."),
    ]


def follow_inputs() -> list[io.Input]:
    """What every node asks whose path can follow something."""
    return [
        io.Combo.Input("relative", options=list(get_args(Relative)), default="world", optional=True, advanced=True,
                       tooltip="What the path is relative to. world: stands still while the source camera moves. "
                               "source: moves along with the source camera, which scene must know, and adds the path "
                               "to its motion."),
        io.Mask.Input("subject", optional=True,
                      tooltip="Mask of what to circle and look at, in place of the point straight ahead. A single mask "
                              "marks it in source frame 0. A mask per source frame lets the camera turn to follow it."),
        io.Boolean.Input("keep_aim", default=False, optional=True, advanced=True,
                         tooltip="Only with subject. Off: turns to the subject, so that it is in the center of the "
                                 "picture. On: keeps the direction of the source camera, so that the path starts "
                                 "there and the subject stays where it is in the picture."),
    ]


def path_outputs() -> list[io.Output]:
    return [sockets.Cameras.Output("cameras", tooltip="Camera path, with one camera per frame."),
            io.Image.Output("plot", tooltip="Plot of the path from above and from the right, in scene units.")]


def choose_frames(scene: Scene | None, frames: int) -> int:
    """The number of frames asked for, or the scene's where it is 0."""
    if frames:
        return frames
    if scene is None:
        raise ValueError("frames: 0 takes the length from scene, which is not connected; connect depth or a mesh to "
                         "it, or set the number of frames")
    return len(scene) if len(scene) > 1 else RELEASED_FRAMES


def choose_size(scene: Scene | None, width: int, height: int) -> tuple[int, int]:
    """(H, W) asked for, or the scene's where either is 0."""
    if width and height:
        return height, width
    if scene is None:
        raise ValueError("width, height: 0 takes the size from scene, which is not connected; connect depth or a mesh "
                         "to it, or set both")
    return height or scene.size[0], width or scene.size[1]


def choose_intrinsics(scene: Scene | None, frames: int, size: tuple[int, int], focal: float,
                      fit: Fit = "crop") -> Tensor:
    """Intrinsics [3, 3] or [T, 3, 3] at this size: of the focal length asked for, the scene's, or the released."""
    if focal or scene is None:
        return intrinsics_from_focal(focal, size) if focal else default_intrinsics(size)
    if fit == "crop":
        intrinsics = cover_intrinsics(scene.intrinsics, scene.size, size)
    else:
        intrinsics = fit_intrinsics(scene.intrinsics, scene.size, size, fit)
    return intrinsics if len(intrinsics) == frames else intrinsics[0]


def choose_radius(scene: Scene | None, radius: float) -> float:
    """The radius asked for, or the scene's where it is 0."""
    known = radius or scene_radius(scene)
    if known is None:
        raise ValueError("radius: 0 takes it from scene, which is not connected or shows only sky in frame 0; connect "
                         "depth or a mesh that shows more than sky, or set a radius in scene units")
    return known


def scene_radius(scene: Scene | None) -> float | None:
    """The scene's own radius, None where there is no scene or nothing but sky in its frame 0."""
    return automatic_radius(scene) if scene and math.isfinite(scene.nearest) else None


@dataclass(frozen=True, eq=False)
class View:
    """What a path is made for. radius: scene units; intrinsics: [3, 3] or [T, 3, 3] at this size (H, W)."""

    frames: int
    radius: float
    size: tuple[int, int]
    intrinsics: Tensor


def choose_view(scene: Scene | None, frames: int, radius: float, width: int, height: int, focal: float,
                fit: Fit = "crop", subject: Subject | None = None) -> View:
    """What the widgets of view_inputs ask for; where they are 0, what the scene has, and how far the subject is."""
    size, frames = choose_size(scene, width, height), choose_frames(scene, frames)
    intrinsics = choose_intrinsics(scene, frames, size, focal, fit)
    return View(frames, choose_radius(scene, radius or (subject.distance if subject else 0.0)), size, intrinsics)


def warn_of_fit(scene: Scene | None, view: View, focal: float, fit: Fit) -> None:
    """Say what of the scene's picture is lost at the size of a view."""
    if scene and not focal and (loss := describe_fit(scene.size, view.size, fit)):
        warn(loss)


def read_subject(scene: VideoDepth | DWMesh | None, subject: Tensor | None, keep_aim: bool) -> Subject | None:
    """The subject that a MASK marks in the scene, None where none is connected."""
    if subject is None:
        return None
    if scene is None:
        raise ValueError("subject: its place in space is known from scene, which is not connected; connect depth or a "
                         "mesh to it")
    mask = sockets.read_mask("subject", subject).float()
    if mask.shape[-2:] != scene.size:
        mask = torch.nn.functional.interpolate(mask[None], scene.size, mode="nearest-exact")[0]
    return make_subject(subject_target(mask, scene), keep_aim)


def draw_path(cameras: CameraPath, scene: VideoDepth | DWMesh | None = None) -> tuple[CameraPath, Tensor]:
    """The outputs of a node that makes a path: the path, and its plot."""
    return sockets.keep(cameras), sockets.as_images(plot_path(cameras, scene))


def pack_path(cameras: CameraPath, scene: VideoDepth | DWMesh | None = None) -> io.NodeOutput:
    """These outputs, and the plot shown on the node."""
    path, plot = draw_path(cameras, scene)
    return io.NodeOutput(path, plot, ui=ui.PreviewImage(plot, animated=False).as_dict())


# ---- making paths -------------------------------------------------------------------------------


class CameraTrajectory(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        names = sorted(MOVES, key=lambda name: name != "orbit")  # the first is what a new node shows
        moves = [io.DynamicCombo.Option(name, move_inputs(MOVES[name])) for name in names]
        combined = io.DynamicCombo.Option("combined", [
            io.String.Input("moves", default="orbit:yaw=40+dolly:distance=-0.3",
                            tooltip="Moves to make at the same time, joined by +. Example: "
                                    "orbit:yaw=-30..60,ease=ease-in-out+zoom:factor=1.2."),
        ])
        return io.Schema(
            node_id="CameraTrajectory",
            display_name="Camera Trajectory (EX-4D)",
            category="EX-4D/camera",
            description="Makes a camera path around the scene of source frame 0: the released presets, orbits, "
                        "dollies, zooms and other moves.",
            search_aliases=["camera path", "new view", "side view", "viewpoint", "recamera", "reshoot", "orbit", "180",
                            "dolly", "dolly zoom", "parallax", "pan", "camera control", "trajectory", "recammaster"],
            inputs=[
                io.DynamicCombo.Input("move", options=[*moves, combined],
                                      tooltip="How the camera moves. " + " ".join(
                                          f"{name}: {kind.help}" for name, kind in MOVES.items()) +
                                      " combined: Makes several moves at the same time."),
                *view_inputs(), *follow_inputs(),
            ],
            outputs=path_outputs(),
        )

    @classmethod
    def validate_inputs(cls, move) -> bool | str:
        moves = written_inputs("move").get("moves")
        return True if moves is None else complaint_of(parse_moves, moves)

    @classmethod
    def execute(cls, move, frames, radius, width, height, focal, scene=None, fit: Fit = "crop",
                relative: Relative = "world", subject=None, keep_aim=False) -> io.NodeOutput:
        followed = read_subject(scene, subject, keep_aim)
        view = choose_view(scene, frames, radius, width, height, focal, fit, followed)
        warn_of_fit(scene, view, focal, fit)
        path = move_path(read_moves(move), view.frames, view.radius, view.intrinsics, view.size, followed)
        return pack_path(follow(path, scene, relative, followed, view.radius), scene)


def move_inputs(kind: MoveKind) -> list[io.Input]:
    """Widgets for the settings of a move, from the library's table of moves."""
    inputs = [entry for parameter in kind.parameters for entry in parameter_inputs(parameter)]
    return [*inputs, io.Combo.Input("ease", options=list(EASES), default=kind.ease, advanced=True,
                                    tooltip=f"How the speed changes during the move. {SPEED_TIP} "
                                            "there-and-back: moves to the end and back to the "
                                            "start.")] if inputs else []


def parameter_inputs(parameter: Parameter) -> list[io.Input]:
    """The value a setting ends with and, where it changes on the way, the one it starts from."""
    widget = partial(io.Float.Input, min=parameter.low, max=parameter.high, step=STEPS.get(parameter.unit, 0.01))
    end = widget(parameter.name, default=parameter.offered, tooltip=f"{parameter.help} Unit: {parameter.unit}.")
    if parameter.start is None:
        return [end]
    return [end, widget(f"{parameter.name}_start", default=parameter.start, advanced=True,
                        tooltip=f"Value of {parameter.name} in the first frame. Unit: {parameter.unit}.")]


def read_moves(move: dict) -> tuple[Move, ...]:
    """What the widgets of the chosen move say."""
    name = move["move"]
    if name == "combined":
        return parse_moves(move["moves"])
    values = {parameter.name: move[parameter.name] if parameter.start is None else
              (move[f"{parameter.name}_start"], move[parameter.name]) for parameter in MOVES[name].parameters}
    return (make_move(name, values, move.get("ease")),)


# ---- editing paths ------------------------------------------------------------------------------


class EX4DComposeCameras(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        second = sockets.Cameras.Input("second", tooltip="The second camera path, for images of the same size.")
        return io.Schema(
            node_id="EX4DComposeCameras",
            display_name="Compose Cameras (EX-4D)",
            category="EX-4D/camera",
            description="Edits a camera path: chains or blends two paths, reverses, repeats, retimes or fits one, or "
                        "holds one frame of the clip while the camera moves.",
            search_aliases=["chain paths", "reverse", "ping pong", "retime", "bullet time", "freeze", "hold",
                            "speed ramp"],
            inputs=[
                sockets.Cameras.Input("cameras", tooltip="Camera path to edit."),
                io.DynamicCombo.Input("operation", options=[
                    io.DynamicCombo.Option("chain", [second, io.Boolean.Input(
                        "join", default=True,
                        tooltip="On: the second path continues from the last camera of the first. Off: the camera "
                                "jumps to the second path.")]),
                    io.DynamicCombo.Option("blend", [second, io.Float.Input(
                        "weight", default=0.5, min=0.0, max=1.0, step=0.01,
                        tooltip="Share of the second path in the mix, 0..1. 0: only the first path. 1: only the "
                                "second.")]),
                    io.DynamicCombo.Option("reverse", []),
                    io.DynamicCombo.Option("ping-pong", []),
                    io.DynamicCombo.Option("retime", retime_inputs()),
                    io.DynamicCombo.Option("fit", [io.Int.Input(
                        "frames", default=49, min=1, max=MAX_FRAMES, tooltip="Number of frames in the clip.")]),
                    io.DynamicCombo.Option("freeze", [io.Int.Input(
                        "frame", default=0, min=0, max=9999,
                        tooltip="Source frame to hold while the camera moves (bullet time), counted from 0.")]),
                ],
                tooltip="What to do with the path. chain: puts the second path after the first. blend: mixes two "
                        "paths. reverse: runs the cameras backward while the clip plays forward. ping-pong: moves to "
                        "the end and back. retime: changes the speed or the length. fit: changes the path to the "
                        "length of a clip. freeze: holds one frame of the clip while the camera moves."),
            ],
            outputs=path_outputs(),
        )

    @classmethod
    def execute(cls, cameras, operation) -> io.NodeOutput:
        chosen = operation["operation"]
        compose = {
            "chain": lambda: chain([cameras, operation["second"]], operation["join"]),
            "blend": lambda: blend(cameras, operation["second"], operation["weight"]),
            "reverse": lambda: reverse(cameras),
            "ping-pong": lambda: ping_pong(cameras),
            "retime": lambda: retime(cameras, operation["frames"] or None, operation["speed"], operation["what"]),
            "fit": lambda: fit(cameras, operation["frames"]),
            "freeze": lambda: freeze(cameras, operation["frame"]),
        }[chosen]
        return pack_path(compose())


def retime_inputs() -> list[io.Input]:
    return [
        io.Int.Input("frames", default=0, min=0, max=MAX_FRAMES, tooltip="New number of frames. 0: keeps the length."),
        io.Combo.Input("speed", options=SPEEDS, default="ease-in-out",
                       tooltip=f"How the speed changes along the path. {SPEED_TIP}"),
        io.Combo.Input("what", options=list(get_args(Retimed)), default="both",
                       tooltip="What to retime. both: changes the cameras and the clip. cameras: changes only the "
                               "cameras. source: changes only the clip."),
    ]
