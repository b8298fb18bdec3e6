"""Before the long run: how much of other views was seen, what generators were trained on, what two eyes can bear."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from . import raster
from .camera import CameraPath, lift, move_to, project, resize_intrinsics, transform
from .clip import Progress
from .depth import VideoDepth
from .mesh import DWMesh
from .parallel import each_frame
from .prior import VISIBLE_ALPHA, render_frame
from .rules import RenderRules
from .trajectory.moves import CHANNELS
from .trajectory.rig import RADIUS_MARGIN, place_rig

HARD_PARALLAX = 0.05  # share of the width above which eyes tire; stereo films stay below 0.03
PARALLAX_STEP = 4  # pixels between those whose parallax is looked at, each way
COVERAGE_SIDE = 160  # pixels of the longer side at which views are drawn; their shares differ by less than 1 % from 512


@dataclass(frozen=True)
class TrainedRange:
    """Degrees to either side and up and down that a generator's authors trained it on; source: where they say so."""

    name: str
    yaw: tuple[float, float]
    pitch: tuple[float, float]
    source: str


TRAINED_RANGES = (
    TrainedRange("EX-4D", (-90.0, 90.0), (0.0, 0.0), "paper A.3: a level sweep"),
    TrainedRange("CrossView-Warp", (-45.0, 45.0), (-20.0, 30.0), "its README: the range it is sure of"),
)


@dataclass(frozen=True)
class WidestAngles:
    """How far the camera may turn, degrees, until less than `share` is seen; the most that was asked for if nothing is.

    left, right: at level height; down, up: straight before the scene.
    """

    share: float
    left: float
    right: float
    down: float
    up: float

    def __str__(self) -> str:
        return (f"At least {self.share:.0%} of the picture is seen up to {self.left:.0f} degrees to the left, "
                f"{self.right:.0f} to the right, {self.down:.0f} down and {self.up:.0f} up")


def coverage_map(mesh: DWMesh, yaw: Tensor, pitch: Tensor, frame: int = 0, radius: float | None = None,
                 rules: RenderRules = RenderRules(), engine: str = "auto", progress: Progress | None = None) -> Tensor:
    """The share of every view around one frame that it has seen, [P, Y] in [0, 1], before any erosion.

    yaw: [Y], pitch: [P], radians, of a camera that circles the target from the frame's own camera, as the moves do.
    radius: distance of the target, by default the frame's nearest point + 0.15. progress: as in render_prior.
    """
    radius = float(mesh.depth[frame].min()) + RADIUS_MARGIN if radius is None else radius
    place = raster.drawing_device(engine, mesh.depth.device)
    mesh = move_to(mesh, place)
    cameras = views_around(mesh, yaw, pitch, frame, radius)
    engine = raster.choose_engine(engine, place)
    shares = torch.empty(len(cameras))

    def look(k: int) -> None:
        seen = render_frame(mesh, frame, cameras, k, rules, engine)
        shares[k] = (seen.rgba[..., 3] > VISIBLE_ALPHA).float().mean()

    each_frame(look, len(cameras), place, progress)
    return shares.view(len(pitch), len(yaw))


def angles_around(limit: float, step: float) -> Tensor:
    """Angles from -limit to limit, about a step apart, with 0 in the middle; radians."""
    return torch.linspace(-limit, limit, 2 * max(math.ceil(limit / step - 1e-9), 1) + 1)


def views_around(mesh: DWMesh, yaw: Tensor, pitch: Tensor, frame: int, radius: float) -> CameraPath:
    """One small camera per pitch and yaw, row by row, all of which show one frame."""
    turns = torch.cartesian_prod(pitch.cpu().double(), yaw.cpu().double())
    still = torch.zeros_like(turns[:, 0])
    rig = dict.fromkeys(CHANNELS, still) | {"pitch": turns[:, 0], "yaw": turns[:, 1]}
    scale = min(COVERAGE_SIDE / max(mesh.size), 1.0)
    height, width = (max(round(scale * side), 1) for side in mesh.size)
    size = (height, width)
    intrinsics = resize_intrinsics(mesh.intrinsics[frame], mesh.size, size).expand(len(turns), 3, 3)
    cam_from_world = place_rig(rig, radius).to(mesh.depth) @ torch.linalg.inv(mesh.world_from_cam[frame])
    return CameraPath(cam_from_world, intrinsics, size, torch.full((len(turns),), frame, device=mesh.depth.device))


def widest_angles(shares: Tensor, yaw: Tensor, pitch: Tensor, share: float) -> WidestAngles:
    """How far the camera may turn each way until shares [P, Y] fall below a share for the first time.

    yaw [Y] and pitch [P] rise and hold 0. Between two angles the share is taken to change evenly.
    """
    level, ahead = shares[int(pitch.abs().argmin())].tolist(), shares[:, int(yaw.abs().argmin())].tolist()
    reach = [reach_of(list(zip(angles.tolist(), values))[::step], share)
             for angles, values in ((yaw, level), (pitch, ahead)) for step in (-1, 1)]
    return WidestAngles(share, *(math.degrees(angle) for angle in reach))


def reach_of(samples: Sequence[tuple[float, float]], share: float) -> float:
    """The angle, without its sign, at which values fall below a share on the way from 0 outward, of (angle, value)."""
    outward = [(abs(angle), value) for angle, value in samples]
    outward = outward[min(range(len(outward)), key=lambda k: outward[k][0]):]
    if outward[0][1] < share:
        return 0.0
    for (inner, more), (outer, less) in zip(outward, outward[1:]):
        if less < share:
            return inner + (outer - inner) * (more - share) / (more - less)
    return outward[-1][0]


# ---- two eyes -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Parallax:
    """How far apart two eyes see things, as shares of the width: of the nearest, above 0 before the screen, and of the
    farthest, below 0 behind it.
    """

    nearest: float
    farthest: float

    @property
    def largest(self) -> float:
        return max(abs(self.nearest), abs(self.farthest))

    def __str__(self) -> str:
        return (f"The parallax is between {self.farthest:.1%} (behind the screen) and {self.nearest:+.1%} (before it) "
                "of the width")


def measure_parallax(scene: VideoDepth | DWMesh, left: CameraPath, right: CameraPath) -> Parallax:
    """The parallax of what both eyes see of a scene, sampled over all frames; 0 where they see nothing."""
    width = left.size[1]
    found = [torch.zeros(1)]
    for t, source in enumerate(left.source_frame.tolist()):
        points = transform(scene.world_from_cam[source], lift(scene.depth[source], scene.intrinsics[source]))
        points = points[1:-1:PARALLAX_STEP, 1:-1:PARALLAX_STEP].reshape(-1, 3)
        (first, seen_left), (second, seen_right) = (look_at_points(eye, t, points) for eye in (left, right))
        found.append((first - second)[seen_left & seen_right].cpu() / width)
    shares = torch.cat(found)
    return Parallax(float(shares.max()), float(shares.min()))


def look_at_points(eye: CameraPath, t: int, points: Tensor) -> tuple[Tensor, Tensor]:
    """Where camera t sees points [N, 3], x in pixels [N], and whether they are in its picture [N]."""
    height, width = eye.size
    seen = transform(eye.cam_from_world[t], points)
    ahead = seen[:, 2] > raster.NEAR
    x, y = project(torch.where(ahead[:, None], seen, 1), eye.intrinsics[t]).unbind(-1)
    return x, ahead & (x >= 0) & (x < width) & (y >= 0) & (y < height)


def doubt_parallax(parallax: Parallax) -> str | None:
    """What speaks against showing this to people, in one sentence; None where nothing does."""
    if parallax.largest <= HARD_PARALLAX:
        return None
    return (f"the largest parallax is {parallax.largest:.1%} of the width, and more than {HARD_PARALLAX:.0%} is hard "
            f"on the eyes; multiply the eye distance by {HARD_PARALLAX / parallax.largest:.2f} or less")
