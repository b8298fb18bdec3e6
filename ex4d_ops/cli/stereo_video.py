"""What `ex4d prior --stereo` does: both eyes are drawn from the mesh of the prior, and written."""

from __future__ import annotations

from .. import files
from ..background import Background
from ..camera import CameraPath
from ..mesh import DWMesh
from ..preflight import doubt_parallax, measure_parallax
from ..rules import RenderRules
from ..trajectory import automatic_radius
from ..trajectory.stereo import eye_distance_of_share, stereo_paths
from ..two_eyes import render_eyes
from .terminal import progress_bar, say

STEREO = ("stereo.mkv", "stereo_visible.mkv")


def write_stereo(options, mesh: DWMesh, cameras: CameraPath, background: Background | None, fps: float) -> None:
    """Write what two eyes around the path see, and where it was seen, into the folder of results."""
    plane = automatic_radius(mesh) if options.convergence is None else options.convergence
    if options.eye_distance.endswith("%"):
        distance = eye_distance_of_share(cameras, float(options.eye_distance.removesuffix("%")) / 100, plane)
    else:
        distance = float(options.eye_distance)
    left, right = stereo_paths(cameras, distance, plane)
    parallax = measure_parallax(mesh, left, right)
    say(str(parallax))
    if doubt := doubt_parallax(parallax):
        say(doubt)
    rules = RenderRules("face", False, 0)
    with progress_bar("rendering two eyes") as progress:
        both = render_eyes(mesh, left, right, options.stereo, rules, options.engine, progress, options.vr_side,
                           background)
    for name, frames in zip(STEREO, (both.color, both.visible)):
        files.write_video(options.out / name, frames.cpu(), fps)
