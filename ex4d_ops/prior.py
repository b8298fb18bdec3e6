"""The Prior: what a mesh sequence shows along a camera path, and where it was truly seen."""

from __future__ import annotations

from collections.abc import Sequence, Sized
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import pad

from . import raster
from .background import Background, fill_frame, move_background
from .camera import CameraPath, check_tensor, move_to, project, transform, unfit_intrinsics
from .clip import Fit, Progress, fit_boxes, fit_frame, size_of
from .mesh import DWMesh, open_surface
from .parallel import each_frame
from .raster.points import POINT_RULES, draw_points
from .rules import LAST, Erosion, RenderRules

VISIBLE_ALPHA = 125 / 255  # released code
SEEN_SHARE = 0.5  # of a resampled pixel above which it counts as seen
RELEASED_EROSION = (2, 8)  # pixels, smallest and largest kernel; released inference


@dataclass(frozen=True, eq=False)
class Prior:
    """What the generator is shown.

    color: [T, H, W, 3] float32 in [0, 1], 0 where visible is False; visible: [T, H, W] bool, True = seen
    in the source (white in EX-4D's mask video); origin: [T, H, W] int16, the source frame that each pixel shows, -1
    where none; None where each output frame shows its own source frame alone.
    """

    color: Tensor
    visible: Tensor
    origin: Tensor | None = None

    def __post_init__(self) -> None:
        frames, height, width = self.visible.shape
        check_tensor("color", self.color, (frames, height, width, 3))
        check_tensor("visible", self.visible, (frames, height, width), torch.bool, like=self.color)
        if self.origin is not None:
            check_tensor("origin", self.origin, (frames, height, width), torch.int16, like=self.color)

    def __len__(self) -> int:
        return self.visible.shape[0]

    @property
    def coverage(self) -> Tensor:
        """The visible share of every frame, [T] in [0, 1]."""
        return self.visible.float().mean((1, 2))

    def describe_coverage(self) -> str:
        """How much of the path the source has seen, in words."""
        least, frame = self.coverage.min(0)
        return (f"{len(self)} frames, {self.coverage.mean():.0%} of them seen in the source; "
                f"least in frame {int(frame)}: {least:.0%}")


def render_prior(mesh: DWMesh, cameras: CameraPath, rules: RenderRules = RenderRules(), engine: str = "auto",
                 progress: Progress | None = None, background: Background | None = None) -> Prior:
    """Render a mesh sequence along a path, frame by frame.

    background: fills what a frame neither shows nor covers by its hidden faces; never a pixel that it shows.
    progress(done, total) is called after every frame, in order; what it raises cancels the rendering and
    reaches the caller. A mesh of one frame is held along the whole path. Raises ValueError where the path shows frames
    that a mesh of several lacks.
    """
    if len(mesh) == 1:
        cameras, background = replace(cameras, source_frame=torch.zeros_like(cameras.source_frame)), None
    frames, (height, width), home = len(cameras), cameras.size, mesh.depth.device
    check_frames_exist(mesh, cameras)
    sources = cameras.source_frame.tolist()  # all at once, for a GPU would be waited for at each
    place = raster.drawing_device(engine, home)
    mesh, cameras = move_to(mesh, place), move_to(cameras, place)
    background = None if background is None else move_background(background, place)
    color = torch.empty(frames, height, width, 3, device=place)
    visible = torch.empty(frames, height, width, dtype=torch.bool, device=place)
    origin = None if background is None else torch.empty_like(visible, dtype=torch.int16)
    sizes = erosion_sizes(rules.erosion, rules.seed, frames)
    anchored = source_fit(mesh, cameras) if rules.anchor_first else None

    def render(t: int) -> None:
        source = sources[t]
        if t == 0 and anchored:
            write_anchor(color[0], visible[0], mesh.colors[source], anchored)
            if origin is not None:
                origin[0] = torch.where(visible[0], source, -1)
            return
        seen = render_frame(mesh, source, cameras, t, rules, engine)
        shown = seen.rgba[..., 3] > VISIBLE_ALPHA
        if background is not None and origin is not None:
            origin[t] = torch.where(shown, source, -1)
            fill_frame(background, cameras, t, seen, shown, origin[t], engine)
            shown = origin[t] >= 0
        write_seen(color[t], visible[t], seen.rgba[..., :3], shown, sizes[t])
        if origin is not None:
            origin[t].masked_fill_(~visible[t], -1)

    engine = raster.choose_engine(engine, place)
    each_frame(render, frames, place, progress)
    return move_to(Prior(color, visible, origin), home)


def write_anchor(color: Tensor, visible: Tensor, frame: Tensor, fit: Fit) -> None:
    """Write a picture [h, w, 3] into a frame of a prior: all of it is visible."""
    size = size_of(color[None])
    color.copy_(fit_frame(frame, size, fit))
    visible.fill_(False)
    visible[fit_boxes(size_of(frame[None]), size, fit)[1]] = True


def write_seen(color: Tensor, visible: Tensor, seen: Tensor, shown: Tensor, kernel: int) -> None:
    """Write what was drawn [H, W, 3], which changes, and where it shows the source [H, W] into a frame of a prior."""
    visible.copy_(erode(shown, kernel))
    torch.mul(seen.clamp_(max=1), visible[..., None], out=color)  # rounding of the blend


def draw_single(mesh: DWMesh, cameras: CameraPath, t: int, rules: RenderRules, kernel: int,
                engine: str) -> tuple[Tensor, Tensor]:
    """Output frame t of a path as render_prior draws it: color [H, W, 3] and what is visible [H, W].

    mesh: of its source frame alone. kernel: see erosion_sizes. engine: one that runs where the mesh lies.
    """
    here = replace(cameras, cam_from_world=cameras.cam_from_world[t : t + 1], intrinsics=cameras.intrinsics[t : t + 1],
                   source_frame=torch.zeros_like(cameras.source_frame[:1]))
    color = mesh.colors.new_empty(*cameras.size, 3)
    visible = torch.empty(cameras.size, dtype=torch.bool, device=color.device)
    anchored = source_fit(mesh, here) if t == 0 and rules.anchor_first else None
    if anchored:
        write_anchor(color, visible, mesh.colors[0], anchored)
    else:
        seen = render_frame(mesh, 0, here, 0, rules, engine)
        write_seen(color, visible, seen.rgba[..., :3], seen.rgba[..., 3] > VISIBLE_ALPHA, kernel)
    return color, visible


def anchor_pictures(prior: Prior, pictures: Sequence[Tensor], frames: Sequence[int], fit: Fit = "crop") -> Prior:
    """The prior of which these frames show pictures [h, w, 3], all of them visible; bars of a "pad" are not.

    frames: which each picture is for, -1 is the last. All else stays as it is. Raises ValueError as find_places does.
    """
    color, visible = prior.color.clone(), prior.visible.clone()
    origin = None if prior.origin is None else prior.origin.clone()
    for picture, place in zip(pictures, find_places(frames, len(pictures), len(prior))):
        write_anchor(color[place], visible[place], picture.to(color), fit)
        if origin is not None:
            origin[place] = -1
    return Prior(color, visible, origin)


def find_places(frames: Sequence[int], pictures: int, length: int) -> list[int]:
    """The frames of a video of a length that so many pictures are for, counted from 0; -1 is the last.

    Raises ValueError unless each picture has one of its own.
    """
    if pictures != len(frames):
        raise ValueError(f"frames: {len(frames)} are named for {pictures} pictures; name one for each")
    places = [length - 1 if frame == LAST else frame for frame in frames]
    for place in places:
        if not 0 <= place < length:
            raise ValueError(f"frames: {place} is not a frame of this video; use 0 to {length - 1}, or last")
        if places.count(place) > 1:
            raise ValueError(f"frames: {place} is named twice; name it once")
    return places


def unmix(parts: Tensor) -> tuple[Tensor, Tensor]:
    """Color [..., 3] and visible [...] of sums of seen colors and of how much of them was seen, both in parts [..., 4].

    So a picture is resampled without the black of its holes mixing into what was seen.
    """
    share = parts[..., 3:]
    seen = share > SEEN_SHARE
    return torch.where(seen, parts[..., :3] / share, 0).clamp(0, 1), seen[..., 0]


def origin_of(prior: Prior, cameras: CameraPath) -> Tensor:
    """The source frame that each pixel shows, [T, H, W] int16, -1 where none."""
    if prior.origin is not None:
        return prior.origin
    source = cameras.source_frame.to(prior.color.device, torch.int16)
    return torch.where(prior.visible, source[:, None, None], -1)


def origin_shares(prior: Prior, cameras: CameraPath) -> dict[str, float]:
    """The share of all pixels that their own source frame shows, that other frames add, and that none has seen."""
    origin = origin_of(prior, cameras)
    own = float((origin == cameras.source_frame.to(origin)[:, None, None]).float().mean())
    seen = float(prior.coverage.mean())
    return {"own frame": own, "other frames": seen - own, "unseen": 1 - seen}


def describe_origin(prior: Prior, cameras: CameraPath) -> str:
    """How much of the path was seen, and where it comes from, in words."""
    if prior.origin is None:
        return prior.describe_coverage()
    shares = origin_shares(prior, cameras)
    return (f"{prior.describe_coverage()}. {shares['own frame']:.0%} come from the frame of the same moment, "
            f"{shares['other frames']:.0%} from other frames of the clip")


def check_frames_exist(mesh: Sized, cameras: CameraPath) -> None:
    """Raise ValueError where the path shows source frames the mesh lacks, or another device is asked for."""
    missing = ((cameras.source_frame >= len(mesh)) | (cameras.source_frame < 0)).nonzero()
    if len(missing):
        t = int(missing[0])
        raise ValueError(f"cameras: output frame {t} shows source frame {int(cameras.source_frame[t])}, but the mesh "
                         f"has frames 0..{len(mesh) - 1}; fit the path to {len(mesh)} frames")


def source_fit(mesh: DWMesh, cameras: CameraPath) -> Fit | None:
    """By which fit output frame 0 shows all of its source frame from the source camera, None where it does not."""
    return next((fit for fit in ("stretch", "pad") if begins_at_source(mesh, cameras, fit)), None)


def begins_at_source(mesh: DWMesh, cameras: CameraPath, fit: Fit = "stretch") -> bool:
    """Whether output frame 0 shows the nearest points of its source frame where they were, within half a pixel."""
    source, (height, width) = int(cameras.source_frame[0]), mesh.size
    corners = mesh.depth.new_tensor([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1]])
    points = mesh.nearest * corners @ torch.linalg.inv(mesh.intrinsics[source]).mT
    seen = project(transform(cameras.cam_from_world[0] @ mesh.world_from_cam[source], points),
                   unfit_intrinsics(cameras.intrinsics[0], mesh.size, cameras.size, fit))
    return bool((seen - corners[:, :2]).abs().max() < 0.5)


def render_frame(mesh: DWMesh, source: int, cameras: CameraPath, t: int, rules: RenderRules,
                 engine: str) -> raster.Fragments:
    """What output frame t sees of a source frame, hidden surfaces transparent."""
    cam_from_mesh = cameras.cam_from_world[t] @ mesh.world_from_cam[source]
    if rules.surface != "mesh":
        return draw_points(open_surface(mesh, source), mesh.colors[source], mesh.intrinsics[source], cam_from_mesh,
                           cameras.intrinsics[t], cameras.size, POINT_RULES[rules.surface])
    limits, hidden = mesh.limits(source), mesh.occluded[source]
    colors = mesh.colors[source]
    if rules.texture == "vertex" and limits is None:
        colors, hidden = paint_vertices(mesh, source), None
    return raster.rasterize(mesh.depth[source], colors, mesh.intrinsics[source], cam_from_mesh, cameras.intrinsics[t],
                            cameras.size, engine, limits, hidden)


def paint_vertices(mesh: DWMesh, t: int) -> Tensor:
    """RGBA [H, W, 4] at frame t's vertices, black and transparent where they touch a hidden face. Released rule."""
    rgba = mesh.colors.new_empty(*mesh.size, 4)
    visible = mesh.vertex_visible(t)
    rgba[..., 3] = visible
    torch.mul(mesh.colors[t], visible[..., None], out=rgba[..., :3])
    return rgba


def erosion_sizes(erosion: Erosion, seed: int, frames: int) -> list[int]:
    """Kernel size of every frame in pixels; one draw per frame, so a frame's kernel does not depend on the others."""
    if erosion != "released":
        return [int(erosion)] * frames
    low, high = RELEASED_EROSION
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(low, high + 1, (frames,), generator=generator).tolist()


def erode(mask: Tensor, kernel: int) -> Tensor:
    """Erode a mask [H, W] by a square of kernel pixels, anchored at kernel // 2; outside the image counts as set."""
    if kernel <= 1:
        return mask
    before, after = kernel // 2, kernel - 1 - kernel // 2
    mask = pad(mask, (before, after, before, after), value=True)
    return all_in_a_row(all_in_a_row(mask, kernel).mT, kernel).mT


def all_in_a_row(mask: Tensor, length: int) -> Tensor:
    """Whether so many pixels of a row from each on are all set, [H, W - length + 1]."""
    done = 1
    while done < length:  # what is known of some is known of twice as many
        step = min(done, length - done)
        mask = mask[:, :-step] & mask[:, step:]
        done += step
    return mask
