"""A small copy of a scene in a file, of which single frames are drawn at once: what the camera editor looks at."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from .camera import CameraPath, invert_rigid, lift, ray_of, resize_intrinsics, transform
from .clip import resize_frame
from .depth import VideoDepth, resize_depth_map
from .files.whole import written_whole
from .mesh import DWMesh, close_border, occluded_faces
from .prior import VISIBLE_ALPHA, erode, erosion_sizes, render_frame, render_prior, source_fit
from .rules import BORDER_DEPTH, MeshRules, RenderRules

LONGER_SIDE = 384  # pixels of what is kept and drawn, at most
ALL_HIDDEN = 0.75  # share of the faces in the place of one, above which it is hidden as they are
HALVED = 1.5  # of a scene shrunk by more, a hidden face is as wide as one and the vertices it blackens were
SCENE_POINTS = 1500  # of frame 0, for views from above and from the side
SKY = 0.99  # of the border's depth; what lies beyond has no place
GRAY = (0.25, 0.9)  # of the farthest and the nearest where depth comes without colors
PLANES = ("depth", "colors", "occluded")  # of every frame


@dataclass(frozen=True, eq=False)
class Shot:
    """What a camera path needs to know of a clip. size: (H, W) of its frames; intrinsics: [S, 3, 3], world_from_cam:
    [S, 4, 4]; nearest: the smallest depth of frame 0, scene units; subject: [S, 3] or [1, 3], world, None without.
    """

    size: tuple[int, int]
    intrinsics: Tensor
    world_from_cam: Tensor
    nearest: float
    subject: Tensor | None = None

    def __len__(self) -> int:
        return len(self.intrinsics)


def small_size(size: tuple[int, int]) -> tuple[int, int]:
    """(H, W) at which a picture of this size is kept and drawn: no larger than LONGER_SIDE, and never enlarged."""
    scale = min(1.0, LONGER_SIDE / max(size))
    height, width = (max(round(scale * side), 2) for side in size)
    return height, width


# ---- making and keeping -------------------------------------------------------------------------


def write_small_scene(path: Path, scene: VideoDepth | DWMesh, subject: Tensor | None = None) -> None:
    """Write a small copy of a mesh, or of depth alone, which is drawn in gray. subject: as in Shot."""
    from safetensors.torch import save_file

    size, count = small_size(scene.size), len(scene)
    height, width = size
    planes = {"depth": torch.empty(count, height, width), "colors": torch.empty(count, height, width, 3).byte(),
              "occluded": torch.empty(count, height - 1, width - 1, 2).bool()}
    for t in range(count):
        for name, values in zip(PLANES, shrink_frame(scene, t, size)):
            planes[name][t] = values
    shot = {"intrinsics": scene.intrinsics, "world_from_cam": scene.world_from_cam}
    shot |= {} if subject is None else {"subject": subject.reshape(-1, 3)}
    shot = {name: values.float().cpu().contiguous() for name, values in shot.items()}
    about = {"size": scene.size, "nearest": scene.nearest, "hidden_reach": getattr(scene, "hidden_reach", None)}
    with written_whole(path) as part:
        save_file(planes | shot, part, {"about": json.dumps(about)})


def shrink_frame(scene: VideoDepth | DWMesh, t: int, size: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """Depth [h, w], colors [h, w, 3] in 0..255 and hidden faces [h-1, w-1, 2] of frame t of a scene at this size."""
    depth = scene.depth[t].cpu()
    if isinstance(scene, DWMesh):
        colors, rules = scene.colors[t].cpu(), MeshRules(border_depth=float(depth[0, 0]))
        if scene.size == size:
            return depth, as_bytes(colors), scene.occluded[t].cpu()
        depth = depth.clone()
        depth[0], depth[-1] = depth[1], depth[-2]  # the border is closed anew, and must not reach inwards
        depth[:, 0], depth[:, -1] = depth[:, 1], depth[:, -2]
    else:
        colors, rules = shade_depth(depth), MeshRules()
    intrinsics = resize_intrinsics(scene.intrinsics[t].cpu(), scene.size, size)
    depth = close_border(depth.clone() if scene.size == size else resize_depth_map(depth, size), rules)
    occluded = occluded_faces(depth, intrinsics, rules)
    if isinstance(scene, DWMesh):
        quads = scene.occluded[t].cpu().float().mean(-1)[None]
        shares = adaptive_avg_pool2d(quads, (size[0] - 1, size[1] - 1))[0, ..., None]
        occluded = occluded & (shares > 0) | (shares > ALL_HIDDEN)
    return depth, as_bytes(resize_frame(colors, size)), occluded


def as_bytes(colors: Tensor) -> Tensor:
    return (colors * 255).round().clamp(0, 255).byte()


def shade_depth(depth: Tensor) -> Tensor:
    """A picture [H, W, 3] of depth [H, W] in gray: near is bright, sky is black."""
    nearness = 1 / depth
    shown = nearness[nearness > 0]
    if not len(shown):
        return torch.zeros(*depth.shape, 3)
    low, high = shown.quantile(torch.tensor([0.02, 0.98])) if len(shown) < 1 << 24 else shown.aminmax()
    share = ((nearness - low) / (high - low).clamp(min=1e-9)).clamp(0, 1)
    gray = torch.where(nearness > 0, GRAY[0] + share * (GRAY[1] - GRAY[0]), 0.0)
    return gray[..., None].expand(*depth.shape, 3)


class SmallScene:
    """A small scene in a file, of which a frame at a time is read. size: (h, w) of its frames."""

    def __init__(self, path: Path) -> None:
        from safetensors import safe_open

        self.file = safe_open(path, framework="pt")
        about = json.loads(self.file.metadata()["about"])
        names = self.file.keys()
        self.hidden_reach = about["hidden_reach"]
        self.shot = Shot(tuple(about["size"]), self.file.get_tensor("intrinsics"),
                         self.file.get_tensor("world_from_cam"), about["nearest"],
                         self.file.get_tensor("subject") if "subject" in names else None)
        self.size = small_size(self.shot.size)
        self.intrinsics = resize_intrinsics(self.shot.intrinsics, self.shot.size, self.size)

    def __len__(self) -> int:
        return len(self.shot)

    def frame(self, t: int) -> DWMesh:
        """The mesh of frame t alone."""
        one = slice(t, t + 1)
        depth, colors, occluded = (self.file.get_slice(name)[one] for name in PLANES)
        return DWMesh(depth, colors.float() / 255, occluded, self.intrinsics[one], self.shot.world_from_cam[one],
                      self.hidden_reach)


# ---- looking at it ------------------------------------------------------------------------------


def shrink_path(cameras: CameraPath) -> CameraPath:
    """The same cameras for pictures as large as they are drawn."""
    size = small_size(cameras.size)
    return replace(cameras, intrinsics=resize_intrinsics(cameras.intrinsics, cameras.size, size), size=size)


def only_frame(cameras: CameraPath, t: int) -> CameraPath:
    """Frame t of a path, which shows the one frame there is."""
    one = slice(t, t + 1)
    return CameraPath(cameras.cam_from_world[one], cameras.intrinsics[one], cameras.size, torch.zeros(1).long())


@dataclass(frozen=True, eq=False)
class Sight:
    """What one output frame shows: color [h, w, 3] in [0, 1], visible [h, w] bool, and the share that is visible."""

    color: Tensor
    visible: Tensor
    coverage: float


def look(scene: SmallScene, cameras: CameraPath, t: int, rules: RenderRules = RenderRules()) -> Sight:
    """Output frame t of a path as render_prior draws it from the scene's own mesh, at the size of shrink_path.

    What it hides shrinks as the picture does: the vertices that hidden faces blacken, and the erosion, between whole
    pixels too, of which the picture can show the nearest alone. Raises ValueError where the clip lacks the frame shown.
    """
    small, mesh = only_frame(shrink_path(cameras), t), scene.frame(shown_frame(scene, cameras, t))
    texture = "face" if max(scene.shot.size) > HALVED * max(scene.size) else rules.texture
    whole = replace(rules, texture=texture, erosion=0, anchor_first=rules.anchor_first and t == 0)
    seen = render_prior(mesh, small, whole)
    color, shown = seen.color[0], seen.visible[0]
    pixels = erosion_sizes(rules.erosion, rules.seed, len(cameras))[t]
    if pixels <= 1 or (whole.anchor_first and source_fit(mesh, small)):
        return Sight(color, shown, float(shown.float().mean()))
    pixels = 1 + (pixels - 1) * max(small.size) / max(cameras.size)  # a square of n pixels takes n - 1 off
    masks = [erode(shown, kernel) for kernel in range(math.floor(pixels), math.ceil(pixels) + 1)]
    shares, between = [float(mask.float().mean()) for mask in masks], pixels % 1
    visible = masks[round(between)]
    return Sight(color.mul_(visible[..., None]), visible, shares[0] + between * (shares[-1] - shares[0]))


def shown_frame(scene: SmallScene, cameras: CameraPath, t: int) -> int:
    """The source frame that output frame t shows; of a clip of one frame, that one."""
    shown = int(cameras.source_frame[t]) if len(scene) > 1 else 0
    if not 0 <= shown < len(scene):
        raise ValueError(f"frame {t} shows source frame {shown}, but the clip has {len(scene)} frames; make the path "
                         "as long as the clip, or hold frames with a retime curve")
    return shown


def point_at(scene: SmallScene, cameras: CameraPath, t: int, x: float, y: float) -> Tensor | None:
    """The world point [3] that output frame t shows at (x, y), shares of its sides; None in a hole or in the sky."""
    small, mesh = shrink_path(cameras), scene.frame(shown_frame(scene, cameras, t))
    height, width = small.size
    seen = render_frame(mesh, 0, only_frame(small, t), 0, RenderRules(), "auto")
    row, column = min(int(y * height), height - 1), min(int(x * width), width - 1)
    if seen.rgba[row, column, 3] <= VISIBLE_ALPHA:
        return None
    pixel = torch.tensor([column + 0.5, row + 0.5])
    in_camera = ray_of(pixel, small.intrinsics[t]) * seen.depth[row, column]
    point = transform(invert_rigid(small.cam_from_world[t]), in_camera)
    in_source = transform(invert_rigid(mesh.world_from_cam[0]), point)
    return None if in_source[2] > SKY * mesh.depth[0, 0, 0] else point


def sample_points(scene: SmallScene) -> tuple[Tensor, Tensor]:
    """World points [N, 3] of frame 0 and their colors [N, 3] in [0, 1], evenly over the picture, without sky."""
    mesh = scene.frame(0)
    depth = mesh.depth[0]
    height, width = depth.shape
    step = max(round((height * width / SCENE_POINTS) ** 0.5), 1)
    rows, columns = slice(step // 2 or 1, height - 1, step), slice(step // 2 or 1, width - 1, step)
    points = transform(mesh.world_from_cam[0], lift(depth, mesh.intrinsics[0]))[rows, columns].reshape(-1, 3)
    shown = depth[rows, columns].reshape(-1) < SKY * min(float(depth[0, 0]), BORDER_DEPTH)
    return points[shown][:SCENE_POINTS], mesh.colors[0, rows, columns].reshape(-1, 3)[shown][:SCENE_POINTS]


def spread(count: int, most: int) -> Sequence[int]:
    """Frames of a path, evenly spaced, the first and the last among them: all where there are no more than most."""
    if count <= most:
        return range(count)
    return torch.linspace(0, count - 1, most, dtype=torch.float64).round().long().tolist()
