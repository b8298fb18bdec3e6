"""Depth of a clip: from pictures of it, from Depth Anything 3 and MoGe, from files, and back."""

from __future__ import annotations

import math
from typing import get_args

import torch
from comfy_api.latest import io
from torch import Tensor

from ..ex4d_ops import files
from ..ex4d_ops.camera import focal_from_view, intrinsics_from_focal, invert_rigid, resize_intrinsics, rigid
from ..ex4d_ops.clip import Progress
from ..ex4d_ops.depth import (
    DepthUnits,
    VideoDepth,
    check_depth,
    depth_from,
    fill_invalid,
    make_video_depth,
)
from ..ex4d_ops.doubts import doubt_units
from ..ex4d_ops.files.depth import DepthForm
from ..ex4d_ops.parallel import one_by_one
from ..ex4d_ops.plot import draw_depth
from ..ex4d_ops.rotation import quaternion_of, rotation_of
from . import folders, sockets
from .progress import show_progress, warn

FILE_SUFFIXES = {".npz", ".npy", ".exr", ".mkv", ".mp4"}
FOLDER_SUFFIXES = {".exr", ".png"}
COLOR_SPREAD = 0.1  # of white; compression tints gray by less
DA3_PATCH = 14  # pixels; DA3 works at multiples of it
DA3_METRIC_FOCAL = 300.0  # pixels; DA3-Metric: metres = focal * output / 300
STORED = "as stored"
GIVEN = "as given"
FILL_TIP = "On: pixels without depth (NaN, zero, negative) get the farthest depth beside them. Off: they are refused."



# ---- what the numbers mean, and through which lens they were seen -------------------------------


def convention_input(*first: io.DynamicCombo.Option) -> io.Input:
    """The choice of what the numbers of a depth source mean, DepthUnits as widgets."""
    def number(name: str, default: float, tooltip: str, low: float = 1e-6) -> io.Input:
        # The front end rounds to the digits of the step.
        return io.Float.Input(name, default=default, min=low, max=1e9, step=0.0001, tooltip=tooltip)

    near = number("near", 1.0, "Depth of the nearest value, scene units.")
    far = number("far", 100.0, "Depth of the farthest value, scene units.")
    return io.DynamicCombo.Input("convention", options=[
        *first,
        io.DynamicCombo.Option("released", []),
        io.DynamicCombo.Option("disparity", [
            number("scale", 1.0, "Disparity per number: multiplies the numbers into 1 / scene units."),
            number("shift", 0.0, "Added after scaling, 1 / scene units.", -1e9)]),
        io.DynamicCombo.Option("depth", [
            number("scale", 1.0, "Multiplies the numbers: scene units per number."),
            io.Boolean.Input("metric", default=False, tooltip="The scaled numbers are metres.")]),
        io.DynamicCombo.Option("normalized-disparity", [near, far]),
        io.DynamicCombo.Option("normalized-depth", [near, far]),
    ], tooltip="What the numbers mean. released: relative disparity (bright is near) as the released model reads it. "
               "disparity: 1 / z = scale * v + shift. depth: z = scale * v. normalized-disparity: 1 is near, 0 is far, "
               "1 / z between. normalized-depth: 0 is near, 1 is far, z between.")


def read_units(convention: dict) -> DepthUnits | None:
    """The meaning chosen, None where the file is to say it itself."""
    settings = dict(convention)
    kind = settings.pop("convention")
    return None if kind == STORED else DepthUnits(kind, **settings)


def lens_input(*first: io.DynamicCombo.Option) -> io.Input:
    """The choice of the source camera's focal length."""
    return io.DynamicCombo.Input("lens", options=[
        *first,
        io.DynamicCombo.Option("released", []),
        io.DynamicCombo.Option("focal", [io.Float.Input(
            "focal", default=500.0, min=1.0, max=1e6, step=0.1, tooltip="Focal length, pixels of the depth.")]),
        io.DynamicCombo.Option("field of view", [io.Float.Input(
            "fov", default=54.2, min=1.0, max=179.0, step=0.01, tooltip="Horizontal field of view, degrees.")]),
    ], tooltip="Focal length of the source camera. released: 500 pixels at a width of 512, about 54 degrees; or what "
               "is known of it, in pixels or as horizontal field of view.")


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
            description="Takes gray depth pictures, of whatever node, for the depth of a clip.",
            search_aliases=["depth map", "disparity", "depthcrafter", "video depth anything", "zoedepth"],
            inputs=[
                io.Image.Input("images", tooltip="Gray depth pictures, one per frame."),
                convention_input(),
                lens_input(),
                io.Boolean.Input("fill", default=False, advanced=True, tooltip=FILL_TIP),
            ],
            outputs=[sockets.Depth.Output("depth", tooltip="Depth of the clip; the source camera is taken to stand "
                                                           "still.")],
        )

    @classmethod
    def execute(cls, images, convention, lens, fill) -> io.NodeOutput:
        units = read_units(convention)
        sockets.check_images("images", images, 1)
        with sockets.blame("images"):
            values = read_gray(images, show_progress())
            depth = depth_from(values, units, show_progress())
            depth = fill_invalid(depth, show_progress()) if fill else depth
            check_depth(depth)
        if doubt := doubt_units(values, units):
            warn(f"images: {doubt}")
        made = make_video_depth(depth, read_lens(lens, depth.shape[1:]), None, units.metric)
        return io.NodeOutput(sockets.keep(made))


def read_gray(images: Tensor, progress: Progress | None = None) -> Tensor:
    """The numbers [T, H, W] of gray pictures, which may leave 0..1. Raises ValueError for coloured ones."""
    values = torch.empty(images.shape[:3], device=images.device)
    spread = largest = 0.0
    for number, image in zip(values, one_by_one(images, len(images), progress)):
        colors = image[..., :3].float()
        finite = colors.nan_to_num(0.0, 0.0, 0.0)
        spread = max(spread, float((finite.amax(-1) - finite.amin(-1)).max()))
        largest = max(largest, float(finite.abs().max()))
        number[:] = colors[..., 0]
    if spread > COLOR_SPREAD * largest:
        raise ValueError("are in colour, and depth cannot be read back from a colour map; connect gray pictures")
    return values


# ---- Depth Anything 3 and MoGe ------------------------------------------------------------------


class EX4DDepthFromGeometry(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="EX4DDepthFromGeometry",
            display_name="Depth from Geometry (EX-4D)",
            category="EX-4D/depth",
            description="Takes what Depth Anything 3 or MoGe found for the depth of a clip, with intrinsics and, from "
                        "multiview, the source camera's motion. Sky and holes stay infinitely far.",
            search_aliases=["depth anything 3", "DA3", "MoGe", "multiview"],
            inputs=[
                io.MultiType.Input("geometry", [sockets.DA3Geometry, sockets.MoGeGeometry],
                                   tooltip="From Run Depth Anything 3 (multiview is steady over time) or Run MoGe."),
                io.DynamicCombo.Input("scale", options=[
                    io.DynamicCombo.Option(GIVEN, []),
                    io.DynamicCombo.Option("multiply", [io.Float.Input(
                        "factor", default=1.0, min=1e-6, max=1e6, step=0.0001,
                        tooltip="Scene units per unit of the geometry.")]),
                    io.DynamicCombo.Option("DA3-Metric", [io.Int.Input(
                        "resolution", default=504, min=14, max=4096, step=14,
                        tooltip="Longest side that Run Depth Anything 3 worked at, pixels: its own resolution.")]),
                ], tooltip="as given: the geometry's own units. multiply: by a factor, camera motion included. "
                           "DA3-Metric: metres from the DA3-Metric model, whose output is metres * 300 / focal."),
                lens_input(io.DynamicCombo.Option(GIVEN, [])),
                io.Boolean.Input("source_cameras", default=True,
                                 tooltip="Takes over the source camera's motion where the geometry has it (DA3 "
                                         "multiview). Off: it is taken to stand still."),
                io.Float.Input("sky_threshold", default=0.5, min=0.0, max=1.0, step=0.01, advanced=True,
                               tooltip="Probability from which a pixel counts as sky (DA3 Mono and Metric), 0..1."),
            ],
            outputs=[sockets.Depth.Output("depth", tooltip="Depth of the clip, seen from its own cameras.")],
        )

    @classmethod
    def execute(cls, geometry, scale, lens, source_cameras, sky_threshold) -> io.NodeOutput:
        is_da3 = "mode" in geometry
        given = read_da3(geometry, sky_threshold, source_cameras) if is_da3 else read_moge(geometry)
        if lens["lens"] != GIVEN:
            given = make_video_depth(given.depth, read_lens(lens, given.size), given.world_from_cam)
        depth = scale_depth(given, scale)
        with sockets.blame("geometry"):
            check_depth(depth.depth)
        return io.NodeOutput(sockets.keep(depth))


def read_da3(geometry: dict, sky_threshold: float, source_cameras: bool) -> VideoDepth:
    """Depth of a DA3_GEOMETRY packet: depth, not disparity, and of multiview pixel intrinsics and cam_from_world."""
    depth = surfaces(geometry["depth"])
    if "sky" in geometry:
        depth = torch.where(geometry["sky"] >= sky_threshold, torch.inf, depth)
    cameras = geometry.get("intrinsics")
    if cameras is None or (cameras.cpu() == torch.eye(3)).all():  # core's stand-in for a single view
        return make_video_depth(depth)
    world_from_cam = da3_world_from_cam(geometry["extrinsics"][0]) if source_cameras else None
    return make_video_depth(depth, da3_intrinsics(cameras[0].float(), depth.shape[1:]), world_from_cam)


def da3_intrinsics(intrinsics: Tensor, size: tuple[int, int]) -> Tensor:
    """Intrinsics [T, 3, 3] at size of DA3's, which are in pixels of the size that the model worked at.

    The packet does not say that size. Its sides are multiples of 14, and the principal point is near the middle:
    exactly there by cam_dec, within a few pixels by ray_pose.
    """
    worked = (2 * intrinsics[:, [1, 0], 2].median(0).values / DA3_PATCH).round() * DA3_PATCH  # (H, W)
    if not (worked >= DA3_PATCH).all():
        raise ValueError("geometry: Depth Anything 3 found no lens; run it with the other pose_method, or on fewer "
                         "frames")
    return resize_intrinsics(intrinsics, tuple(worked.tolist()), size)


def da3_world_from_cam(cam_from_anchor: Tensor) -> Tensor:
    """world_from_cam [T, 4, 4] of DA3's cameras [T, 3 or 4, 4], whose world is that of any view it chose."""
    cam_from_anchor = cam_from_anchor.cpu().double()
    if not torch.isfinite(cam_from_anchor).all():
        raise ValueError("geometry: Depth Anything 3 found no camera motion (NaN); turn source_cameras off")
    rotation = rotation_of(quaternion_of(cam_from_anchor[:, :3, :3]))  # exactly rigid, whatever precision it ran in
    cam_from_anchor = rigid(rotation, cam_from_anchor[:, :3, 3])
    return (cam_from_anchor[0] @ invert_rigid(cam_from_anchor)).float()


def read_moge(geometry: dict) -> VideoDepth:
    """Depth of a MOGE_GEOMETRY packet: inf where masked, intrinsics as shares of width and height."""
    if "intrinsics" not in geometry:
        raise ValueError("geometry: a MoGe panorama has no pinhole camera; use Run MoGe Inference on ordinary pictures")
    depth = surfaces(geometry["depth"])
    return make_video_depth(depth, resize_intrinsics(geometry["intrinsics"].float(), (1, 1), tuple(depth.shape[1:])))


def surfaces(depth: Tensor) -> Tensor:
    """Depth [T, H, W] float32 with everything that is no surface, NaN, zero and negative, infinitely far."""
    depth = depth.float()
    return torch.where(depth > 0, depth, torch.inf)


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
            description="Pictures of depth as disparity: the nearest point of the clip is bright, sky is dark.",
            search_aliases=["preview depth", "depth map", "disparity", "turbo", "colormap"],
            inputs=[
                sockets.Depth.Input("depth", tooltip="Depth of a clip."),
                io.Combo.Input("colors", options=["turbo", "viridis", "magma", "gray"], default="turbo",
                               tooltip="Colour map. Gray can be read back by Depth from Images, as "
                                       "normalized-disparity."),
            ],
            outputs=[
                io.Image.Output("images", tooltip="One picture per frame."),
                io.Float.Output("near", tooltip="Depth of the brightest value, scene units."),
                io.Float.Output("far", tooltip="Depth of the darkest value, scene units; infinite where there is sky."),
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
            description="Reads the depth of a clip: npz, npy, EXR or 16-bit PNG (a file or a folder of them), gray "
                        "video. From ComfyUI's input and output folders only.",
            search_aliases=["npz", "EXR", "depth file", "depth video"],
            inputs=[
                io.Combo.Input("file", options=folders.list_files(FILE_SUFFIXES, FOLDER_SUFFIXES),
                               tooltip="A file or folder in ComfyUI's input folder, or NAME [output] in its output "
                                       "folder."),
                convention_input(io.DynamicCombo.Option(STORED, [])),
                io.Int.Input("start", default=0, min=0, max=1_000_000, tooltip="First frame to read, counted from 0."),
                io.Int.Input("frames", default=0, min=0, max=1_000_000, tooltip="The most frames to read; 0: all."),
                io.Boolean.Input("fill", default=False, advanced=True, tooltip=FILL_TIP),
            ],
            outputs=[sockets.Depth.Output("depth", tooltip="Depth of the clip, with the cameras the file holds.")],
        )

    @classmethod
    def validate_inputs(cls, file, *, convention=None) -> bool | str:
        # ComfyUI hands dynamic combos over unasked, and blames every input that is asked for.
        return folders.check_file(file)

    @classmethod
    def fingerprint_inputs(cls, file, **rest) -> str:
        return folders.fingerprint(file)

    @classmethod
    def execute(cls, file, convention, start, frames, fill) -> io.NodeOutput:
        depth = files.read_depth(folders.find_file(file), read_units(convention), start, frames or None, fill,
                                 show_progress())
        return io.NodeOutput(sockets.keep(depth))


class EX4DSaveDepth(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="EX4DSaveDepth",
            display_name="Save Depth (EX-4D)",
            category="EX-4D/depth",
            description="Writes the depth of a clip, with its cameras, into ComfyUI's output folder.",
            search_aliases=["npz", "EXR", "export depth"],
            is_output_node=True,
            inputs=[
                sockets.Depth.Input("depth", tooltip="Depth of a clip."),
                io.String.Input("filename_prefix", default="ex4d/depth",
                                tooltip="Name in the output folder, before a number; may name a subfolder."),
                io.Combo.Input("format", options=list(get_args(DepthForm)), default="npz",
                               tooltip="npz and exr (a folder) keep every bit; png (a folder, 16 bit) and video (gray "
                                       "mkv, 16 bit) keep disparity in 65535 steps."),
            ],
        )

    @classmethod
    def execute(cls, depth, filename_prefix, format) -> io.NodeOutput:
        path, saved = folders.new_file(filename_prefix, {"npz": ".npz", "video": ".mkv"}.get(format, ""))
        files.write_depth(path, depth, format, show_progress())
        return io.NodeOutput(ui={"text": (str(path.name),), "files": [saved]})
