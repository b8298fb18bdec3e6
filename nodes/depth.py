"""Depth of a clip: from pictures of it, from Depth Anything 3 and MoGe, from files, and back."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import get_args

import torch
from comfy_api.latest import io
from torch import Tensor

from ..ex4d_ops import files
from ..ex4d_ops.camera import anchor, focal_from_view, intrinsics_from_focal, resize_intrinsics
from ..ex4d_ops.clip import Progress, size_of
from ..ex4d_ops.depth import DepthUnits, VideoDepth, check_depth, depth_from, fill_invalid, make_video_depth
from ..ex4d_ops.depth_units import UNIT_SETTINGS, UnitSetting
from ..ex4d_ops.doubts import doubt_units
from ..ex4d_ops.files.depth import DepthForm
from ..ex4d_ops.parallel import one_by_one
from ..ex4d_ops.plot import draw_depth
from . import folders, sockets
from .progress import show_progress, warn

# What read_depth takes: alone, and by the folder.
FILE_SUFFIXES = {".npz", ".npy", ".exr", ".png", ".tif", ".tiff", ".pgm", ".ppm", ".pnm", ".pfm", ".jpg", ".jpeg",
                 ".webp", ".bmp", ".gif", ".apng", ".mkv", ".mp4", ".mov", ".webm", ".avi"}
FOLDER_SUFFIXES = {".exr", ".png", ".tif", ".tiff", ".pgm", ".ppm", ".pnm", ".pfm", ".jpg", ".jpeg", ".webp", ".bmp",
                   ".gif", ".apng"}
COLOR_SPREAD = 0.1  # of white; compression tints gray by less
DA3_PATCH = 14  # pixels; DA3 works at multiples of it
DA3_METRIC_FOCAL = 300.0  # pixels; DA3-Metric: metres = focal * output / 300
STORED = "as stored"
GIVEN = "as given"
CHANNEL_TIP = ("Channel of an EXR, or array of an npz, that contains the depth, e.g. ViewLayer.Depth.Z. Empty: finds "
               "it by its name.")
FILL_TIP = ("On: fills pixels without depth (NaN, zero, negative) with the farthest depth next to them. Off: stops "
            "with an error if there are any.")


# ---- what the numbers mean, and through which lens they were seen -------------------------------


def convention_input(*first: io.DynamicCombo.Option) -> io.Input:
    """The choice of what the numbers of a depth source mean, DepthUnits as widgets."""
    def widget(setting: UnitSetting) -> io.Input:
        if isinstance(setting.default, bool):
            return io.Boolean.Input(setting.name, default=setting.default, tooltip=setting.text)
        # The front end rounds to the digits of the step.
        return io.Float.Input(setting.name, default=setting.default, min=setting.least, max=1e9, step=0.0001,
                              tooltip=setting.text)

    return io.DynamicCombo.Input("convention", options=[
        *first,
        *(io.DynamicCombo.Option(kind, list(map(widget, settings))) for kind, settings in UNIT_SETTINGS.items()),
    ], tooltip=("What the numbers mean. " + ("as stored: reads it from the file. " if first else "") +
                "released: reads relative disparity, where bright is near, like the released model. disparity: reads "
                "1 / depth = scale * number + shift. depth: reads depth = scale * number. normalized-disparity: reads "
                "disparity from 1 at near to 0 at far. normalized-depth: reads depth from 0 at near to 1 at far."))


def read_units(convention: dict) -> DepthUnits:
    """The meaning chosen."""
    settings = dict(convention)
    return DepthUnits(settings.pop("convention"), **settings)


def lens_input(*first: io.DynamicCombo.Option) -> io.Input:
    """The choice of the source camera's focal length."""
    return io.DynamicCombo.Input("lens", options=[
        *first,
        io.DynamicCombo.Option("released", []),
        io.DynamicCombo.Option("focal", [io.Float.Input(
            "focal", default=500.0, min=1.0, max=1e6, step=0.1,
            tooltip="Focal length in pixels of the depth images.")]),
        io.DynamicCombo.Option("field of view", [io.Float.Input(
            "fov", default=54.2, min=1.0, max=179.0, step=0.01, tooltip="Horizontal field of view in degrees.")]),
    ], tooltip=("Focal length of the source camera. " + (
        "as given: takes it from the model or the connected input; if there is none, does the same as released. "
        if first else "") + "released: uses 500 pixels at a width of 512, about 54 degrees. focal: sets it in pixels. "
        "field of view: sets it by the horizontal angle in degrees."))


def read_lens(lens: dict, size: tuple[int, int]) -> Tensor | None:
    """Intrinsics [3, 3] of the lens chosen, None for the released one."""
    if lens["lens"] == "focal":
        return intrinsics_from_focal(lens["focal"], size)
    if lens["lens"] == "field of view":
        return intrinsics_from_focal(focal_from_view(math.radians(lens["fov"]), size[1]), size)
    return None


class EX4DDepthFromImages(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="EX4DDepthFromImages",
            display_name="Depth from Images (EX-4D)",
            category="EX-4D/depth",
            description="Converts gray depth images from any node to the depth of a clip.",
            search_aliases=["depth map", "disparity", "depthcrafter", "video depth anything", "zoedepth"],
            inputs=[
                io.Image.Input("images", tooltip="Gray depth images, one per frame."),
                convention_input(),
                lens_input(),
                io.Boolean.Input("fill", default=False, advanced=True, tooltip=FILL_TIP),
            ],
            outputs=[sockets.Depth.Output("depth",
                                          tooltip="Depth of the clip. The source camera is assumed to stand still.")],
        )

    @classmethod
    def execute(cls, images, convention, lens, fill) -> io.NodeOutput:
        units = read_units(convention)
        sockets.check_images("images", images, 1)
        values = read_gray(images, show_progress())
        with sockets.blame("images"):
            depth = depth_from(values, units, show_progress())
            depth = fill_invalid(depth, show_progress()) if fill else depth
            check_depth(depth)
        if doubt := doubt_units(values, units):
            warn(f"images: {doubt}")
        made = make_video_depth(depth, read_lens(lens, size_of(depth)), None, units.metric)
        return io.NodeOutput(sockets.keep(made))


def read_gray(images: Tensor, progress: Progress | None = None) -> Tensor:
    """The numbers [T, H, W] of gray pictures, which may leave 0..1. Raises ValueError for colored ones."""
    values = torch.empty(images.shape[:3], device=images.device)
    spread = largest = 0.0
    for number, image in zip(values, one_by_one(images, len(images), progress)):
        colors = image[..., :3].float()
        finite = colors.nan_to_num(0.0, 0.0, 0.0)
        spread = max(spread, float((finite.amax(-1) - finite.amin(-1)).max()))
        largest = max(largest, float(finite.abs().max()))
        number[:] = colors[..., 0]
    if spread > COLOR_SPREAD * largest:
        raise ValueError("images: they are in color, and depth cannot be read back from a color map; connect gray "
                         "images")
    return values


# ---- Depth Anything 3 and MoGe ------------------------------------------------------------------


class EX4DDepthFromGeometry(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="EX4DDepthFromGeometry",
            display_name="Depth from Geometry (EX-4D)",
            category="EX-4D/depth",
            description="Converts the output of Depth Anything 3 or MoGe to the depth of a clip, with the focal length "
                        "and, in multiview mode, the motion of the source camera. Sky and holes become infinitely far.",
            search_aliases=["depth anything 3", "DA3", "MoGe", "multiview"],
            inputs=[
                io.MultiType.Input("geometry", [sockets.DA3Geometry, sockets.MoGeGeometry],
                                   tooltip="Output of Run Depth Anything 3 (its multiview mode is steady over time) or "
                                           "Run MoGe Inference."),
                io.DynamicCombo.Input("scale", options=[
                    io.DynamicCombo.Option(GIVEN, []),
                    io.DynamicCombo.Option("multiply", [io.Float.Input(
                        "factor", default=1.0, min=1e-6, max=1e6, step=0.0001,
                        tooltip="Factor from the unit of the geometry to scene units.")]),
                    io.DynamicCombo.Option("DA3-Metric", [io.Int.Input(
                        "resolution", default=504, min=14, max=4096, step=14,
                        tooltip="Resolution set in Run Depth Anything 3, in pixels of the longest side.")]),
                ],
                tooltip="Unit of the depth. as given: keeps the unit of the geometry. multiply: multiplies depth and "
                        "camera motion by a factor. DA3-Metric: converts the output of the DA3-Metric model to "
                        "meters."),
                lens_input(io.DynamicCombo.Option(GIVEN, [])),
                io.Boolean.Input("source_cameras", default=True,
                                 tooltip="On: uses the motion of the source camera if the geometry has it (Depth "
                                         "Anything 3 in multiview mode). Off: assumes that the source camera stands "
                                         "still."),
                io.Float.Input("sky_threshold", default=0.5, min=0.0, max=1.0, step=0.01, advanced=True,
                               tooltip="Probability, 0..1, from which a pixel counts as sky. Only the Mono and Metric "
                                       "models of Depth Anything 3 find sky."),
            ],
            outputs=[sockets.Depth.Output("depth", tooltip="Depth of the clip, with the source cameras.")],
        )

    @classmethod
    def execute(cls, geometry, scale, lens, source_cameras, sky_threshold) -> io.NodeOutput:
        with sockets.blame("geometry"):
            if not isinstance(geometry, dict):
                raise ValueError(f"it is a {type(geometry).__name__}; connect Run Depth Anything 3 or Run MoGe "
                                 "Inference")
            is_da3 = "mode" in geometry
            given = read_da3(geometry, sky_threshold, source_cameras) if is_da3 else read_moge(geometry)
            if lens["lens"] != GIVEN:
                given = make_video_depth(given.depth, read_lens(lens, given.size), given.world_from_cam)
            depth = replace(scale_depth(given, scale), confidence=read_confidence(geometry, given.depth.shape))
            check_depth(depth.depth)
        return io.NodeOutput(sockets.keep(depth))


def read_tensor(geometry: dict, name: str, *shape: int | None) -> Tensor:
    """Numbers of this shape (None: any side) of a packet. Raises ValueError where it holds no such."""
    value = geometry.get(name)
    if not isinstance(value, Tensor):
        raise ValueError(f"its {name} is {'missing' if value is None else f'a {type(value).__name__}'}; connect the "
                         "output of Run Depth Anything 3 or Run MoGe Inference directly")
    if value.dtype.is_complex or value.dtype == torch.bool or value.ndim != len(shape) or any(
            got != want if want is not None else got < 1 for got, want in zip(value.shape, shape)):
        kind = str(value.dtype).removeprefix("torch.")
        raise ValueError(f"its {name} is {list(value.shape)} {kind}; connect a node that gives numbers of shape "
                         f"{[side or 'any' for side in shape]}".replace("'", ""))
    return value.detach().float()


def read_surfaces(geometry: dict) -> Tensor:
    """Depth [T, H, W] of a packet, with everything that is no surface, NaN, zero and negative, infinitely far."""
    depth = read_tensor(geometry, "depth", None, None, None)
    if min(depth.shape[1:]) < 2:
        raise ValueError(f"its depth is {depth.shape[2]}x{depth.shape[1]} pixels; run it on images of at least 2x2 "
                         "pixels")
    return torch.where(depth > 0, depth, torch.inf)


def read_da3(geometry: dict, sky_threshold: float, source_cameras: bool) -> VideoDepth:
    """Depth of a DA3_GEOMETRY packet: depth, not disparity, and of multiview pixel intrinsics and cam_from_world."""
    depth = read_surfaces(geometry)
    if geometry.get("sky") is not None:
        depth = torch.where(read_tensor(geometry, "sky", *depth.shape) >= sky_threshold, torch.inf, depth)
    cameras = geometry.get("intrinsics")
    if cameras is None or isinstance(cameras, Tensor) and is_stand_in(cameras):
        return make_video_depth(depth)
    lens = da3_intrinsics(read_tensor(geometry, "intrinsics", 1, len(depth), 3, 3)[0], size_of(depth))
    return make_video_depth(depth, lens, da3_world_from_cam(geometry, len(depth)) if source_cameras else None)


def is_stand_in(intrinsics: Tensor) -> bool:
    """Whether intrinsics are what core puts where a single view has none."""
    return intrinsics.shape[-2:] == (3, 3) and bool((intrinsics == torch.eye(3).to(intrinsics)).all())


def read_confidence(geometry: dict, shape: torch.Size) -> Tensor | None:
    """How sure the model is, [T, H, W] from 0, the least of the clip, to 1; None where it does not say."""
    raw = geometry.get("confidence")
    if not isinstance(raw, Tensor) or raw.shape != shape:
        return None
    raw = raw.detach().float().nan_to_num(0.0)
    low, high = raw.aminmax()
    return (raw - low) / (high - low).clamp(min=1e-6)


def da3_intrinsics(intrinsics: Tensor, size: tuple[int, int]) -> Tensor:
    """Intrinsics [T, 3, 3] at size of DA3's, which are in pixels of the size that the model worked at.

    The packet does not say that size. Its sides are multiples of 14, and the principal point is near the middle:
    exactly there by cam_dec, within a few pixels by ray_pose.
    """
    worked = (2 * intrinsics[:, [1, 0], 2].median(0).values / DA3_PATCH).round() * DA3_PATCH  # (H, W)
    if not (worked >= DA3_PATCH).all():
        raise ValueError("Depth Anything 3 did not find a focal length; run it with the other pose_method, or on "
                         "fewer frames")
    return resize_intrinsics(intrinsics, tuple(worked.tolist()), size)


def da3_world_from_cam(geometry: dict, frames: int) -> Tensor:
    """world_from_cam [T, 4, 4] of DA3's cameras [1, T, 3 or 4, 4], whose world is that of any view it chose."""
    rows = 4 if getattr(geometry.get("extrinsics"), "shape", ())[-2:] == (4, 4) else 3
    cam_from_view = read_tensor(geometry, "extrinsics", 1, frames, rows, 4)[0]
    if not torch.isfinite(cam_from_view).all():
        raise ValueError("the camera motion of Depth Anything 3 is NaN; turn source_cameras off")
    return anchor("extrinsics", cam_from_view)


def read_moge(geometry: dict) -> VideoDepth:
    """Depth of a MOGE_GEOMETRY packet: inf where masked, intrinsics as shares of width and height."""
    if "intrinsics" not in geometry:
        raise ValueError("a MoGe panorama does not have a focal length; use Run MoGe Inference on ordinary images")
    depth = read_surfaces(geometry)
    lens = read_tensor(geometry, "intrinsics", len(depth), 3, 3)
    return make_video_depth(depth, resize_intrinsics(lens, (1, 1), size_of(depth)))


def scale_depth(depth: VideoDepth, scale: dict) -> VideoDepth:
    """Depth and camera motion in the scene units chosen."""
    if scale["scale"] == "DA3-Metric":
        focal = depth.intrinsics[:, [0, 1], [0, 1]].mean(1) * scale["resolution"] / max(depth.size)
        metres = depth.depth * focal[:, None, None] / DA3_METRIC_FOCAL
        return make_video_depth(metres, depth.intrinsics, metric=True)
    factor = scale.get("factor", 1.0)
    world_from_cam = depth.world_from_cam.clone()
    world_from_cam[:, :3, 3] *= factor
    return make_video_depth(depth.depth * factor, depth.intrinsics, world_from_cam)


# ---- pictures and files -------------------------------------------------------------------------


class EX4DDepthToImages(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="EX4DDepthToImages",
            display_name="Depth to Images (EX-4D)",
            category="EX-4D/depth",
            description="Converts depth to images of disparity: the nearest point of the clip is bright, sky is dark.",
            search_aliases=["preview depth", "depth map", "disparity", "turbo", "colormap"],
            inputs=[
                sockets.Depth.Input("depth", tooltip="Depth of a clip."),
                io.Combo.Input("colors", options=["turbo", "viridis", "magma", "gray"], default="turbo",
                               tooltip="Color map. Depth from Images can read gray images back, as "
                                       "normalized-disparity."),
            ],
            outputs=[
                io.Image.Output("images", tooltip="Depth images, one per frame."),
                io.Float.Output("near", tooltip="Depth of the brightest value, in scene units."),
                io.Float.Output("far", tooltip="Depth of the darkest value, in scene units. Infinite if there is sky."),
            ],
        )

    @classmethod
    def execute(cls, depth, colors) -> io.NodeOutput:
        pictures = draw_depth(depth.depth, None if colors == "gray" else colors, show_progress())
        near, far = depth.depth.aminmax()
        return io.NodeOutput(sockets.as_images(pictures), float(near), float(far))


class EX4DLoadDepth(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="EX4DLoadDepth",
            display_name="Load Depth (EX-4D)",
            category="EX-4D/depth",
            description="Loads the depth of a clip from ComfyUI's input or output folder: npz, npy, EXR, 16-bit PNG "
                        "and other images (a file or a folder of them), or gray video.",
            search_aliases=["npz", "EXR", "PFM", "TIFF", "depth file", "depth video", "depth pass"],
            inputs=[
                io.Combo.Input("file", options=folders.list_files(FILE_SUFFIXES, FOLDER_SUFFIXES),
                               tooltip="Depth file or folder in ComfyUI's input folder. Names that end in [output] are "
                                       "in the output folder."),
                convention_input(io.DynamicCombo.Option(STORED, [])),
                io.Int.Input("start", default=0, min=0, max=1_000_000, tooltip="First frame to load, counted from 0."),
                io.Int.Input("frames", default=0, min=0, max=1_000_000,
                             tooltip="Maximum number of frames to load. 0: all."),
                io.Boolean.Input("fill", default=False, advanced=True, tooltip=FILL_TIP),
                io.String.Input("channel", default="", optional=True, advanced=True, tooltip=CHANNEL_TIP),
            ],
            outputs=[sockets.Depth.Output("depth", tooltip="Depth of the clip, with the cameras stored in the file.")],
        )

    @classmethod
    def validate_inputs(cls, file, *, convention=None) -> bool | str:
        # ComfyUI hands dynamic combos over unasked, and blames every input that is asked for.
        return folders.check_file(file)

    @classmethod
    def fingerprint_inputs(cls, file, **rest) -> str | float:
        return folders.fingerprint(file)

    @classmethod
    def execute(cls, file, convention, start, frames, fill, channel="") -> io.NodeOutput:
        units = None if convention["convention"] == STORED else read_units(convention)
        depth = files.read_depth(folders.find_file(file), units, start, frames or None, fill,
                                 show_progress(), channel.strip() or None)
        return io.NodeOutput(sockets.keep(depth))


class EX4DSaveDepth(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="EX4DSaveDepth",
            display_name="Save Depth (EX-4D)",
            category="EX-4D/depth",
            description="Saves the depth of a clip and its cameras to ComfyUI's output folder.",
            search_aliases=["npz", "EXR", "export depth"],
            is_output_node=True,
            inputs=[
                sockets.Depth.Input("depth", tooltip="Depth of a clip."),
                io.String.Input("filename_prefix", default="ex4d/depth",
                                tooltip="Prefix of the file name in the output folder. It may include a subfolder."),
                io.Combo.Input("format", options=list(get_args(DepthForm)), default="npz",
                               tooltip="Format of the file. npz and exr (a folder): save without loss. png (a folder "
                                       "of 16-bit files) and video (16-bit gray mkv): save disparity in 65535 steps."),
            ],
        )

    @classmethod
    def execute(cls, depth, filename_prefix, format) -> io.NodeOutput:
        path, saved = folders.new_file(filename_prefix, {"npz": ".npz", "video": ".mkv"}.get(format, ""))
        files.write_depth(path, depth, format, show_progress())
        return io.NodeOutput(ui={"text": (str(path.name),), "files": [saved]})
