"""What other frames add to one: surfaces at rest that it does not see itself, of the few frames that add most."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad

from . import raster
from .camera import CameraPath, check_tensor, invert_rigid, move_to, project, ray_of, transform
from .clip import Progress
from .depth import EDGE_RATIO, VideoDepth
from .mesh import DWMesh, describe_clip, faces_touching, touched_vertices
from .motion import Tolerance, View, find_motion, grow, look, measure_tolerance, nearer, rests, shown_by, slides
from .parallel import each_frame
from .reach import find_set

__all__ = ["Background", "BackgroundRules", "Layer", "fill_frame", "find_motion", "make_background"]

STRAYING = 0.2  # share of what is called at rest that may slide or change its depth before its camera is doubted
CANDIDATES = 17  # frames, spread over the clip, of which those that add most are taken
COARSE = 64  # pixels of the longer side at which frames are chosen and their exposures compared
FINE = 320  # the same, at which the parts that each adds are found
SHARPER = 1.25  # a surface is taken from the frame that is not farther away than this times another's
EXPOSURES = (0.5, 2.0)  # least and greatest change of light between frames that is evened out
BEYOND = 1000 * raster.FAR  # scene units; nothing so far away is drawn, not even at the side of a wide picture
TELLING = (0.05, 0.95)  # colors in between tell of exposure; darker and brighter ones are cut off

CPU = torch.device("cpu")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BackgroundRules:
    """frames: the most that others are filled from; least: share of a picture that each must add; margin: share of its
    longer side by which what moves is widened, whose rim is mixed with what lies behind and smeared in estimated depth.
    """

    frames: int = 6
    least: float = 0.005
    margin: float = 0.034


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

    moving: [T, H, W] bool, True = not at rest; layers: the parts that fill, None until make_background chooses them;
    tolerance: of the depth, how far frames disagree about one surface.
    """

    mesh: DWMesh
    moving: Tensor
    layers: tuple[Layer, ...] | None = None
    tolerance: Tolerance = Tolerance()

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
    count = len(mesh)
    candidates = torch.linspace(0, count - 1, min(count, CANDIDATES)).round().long().tolist()
    coarse = {t: look_at_rest(mesh, moving, t, COARSE, rules) for t in candidates}
    for doubt in doubt_background(mesh, moving, coarse):
        log.warning(doubt)
    tolerance = measure_tolerance([rest.view for rest in coarse.values()])
    chosen = choose_frames(coarse, tolerance, rules) if count > 1 else []
    gains = torch.ones(count, len(chosen), 3)

    def even_out(s: int) -> None:
        here = coarse[s].view if s in coarse else look_at_rest(mesh, moving, s, COARSE, rules).view
        for k, t in enumerate(chosen):
            gains[s, k] = match_exposure(here, coarse[t], tolerance)

    each_frame(even_out, count, mesh.depth.device, progress)
    fine = {t: look_at_rest(mesh, moving, t, FINE, rules) for t in chosen}
    added = (find_added(t, chosen[:k], fine, tolerance) for k, t in enumerate(chosen))
    gains = gains.to(mesh.depth.device)
    layers = (cut_layer(mesh, t, part.to(gains.device), moving[t], gains[:, k], rules)
              for k, (t, part) in enumerate(zip(chosen, added)))
    return Background(mesh, moving, tuple(layer for layer in layers if layer is not None), tolerance)


def doubt_background(mesh: DWMesh, moving: Tensor, frames: dict[int, Rest]) -> Iterator[str]:
    """A sentence for each reason why there may be nothing to fill from, or nothing that fits."""
    if len(mesh) == 1:
        yield "background: the clip has one frame, so no other can add to it"
    elif moving.all():
        yield "background: everything is said to move, so nothing of another frame fits; check the mask of what moves"
    elif rests(mesh.world_from_cam):
        strayed = stray(frames[min(frames)], frames[max(frames)])
        if strayed > STRAYING or moving.float().mean() > 1 - STRAYING:
            yield (f"background: the camera seems to move ({strayed:.0%} of what is called at rest slides or changes "
                   "its depth), but its motion is not known, so that the background would smear; let the source camera "
                   "be found where the depth is made")
    if mesh.hidden_reach is None:
        yield ("background: hidden surfaces reach all the way back and cover nearly everything that could be filled; "
               "set hidden_reach where the mesh is built, 0.1 for example")


@dataclass(frozen=True, eq=False)
class Rest:
    """A frame as it is seen, and which pixels [h, w] of it are at rest; whole: surely so, and not at an edge.

    It lies on the CPU, which has compared two small frames before a GPU has been told how.
    """

    view: View
    still: Tensor
    whole: Tensor


def look_at_rest(mesh: DWMesh, moving: Tensor, t: int, side: int, rules: BackgroundRules) -> Rest:
    """Frame t at a size whose longer side is `side` pixels, or less."""
    depth, occluded = unbordered(mesh, t)
    cameras = mesh.intrinsics[t:t + 1], mesh.world_from_cam[t:t + 1]
    view = look(mesh.colors[t:t + 1], VideoDepth(depth[None], *cameras), 0, side)
    still = ~widen(moving[t], rules)
    whole = still & ~touched_vertices(occluded)
    sizes = [interpolate(plane[None, None].float(), view.size, mode=mode)[0, 0]
             for plane, mode in ((still, "nearest-exact"), (whole, "area"))]
    return Rest(move_to(view, CPU), (sizes[0] > 0).to(CPU), (sizes[1] > 0.999).to(CPU))


def widen(moving: Tensor, rules: BackgroundRules) -> Tensor:
    """What moves [H, W] with its rim."""
    return grow(moving, max(round(rules.margin * max(moving.shape)), 1))


def stray(first: Rest, last: Rest) -> float:
    """The share of what is at rest in a frame that slides, or whose depth disagrees, in another of a camera at rest."""
    apart = (first.view.depth / last.view.depth).log().abs() > math.log(EDGE_RATIO)
    return float((slides(first.view, last.view) | apart)[first.still].float().mean().nan_to_num())


def unbordered(mesh: DWMesh, t: int) -> tuple[Tensor, Tensor]:
    """Depth [H, W] and hidden faces [H-1, W-1, 2] of frame t whose border is not far away but as the pixels inside."""
    height, width = mesh.size
    planes = []
    for plane, (rows, columns) in ((mesh.depth[t], (height, width)), (mesh.occluded[t], (height - 1, width - 1))):
        inner = [torch.arange(n, device=plane.device).clamp(1, n - 2) for n in (rows, columns)]
        planes.append(plane[inner[0]][:, inner[1]])
    return planes[0], planes[1]


def choose_frames(frames: dict[int, Rest], tolerance: Tolerance, rules: BackgroundRules) -> list[int]:
    """The frames that together show most of what all of them show at rest, the one that adds most first."""
    shows = {t: [] for t in frames}
    for s, here in frames.items():
        for t, there in frames.items():
            sight, same, _ = shown_by(here.view, there.view, tolerance)
            shows[t].append((same & sight.take(there.whole))[here.still] if s != t else here.whole[here.still])
    shown = {t: torch.cat(parts) for t, parts in shows.items()}
    missing = torch.ones_like(shown[next(iter(frames))])
    least = rules.least * next(iter(frames.values())).still.numel()
    chosen: list[int] = []
    while len(chosen) < min(rules.frames, len(frames)):
        adds = {t: int((seen & missing).sum()) for t, seen in shown.items()}
        best = max(adds, key=adds.__getitem__)
        if adds[best] <= least:
            break
        chosen.append(best)
        missing &= ~shown[best]
    return chosen


def find_added(t: int, earlier: list[int], frames: dict[int, Rest], tolerance: Tolerance) -> Tensor:
    """What a frame shows at rest [h, w] that no earlier one shows as well, without what others saw to be empty."""
    here = frames[t]
    added = here.still.clone()
    for s, there in frames.items():
        if s == t:
            continue
        sight, same, empty = shown_by(here.view, there.view, tolerance)
        added &= ~empty
        if s in earlier:
            sharp = sight.z <= SHARPER * here.view.depth
            added &= ~(same & sharp & sight.take(there.whole))
    return grow(added, 1) & here.still


def match_exposure(here: View, there: Rest, tolerance: Tolerance) -> Tensor:
    """What the colors of another frame are multiplied by to look as they do here, [3]."""
    sight, same, _ = shown_by(here, there.view, tolerance)
    color, other = here.color, sight.take(there.view.color)
    low, high = TELLING
    tells = same & sight.take(there.still) & ((color > low) & (color < high) & (other > low) & (other < high)).all(0)
    if tells.float().mean() < 0.02:
        return torch.ones_like(color[:, 0, 0])
    return (color[:, tells] / other[:, tells]).median(1).values.clamp(*EXPOSURES)


def cut_layer(mesh: DWMesh, t: int, added: Tensor, moving: Tensor, gain: Tensor,
              rules: BackgroundRules) -> Layer | None:
    """The smallest part of frame t's grid that holds what it adds, [h, w] at any size; None where it adds nothing."""
    full = interpolate(added[None, None].float(), mesh.size, mode="nearest-exact")[0, 0] > 0
    kept = grow(full, 2) & ~widen(moving, rules)
    rows, columns = (kept.any(axis).nonzero()[:, 0] for axis in (1, 0))
    if not len(rows):
        return None
    top, left = int(rows[0]), int(columns[0])
    area = (slice(top, int(rows[-1]) + 1), slice(left, int(columns[-1]) + 1))
    quads = tuple(slice(side.start, side.stop - 1) for side in area)
    depth, occluded = unbordered(mesh, t)
    kept, depth = kept[area], depth[area]
    drawn = ~(faces_touching(~kept) | occluded[quads])
    rgba = torch.cat([mesh.colors[t][area], kept[..., None].float()], -1)
    # A rim around, of which nothing is drawn: the back hangs at its corners, too far away to be.
    depth = pad(depth, (1, 1, 1, 1), value=BEYOND)
    limits = pad(torch.zeros_like(drawn, dtype=torch.float32).masked_fill(drawn, torch.inf), (0, 0, 1, 1, 1, 1))
    intrinsics = mesh.intrinsics[t].clone()
    intrinsics[0, 2] -= left - 1
    intrinsics[1, 2] -= top - 1
    return Layer(t, depth, pad(rgba, (0, 0, 1, 1, 1, 1)), limits, intrinsics, mesh.world_from_cam[t], gain)


def move_background(background: Background, device: torch.device) -> Background:
    """The same with its tensors on another device, its layers chosen."""
    if background.layers is None:
        background = make_background(background.mesh, background.moving)
    return replace(background, mesh=move_to(background.mesh, device), moving=background.moving.to(device),
                   layers=tuple(move_to(layer, device) for layer in background.layers or ()))


# ---- filling ------------------------------------------------------------------------------------


def fill_frame(background: Background, cameras: CameraPath, t: int, seen: raster.Fragments, shown: Tensor,
               origin: Tensor, engine: str) -> None:
    """Write into seen.rgba and origin [H, W] of output frame t what other frames add to what it shows [H, W] itself.

    Nearest surface wins, before the hidden surfaces that cover what lies behind.
    """
    source = int(cameras.source_frame[t])
    nearest = open_depth(background, cameras, t, seen, shown)
    for layer in background.layers or ():
        if layer.frame == source:
            continue
        drawn = raster.rasterize(layer.depth, layer.rgba, layer.intrinsics,
                                 cameras.cam_from_world[t] @ layer.world_from_cam, cameras.intrinsics[t], cameras.size,
                                 engine, layer.limits)
        pixel = find_set(drawn.depth < nearest)
        points = place_pixels(cameras, t, pixel, drawn.depth)
        pixel = pixel[~looked_through(background, source, points)]
        nearest.view(-1).index_copy_(0, pixel, drawn.depth.view(-1).index_select(0, pixel))
        colors = drawn.rgba.view(-1, 4).index_select(0, pixel)
        colors[:, :3] *= layer.gain[source]
        seen.rgba.view(-1, 4).index_copy_(0, pixel, colors)
        origin.view(-1).index_fill_(0, pixel, layer.frame)


def open_depth(background: Background, cameras: CameraPath, t: int, seen: raster.Fragments, shown: Tensor) -> Tensor:
    """The depth [H, W] before which other frames may be seen: that of the hidden face that covers what lies behind.

    0 where the frame itself shows something, infinite where it shows nothing but the back, which closes the mesh and
    covers nothing, and where another frame looked through a hidden face behind something at rest.
    """
    height, width = background.mesh.size
    quads = (height - 1) * (width - 1)
    hidden = ~shown & (seen.face >= 0) & (seen.face < 2 * quads)
    depth = torch.where(shown, 0.0, torch.where(hidden, seen.depth, torch.inf))
    pixel = find_set(hidden)
    moving = faces_touching(background.moving[int(cameras.source_frame[t])])[..., 0].reshape(-1)
    face = seen.face.view(-1).index_select(0, pixel)
    pixel = pixel[~moving.index_select(0, torch.where(face < quads, face, face - quads))]
    points = place_pixels(cameras, t, pixel, seen.depth)
    for layer in background.layers or ():
        empty = looked_through(background, layer.frame, points)
        depth.view(-1)[pixel[empty]] = torch.inf
        pixel, points = pixel[~empty], points[~empty]
    return depth


def place_pixels(cameras: CameraPath, t: int, pixel: Tensor, depth: Tensor) -> Tensor:
    """World positions [N, 3] of pixels [N], by number, of output frame t with this depth [H, W]."""
    width = cameras.size[1]
    y = pixel.div(width, rounding_mode="floor")
    rays = ray_of(torch.stack([pixel - y * width, y], -1) + 0.5, cameras.intrinsics[t])
    return transform(invert_rigid(cameras.cam_from_world[t]), rays * depth.view(-1).index_select(0, pixel)[:, None])


def looked_through(background: Background, frame: int, points: Tensor) -> Tensor:
    """Which places [N, 3] of the world a source frame saw to be empty, [N] bool."""
    mesh, (height, width) = background.mesh, background.mesh.size
    points = transform(invert_rigid(mesh.world_from_cam[frame]), points)
    x, y = (project(points, mesh.intrinsics[frame]) - 0.5).floor().unbind(-1)  # of the pixels around, the upper left
    inside = (points[:, 2] > 0) & (x >= 1) & (x < width - 2) & (y >= 1) & (y < height - 2)
    corner = torch.where(inside, y * width + x, 0).long()
    depth = mesh.depth[frame].view(-1)
    around = depth.index_select(0, corner)
    for step in (1, width, width + 1):  # one index of all four would take three times as long
        around = torch.minimum(around, depth[step:].index_select(0, corner))
    return inside & nearer(points[:, 2], around, background.tolerance)
