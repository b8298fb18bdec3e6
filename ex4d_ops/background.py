"""What other frames add to one: surfaces at rest that it does not see itself, of the few frames that add most."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from . import raster
from .camera import CameraPath, check_tensor, invert_rigid, move_to, project, ray_of, transform
from .clip import Progress
from .depth import VideoDepth
from .mesh import DWMesh, describe_clip, faces_touching
from .motion import Tolerance, View, find_motion, grow, look, measure_tolerance, nearer, rests, shown_by, slides
from .parallel import each_frame

__all__ = ["Background", "BackgroundRules", "Layer", "fill_frame", "find_motion", "make_background"]

SLIDING = 0.2  # share of what is called at rest that may slide before a source camera is doubted that is said to rest
CANDIDATES = 17  # frames, spread over the clip, of which those that add most are taken
COARSE = 64  # pixels of the longer side at which frames are chosen and their exposures compared
FINE = 320  # the same, at which the parts that each adds are found
SHARPER = 1.25  # a surface is taken from the frame that is not farther away than this times another's
EXPOSURES = (0.5, 2.0)  # least and greatest change of light between frames that is evened out
TELLING = (0.05, 0.95)  # colors in between tell of exposure; darker and brighter ones are cut off

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BackgroundRules:
    """frames: the most that others are filled from; least: share of a picture that each must add; margin: pixels by
    which what moves is widened, as its rim is mixed with what lies behind.
    """

    frames: int = 5
    least: float = 0.005
    margin: int = 2


@dataclass(frozen=True, eq=False)
class Layer:
    """The part that one source frame adds: a depth grid of which limits [h-1, w-1, 2] says what is drawn.

    depth: [h, w]; rgba: [h, w, 4], transparent where nothing is drawn; gain: [T, 3], what its colors are multiplied
    by to fit into each frame's exposure.
    """

    frame: int
    depth: Tensor
    rgba: Tensor
    limits: Tensor
    intrinsics: Tensor
    world_from_cam: Tensor
    gain: Tensor


@dataclass(frozen=True, eq=False)
class Background:
    """What of a mesh sequence stands still, to fill its frames with.

    moving: [T, H, W] bool, True = not at rest; layers: the parts that fill, none where nothing can; tolerance: of the
    depth, how far frames disagree about one surface.
    """

    mesh: DWMesh
    moving: Tensor
    layers: tuple[Layer, ...]
    tolerance: Tolerance

    def __post_init__(self) -> None:
        check_tensor("moving", self.moving, self.mesh.depth.shape, torch.bool, like=self.mesh.depth)


def make_background(mesh: DWMesh, moving: Tensor, rules: BackgroundRules = BackgroundRules(),
                    progress: Progress | None = None) -> Background:
    """Choose the frames that show most of what stands still, and of each the part that those before it do not show.

    moving: [T, H, W] bool, True = not at rest. Raises ValueError where it is of another length or size than the mesh.
    progress: as in render_prior.
    """
    if moving.shape != mesh.depth.shape:
        raise ValueError(f"moving: {describe_clip(moving.shape)}, but the mesh has {describe_clip(mesh.depth.shape)}; "
                         "use the mask of this clip")
    depth = VideoDepth(mesh.depth, mesh.intrinsics, mesh.world_from_cam)
    count = len(mesh)
    candidates = torch.linspace(0, count - 1, min(count, CANDIDATES)).round().long().tolist()
    coarse = {t: look(mesh.colors, depth, t, COARSE) for t in candidates}
    still = {t: resting(moving[t], view.size, rules.margin) for t, view in coarse.items()}
    for doubt in doubt_background(mesh, moving, coarse, still):
        log.warning(doubt)
    tolerance = measure_tolerance(list(coarse.values()))
    chosen = choose_frames(coarse, still, tolerance, rules) if count > 1 else []
    gains = torch.ones(count, len(chosen), 3, device=mesh.depth.device)

    def even_out(s: int) -> None:
        here = coarse.get(s) or look(mesh.colors, depth, s, COARSE)
        for k, t in enumerate(chosen):
            gains[s, k] = match_exposure(here, coarse[t], still[t], tolerance)

    each_frame(even_out, count, mesh.depth.device, progress)
    fine = {t: look(mesh.colors, depth, t, FINE) for t in chosen}
    still = {t: resting(moving[t], view.size, rules.margin) for t, view in fine.items()}
    added = (find_added(t, chosen[:k], fine, still, tolerance) for k, t in enumerate(chosen))
    layers = (cut_layer(mesh, t, part, moving[t], gains[:, k], rules) for k, (t, part) in enumerate(zip(chosen, added)))
    return Background(mesh, moving, tuple(layer for layer in layers if layer is not None), tolerance)


def doubt_background(mesh: DWMesh, moving: Tensor, views: dict[int, View], still: dict[int, Tensor]) -> Iterator[str]:
    """A sentence for each reason why there may be nothing to fill from, or nothing that fits."""
    if len(mesh) == 1:
        yield "background: the clip has one frame, so no other can add to it"
    elif moving.all():
        yield "background: everything is said to move, so nothing of another frame fits; check the mask of what moves"
    elif rests(mesh.world_from_cam):
        times = sorted(views)
        first, last = views[times[0]], views[times[-1]]
        sliding = slides(first, last)[still[times[0]]].mean()
        if sliding > SLIDING or moving.float().mean() > 1 - SLIDING:
            yield (f"background: the camera seems to move ({sliding:.0%} of what is called at rest slides), but its "
                   "motion is not known, so that the background would smear; let the source camera be found where the "
                   "depth is made")
    if mesh.hidden_reach is None:
        yield ("background: hidden surfaces reach all the way back and cover nearly everything that could be filled; "
               "set hidden_reach where the mesh is built, 0.1 for example")


def resting(moving: Tensor, size: tuple[int, int], margin: int) -> Tensor:
    """Where a frame is at rest, [h, w] at another size; not at its border, whose depth is made up."""
    still = ~grow(moving, margin)
    still[[0, -1]], still[:, [0, -1]] = False, False
    return interpolate(still[None, None].float(), size, mode="nearest-exact")[0, 0] > 0


def choose_frames(views: dict[int, View], still: dict[int, Tensor], tolerance: Tolerance,
                  rules: BackgroundRules) -> list[int]:
    """The frames that together show most of what all views show at rest, the one that adds most first."""
    shows = {t: [] for t in views}
    for s, here in views.items():
        for t, there in views.items():
            sight, same, _ = shown_by(here, there, tolerance)
            shows[t].append((same & sight.take(still[t]))[still[s]] if s != t else still[s][still[s]])
    shown = {t: torch.cat(parts) for t, parts in shows.items()}
    missing = torch.ones_like(shown[next(iter(views))])
    least = rules.least * next(iter(views.values())).depth.numel()
    chosen: list[int] = []
    while len(chosen) < min(rules.frames, len(views)):
        adds = {t: int((seen & missing).sum()) for t, seen in shown.items()}
        best = max(adds, key=adds.__getitem__)
        if adds[best] <= least:
            break
        chosen.append(best)
        missing &= ~shown[best]
    return chosen


def find_added(t: int, earlier: list[int], views: dict[int, View], still: dict[int, Tensor],
               tolerance: Tolerance) -> Tensor:
    """What a frame shows at rest [h, w] that no earlier one shows as well, without what others saw to be empty."""
    added = still[t].clone()
    for s, there in views.items():
        if s == t:
            continue
        sight, same, empty = shown_by(views[t], there, tolerance)
        added &= ~empty
        if s in earlier:
            sharp = sight.z <= SHARPER * views[t].depth
            added &= ~(same & sharp & sight.take(still[s]))
    return grow(added, 1) & still[t]


def match_exposure(here: View, there: View, still: Tensor, tolerance: Tolerance) -> Tensor:
    """What the colors of a view `there` are multiplied by to look as they do in another, [3]."""
    sight, same, _ = shown_by(here, there, tolerance)
    color, other = here.color, sight.take(there.color)
    low, high = TELLING
    tells = same & sight.take(still) & ((color > low) & (color < high) & (other > low) & (other < high)).all(0)
    if tells.float().mean() < 0.02:
        return torch.ones_like(color[:, 0, 0])
    return (color[:, tells] / other[:, tells]).median(1).values.clamp(*EXPOSURES)


def cut_layer(mesh: DWMesh, t: int, added: Tensor, moving: Tensor, gain: Tensor,
              rules: BackgroundRules) -> Layer | None:
    """The smallest part of frame t's grid that holds what it adds, [h, w] at any size; None where it adds nothing."""
    full = interpolate(added[None, None].float(), mesh.size, mode="nearest-exact")[0, 0] > 0
    kept = grow(full, 2) & resting(moving, mesh.size, rules.margin)
    rows, columns = (kept.any(axis).nonzero()[:, 0] for axis in (1, 0))
    if not len(rows):
        return None
    top, left = int(rows[0]) - 1, int(columns[0]) - 1  # a rim around, of which nothing is drawn
    area = (slice(top, int(rows[-1]) + 2), slice(left, int(columns[-1]) + 2))
    kept = kept[area]
    depth = mesh.depth[t][area].clone()
    depth[[0, -1]] = depth[:, [0, -1]] = float(depth.max())  # the back hangs at its corners, behind everything
    quads = tuple(slice(side.start, side.stop - 1) for side in area)
    drawn = ~(faces_touching(~kept) | mesh.occluded[t][quads])
    intrinsics = mesh.intrinsics[t].clone()
    intrinsics[0, 2] -= left
    intrinsics[1, 2] -= top
    limits = torch.zeros_like(drawn, dtype=torch.float32).masked_fill(drawn, torch.inf)
    rgba = torch.cat([mesh.colors[t][area], kept[..., None].float()], -1)
    return Layer(t, depth, rgba, limits, intrinsics, mesh.world_from_cam[t], gain)


def move_background(background: Background, device: torch.device) -> Background:
    """The same with its tensors on another device."""
    return replace(background, mesh=move_to(background.mesh, device), moving=background.moving.to(device),
                   layers=tuple(move_to(layer, device) for layer in background.layers))


# ---- filling ------------------------------------------------------------------------------------


def fill_frame(background: Background, cameras: CameraPath, t: int, open_to: Tensor, color: Tensor, origin: Tensor,
               engine: str) -> None:
    """Fill color [H, W, 3] and origin [H, W] of output frame t from other frames, where they lie before open_to.

    open_to: [H, W], the depth before which a surface of another frame is shown: 0 where the frame itself shows
    something, that of the hidden surface where one covers what lies behind, inf elsewhere. Nearest surface wins.
    """
    source = int(cameras.source_frame[t])
    nearest = open_to.clone()
    for layer in background.layers:
        if layer.frame == source:
            continue
        seen = raster.rasterize(layer.depth, layer.rgba, layer.intrinsics,
                                cameras.cam_from_world[t] @ layer.world_from_cam, cameras.intrinsics[t], cameras.size,
                                engine, layer.limits)
        pixel = ((seen.rgba[..., 3] > 0.5) & (seen.depth < nearest)).view(-1).nonzero()[:, 0]
        z = seen.depth.view(-1)[pixel]
        pixel = pixel[~is_empty(background, cameras, t, pixel, z)]
        nearest.view(-1)[pixel] = seen.depth.view(-1)[pixel]
        color.view(-1, 3)[pixel] = (seen.rgba.view(-1, 4)[pixel, :3] * layer.gain[source]).clamp(max=1)
        origin.view(-1)[pixel] = layer.frame


def is_empty(background: Background, cameras: CameraPath, t: int, pixel: Tensor, z: Tensor) -> Tensor:
    """Whether the source frame shown by output frame t looked through the places [N] at depth z in these pixels."""
    mesh, source = background.mesh, int(cameras.source_frame[t])
    width = cameras.size[1]
    place = torch.stack([pixel % width, pixel // width], -1) + 0.5
    source_from_cam = invert_rigid(cameras.cam_from_world[t] @ mesh.world_from_cam[source])
    points = transform(source_from_cam, ray_of(place, cameras.intrinsics[t]) * z[:, None])
    x, y = project(points, mesh.intrinsics[source]).floor().unbind(-1)
    height, width = mesh.size
    inside = (points[:, 2] > 0) & (x >= 1) & (x < width - 1) & (y >= 1) & (y < height - 1)
    there = mesh.depth[source].view(-1)[torch.where(inside, y * width + x, 0).long()]
    return inside & nearer(points[:, 2], there, background.tolerance)
