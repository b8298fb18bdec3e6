"""Camera paths: moves, keyframes, edits, files."""

from __future__ import annotations

import math
from functools import partial
from typing import get_args

from comfy_api.latest import io
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
from ..ex4d_ops.files import read_path, write_path
from ..ex4d_ops.files.path_formats.colmap import MODEL_FILES
from ..ex4d_ops.files.path_settings import READ_SUFFIXES, SCALE_HELP, SETTINGS
from ..ex4d_ops.files.paths import WRITTEN
from ..ex4d_ops.mesh import DWMesh
from ..ex4d_ops.plot import plot_path
from ..ex4d_ops.trajectory import (
    EASES,
    MOVES,
    Move,
    MoveKind,
    Parameter,
    automatic_radius,
    make_move,
    move_path,
    parse_moves,
)
from ..ex4d_ops.trajectory.editing import Retimed, blend, chain, fit, freeze, ping_pong, retime, reverse
from ..ex4d_ops.trajectory.keyframes import keyframe_path, parse_keyframes
from . import folders, sockets
from .progress import warn

MAX_FRAMES = 10000
STEPS = {"degrees": 0.5}  # of the number widgets, by unit
SPEEDS = [name for name in EASES if name != "there-and-back"]
SPEED_TIP = ("linear: keeps a constant speed. ease-in: starts slowly. ease-out: ends slowly. ease-in-out: starts and "
             "ends slowly.")
EXAMPLE_KEYFRAMES = """[
  {"frame": 0},
  {"frame": 24, "yaw": 40, "pitch": 10, "ease": "ease-in-out"},
  {"frame": 48, "yaw": -20, "distance": 0.8, "zoom": 1.2}
]"""


# ---- the view a path is for ---------------------------------------------------------------------


def view_inputs() -> list[io.Input]:
    """What every node asks that makes a path from nothing: for which scene, pictures and lens."""
    return [
        io.Int.Input("frames", default=49, min=1, max=MAX_FRAMES, step=4,
                     tooltip="Number of frames in the path. Wan needs 4k+1 (49, 81 ...). The clip must have as many, "
                             "unless Compose Cameras holds a frame."),
        io.MultiType.Input("scene", [sockets.Depth, sockets.Mesh], optional=True,
                           tooltip="Depth or mesh of the clip. It sets the radius, the size and the focal length where "
                                   "they are 0, and is drawn in the plot."),
        io.Float.Input("radius", default=0.0, min=0.0, max=1e6, step=0.001,
                       tooltip="Distance from the camera of source frame 0 to the target, the point that the camera "
                               "moves around, in scene units. 0: nearest point of the scene + 0.15, as in EX-4D."),
        io.Int.Input("width", default=0, min=0, max=8192, step=16, advanced=True,
                     tooltip="Width of the video to render, in pixels. 0: same as the scene."),
        io.Int.Input("height", default=0, min=0, max=8192, step=16, advanced=True,
                     tooltip="Height of the video to render, in pixels. 0: same as the scene."),
        io.Float.Input("focal", default=0.0, min=0.0, max=1e6, step=0.1, advanced=True,
                       tooltip="Focal length of the new camera, in pixels. 0: same as the scene; without a scene, 500 "
                               "pixels at a width of 512, as in EX-4D."),
        io.Combo.Input("fit", options=list(get_args(Fit)), default="crop", optional=True, advanced=True,
                       tooltip="What to do if width and height have another aspect ratio than the scene. crop: cuts "
                               "off its sides. stretch: squashes it, as EX-4D's own program does. pad: leaves black "
                               "bars. A focal length above 0 is used as it is."),
    ]


def path_outputs() -> list[io.Output]:
    return [sockets.Cameras.Output("cameras", tooltip="Camera path, with one camera per frame."),
            io.Image.Output("plot", tooltip="Plot of the path from above and from the right, in scene units.")]


def choose_size(scene: VideoDepth | DWMesh | None, width: int, height: int) -> tuple[int, int]:
    """(H, W) asked for, or the scene's where either is 0."""
    if width and height:
        return height, width
    if scene is None:
        raise ValueError("width, height: 0 takes the size from scene, which is not connected; connect depth or a mesh "
                         "to it, or set both")
    return height or scene.size[0], width or scene.size[1]


def choose_intrinsics(scene: VideoDepth | DWMesh | None, frames: int, size: tuple[int, int], focal: float,
                      fit: Fit = "crop") -> Tensor:
    """Intrinsics [3, 3] or [T, 3, 3] at this size: of the focal length asked for, the scene's, or the released."""
    if focal or scene is None:
        return intrinsics_from_focal(focal, size) if focal else default_intrinsics(size)
    if loss := describe_fit(scene.size, size, fit):
        warn(loss)
    if fit == "crop":
        intrinsics = cover_intrinsics(scene.intrinsics, scene.size, size)
    else:
        intrinsics = fit_intrinsics(scene.intrinsics, scene.size, size, fit)
    return intrinsics if len(intrinsics) == frames else intrinsics[0]


def choose_radius(scene: VideoDepth | DWMesh | None, radius: float) -> float:
    """The radius asked for, or the scene's where it is 0."""
    known = radius or scene_radius(scene)
    if known is None:
        raise ValueError("radius: 0 takes it from scene, which is not connected or shows only sky in frame 0; connect "
                         "depth or a mesh that shows more than sky, or set a radius in scene units")
    return known


def scene_radius(scene: VideoDepth | DWMesh | None) -> float | None:
    """The scene's own radius, None where there is no scene or nothing but sky in its frame 0."""
    return automatic_radius(scene) if scene and math.isfinite(scene.nearest) else None


def pack_path(cameras: CameraPath, scene: VideoDepth | DWMesh | None = None) -> io.NodeOutput:
    return io.NodeOutput(sockets.keep(cameras), sockets.as_images(plot_path(cameras, scene)))


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
            search_aliases=["camera path", "orbit", "dolly", "pan", "camera control", "trajectory", "recammaster"],
            inputs=[
                io.DynamicCombo.Input("move", options=[*moves, combined],
                                      tooltip="How the camera moves. " + " ".join(
                                          f"{name}: {kind.help}" for name, kind in MOVES.items()) +
                                      " combined: Makes several moves at the same time."),
                *view_inputs(),
            ],
            outputs=path_outputs(),
        )

    @classmethod
    def execute(cls, move, frames, radius, width, height, focal, scene=None, fit: Fit = "crop") -> io.NodeOutput:
        size = choose_size(scene, width, height)
        intrinsics = choose_intrinsics(scene, frames, size, focal, fit)
        return pack_path(move_path(read_moves(move), frames, choose_radius(scene, radius), intrinsics, size), scene)


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
    end = widget(parameter.name, default=parameter.default, tooltip=f"{parameter.help} Unit: {parameter.unit}.")
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


class EX4DCameraKeyframes(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="EX4DCameraKeyframes",
            display_name="Camera Keyframes (EX-4D)",
            category="EX-4D/camera",
            description="Makes a camera path through keyframes written as JSON.",
            search_aliases=["camera path", "spline", "keyframe", "custom trajectory"],
            inputs=[
                io.String.Input("keyframes", multiline=True, default=EXAMPLE_KEYFRAMES,
                                tooltip="Keyframes as a JSON list. Time: frame (from 0) or time (0..1). Position: yaw "
                                        "and pitch in degrees and distance, or position [x, y, z], both with the "
                                        "radius as unit. Direction: look_at, or pan and tilt in degrees, and roll. "
                                        "Lens: zoom (factor) or focal (pixels). Speed: ease."),
                io.Boolean.Input("smooth", default=True,
                                 tooltip="On: smooth curves through the keyframes. Off: straight lines between them."),
                *view_inputs(),
            ],
            outputs=path_outputs(),
        )

    @classmethod
    def validate_inputs(cls, keyframes, frames) -> bool | str:
        if keyframes is None or frames is None:  # linked: known only when the graph runs
            return True
        if not 1 <= frames <= MAX_FRAMES:  # limits of what is validated here are not checked elsewhere
            return f"frames: {frames} is out of range; use 1..{MAX_FRAMES}"
        try:
            parse_keyframes(keyframes, frames)
        except ValueError as error:
            return str(error)
        return True

    @classmethod
    def execute(cls, keyframes, smooth, frames, radius, width, height, focal, scene=None,
                fit: Fit = "crop") -> io.NodeOutput:
        size = choose_size(scene, width, height)
        intrinsics = choose_intrinsics(scene, frames, size, focal, fit)
        return pack_path(keyframe_path(parse_keyframes(keyframes, frames), frames, choose_radius(scene, radius),
                                       intrinsics, size, smooth), scene)


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
            search_aliases=["chain paths", "reverse", "ping pong", "retime", "bullet time", "freeze", "speed ramp"],
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


# ---- files --------------------------------------------------------------------------------------


class EX4DLoadCameras(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="EX4DLoadCameras",
            display_name="Load Cameras (EX-4D)",
            category="EX-4D/camera",
            description="Loads a camera path from ComfyUI's input or output folder: this pack's JSON, EX-4D's npz, "
                        "COLMAP, Nuke chan, RealEstate10K / CameraCtrl, ReCamMaster, nerfstudio, glTF and more.",
            search_aliases=["camera file", "COLMAP", "CameraCtrl", "RealEstate10K", "ReCamMaster", "chan", "nerfstudio",
                            "transforms.json", "glTF", "Blender camera", "ViewCrafter", "TrajectoryCrafter"],
            inputs=[
                io.Combo.Input("file", options=folders.list_files(READ_SUFFIXES, MODEL_FILES),
                               tooltip="Camera file, or COLMAP folder, in ComfyUI's input folder. Names that end in "
                                       "[output] are in the output folder."),
                setting_input("format"),
                setting_input("world", advanced=True),
                io.Int.Input("frames", default=0, min=0, max=MAX_FRAMES,
                             tooltip="Number of frames that the path must have. 0: any. Keyframe files need a number "
                                     "here."),
                *[view for view in view_inputs() if view.id in ("scene", "radius", "width", "height")],
                setting_input("camera", advanced=True),
                setting_input("rotation_order", advanced=True, optional=True),
                setting_input("length", advanced=True, optional=True),
                io.Float.Input("scale", default=1.0, min=0.0, max=1e6, step=0.001, advanced=True, optional=True,
                               tooltip=SCALE_HELP.format(automatic="0")),
            ],
            outputs=path_outputs(),
        )

    @classmethod
    def validate_inputs(cls, file) -> bool | str:
        return folders.check_file(file)

    @classmethod
    def fingerprint_inputs(cls, file, **rest) -> str | float:
        return folders.fingerprint(file)

    @classmethod
    def execute(cls, file, format, world, frames, radius, width, height, camera, scene=None, rotation_order="auto",
                length="exact", scale=1.0) -> io.NodeOutput:
        size = choose_size(scene, width, height) if scene or width or height else None
        lens = cover_intrinsics(scene.intrinsics[0].cpu(), scene.size, size) if scene and size else None
        cameras = read_path(
            folders.find_file(file), size, frames or None, format, world, radius or scene_radius(scene), lens,
            camera or None, rotation_order, length, scale or "auto", scene.world_from_cam.cpu() if scene else None)
        return pack_path(cameras, scene)


def setting_input(name: str, **more) -> io.Input:
    """The widget of one setting of how a file is read, from the library's table."""
    setting = SETTINGS[name]
    if not setting.choices:
        return io.String.Input(name, default="", tooltip=setting.help, **more)
    return io.Combo.Input(name, options=list(setting.choices), default=setting.choices[0], tooltip=setting.help, **more)


class EX4DSaveCameras(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="EX4DSaveCameras",
            display_name="Save Cameras (EX-4D)",
            category="EX-4D/camera",
            description="Saves a camera path to ComfyUI's output folder, also in the formats of other tools.",
            search_aliases=["camera file", "export camera", "COLMAP", "CameraCtrl", "ReCamMaster", "chan"],
            is_output_node=True,
            inputs=[
                sockets.Cameras.Input("cameras", tooltip="Camera path to save."),
                io.String.Input("filename_prefix", default="ex4d/cameras",
                                tooltip="Prefix of the file name in the output folder. It may include a subfolder."),
                io.Combo.Input("format", options=list(WRITTEN), default="ex4d",
                               tooltip="Format of the file. ex4d (JSON) and released (EX-4D's npz): save everything. "
                                       "colmap, chan and realestate: save everything but held frames. recammaster: "
                                       "saves only positions and directions, in meters."),
            ],
        )

    @classmethod
    def execute(cls, cameras, filename_prefix, format) -> io.NodeOutput:
        path, saved = folders.new_file(filename_prefix, WRITTEN[format])
        write_path(path, cameras, format)
        return io.NodeOutput(ui={"text": (path.name,), "files": [saved]})
