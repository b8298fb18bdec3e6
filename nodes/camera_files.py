"""Camera paths from files and to files."""

from __future__ import annotations

from comfy_api.latest import io

from ..ex4d_ops.camera import cover_intrinsics
from ..ex4d_ops.files import read_path, write_path
from ..ex4d_ops.files.path_settings import MODEL_FILES, READ_SUFFIXES, SCALE_HELP, SETTINGS
from ..ex4d_ops.files.paths import WRITTEN
from . import folders, sockets
from .camera import MAX_FRAMES, choose_size, pack_path, path_outputs, scene_radius, view_inputs


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
            search_aliases=["camera file", "export camera", "COLMAP", "CameraCtrl", "ReCamMaster", "chan", "Vista4D",
                            "NeoVerse"],
            is_output_node=True,
            inputs=[
                sockets.Cameras.Input("cameras", tooltip="Camera path to save."),
                io.String.Input("filename_prefix", default="ex4d/cameras",
                                tooltip="Prefix of the file name in the output folder. It may include a subfolder."),
                io.Combo.Input("format", options=list(WRITTEN), default="ex4d",
                               tooltip="Format of the file. ex4d (JSON) and released (EX-4D's npz): save everything. "
                                       "colmap, chan, realestate and vista4d: save everything but held frames. "
                                       "recammaster: saves only positions and directions, in meters. neoverse: saves "
                                       "positions, directions and the zoom of the last frame."),
            ],
        )

    @classmethod
    def execute(cls, cameras, filename_prefix, format) -> io.NodeOutput:
        path, saved = folders.new_file(filename_prefix, WRITTEN[format])
        write_path(path, cameras, format)
        return io.NodeOutput(ui={"text": (path.name,), "files": [saved]})
