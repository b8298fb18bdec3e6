"""What of a clip moves: pixels whose place other frames saw empty, or differently painted, or whose surface slides."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate, max_pool2d

from .camera import invert_rigid, lift, pixel_centers, resize_intrinsics, transform
from .clip import Progress
from .depth import EDGE_RATIO, VideoDepth
from .opencv import need_opencv
from .optical_flow import find_flow, shrink, warp
from .parallel import each_frame

SIDE = 320  # pixels of the longer side at which frames are compared
KEY_STEP = 6  # frames from one that others are compared with to the next; shorter clips have OTHERS of them
OTHERS = 8  # frames that each is compared with, the nearest ones
VOTES = 2  # of other frames that saw a place empty; one alone may be wrong. Where paint counts too, one more
FARTHEST = 1e4  # scene units, where the sky is put
NEARER = 0.01  # of the depth; a point so much before what another frame saw there was not there
CHANGE = 0.045  # of the range of colors; what changes more, beyond a change of light, is painted differently
BETTER = 0.5  # of 255; by so much what flow leads to must be more alike than what stayed in place
BLEED = 3  # pixels at SIDE by which flow takes what lies behind an edge along with what is before it
CELL = 16  # pixels at SIDE over which the error of the depth is taken to be the same
SLIDE = 0.4  # pixels at SIDE; flow that misses a resting surface by more means that it moves
DOUBT = 6.0  # the same in deviations of what the depth and the colors of a clip leave open
LIGHT = (0.3, 3.0)  # least and greatest change of light that is not motion: shadows, exposure
SURFACE_RATIO = 1.05  # neighbors whose depths differ by a larger factor lie on different surfaces
LOOSE = 0.15  # share of a surface's pixels that must slide for any to count: over the others, shadows do
THICK = 2  # pixels at SIDE next to those of its rim; where a surface has no others, it joins nothing
WHOLE = 0.35  # share of a surface's pixels that must be seen to move for all of it to move
HALF = 0.5  # the same for pixels whose place so few other frames saw empty that each alone is in doubt
POCKET = 6  # pixels at SIDE; what lies between parts that move, no wider than twice that and about as deep, moves
RIM = 3  # pixels at SIDE around one of smeared depth whose colors say what that belongs to
TILT = 0.4  # times as unlike what moves as what rests is, a rim still moves: in case of doubt it may not fill holes
DENSE = 0.6  # share of pixels around one whose paint changed that must have changed too: edges flicker by themselves


@dataclass(frozen=True, eq=False)
class View:
    """A frame at the size to compare at. color: [3, h, w]; near, far, low, high: extremes of the 3x3 around a pixel."""

    color: Tensor
    depth: Tensor
    near: Tensor
    far: Tensor
    low: Tensor
    high: Tensor
    gray: np.ndarray
    intrinsics: Tensor
    world_from_cam: Tensor

    @property
    def size(self) -> tuple[int, int]:
        height, width = self.depth.shape
        return height, width

    @property
    def between(self) -> Tensor:
        """Which pixels lie before one surface and behind another, as no surface does: their depth is smeared."""
        return (self.depth > SURFACE_RATIO * self.near) & (SURFACE_RATIO * self.depth < self.far)


@dataclass(frozen=True)
class Tolerance:
    """How far two frames may differ about a surface at rest: relative in depth, absolute in 1 / depth, in color.

    rough: relative in depth, before they are brought to one level.
    """

    depth: float = NEARER
    inverse: float = 0.0
    color: float = CHANGE
    rough: float = NEARER


@dataclass(frozen=True, eq=False)
class Sight:
    """Where the points of one frame lie in another. z: [h, w], depth there; place: [h, w, 2] image coordinates;
    pixel: [h, w] the number of the pixel they fall in; inside: [h, w] bool.
    """

    z: Tensor
    place: Tensor
    pixel: Tensor
    inside: Tensor

    def take(self, planes: Tensor) -> Tensor:
        """The values of planes [..., h, w] of the other frame where the points fall."""
        return planes.flatten(-2)[..., self.pixel]


def find_motion(frames: Tensor, depth: VideoDepth, progress: Progress | None = None) -> Tensor:
    """Which pixels of frames [T, H, W, 3] in [0, 1] are not at rest in the world, [T, H, W] bool.

    A pixel moves where two other frames looked through the place it stands at; where its place is painted differently
    in them, by more than a change of light (what spins or drifts in place); and, where the source cameras rest, where
    flow leads elsewhere. A surface most of whose pixels move, moves as a whole. How exact the depth is, is measured
    by how well frames agree. progress: as in render_prior.
    """
    moving = torch.zeros(depth.depth.shape, dtype=torch.bool, device=depth.depth.device)
    keys = key_frames(len(depth))
    if len(keys) < 2:
        return moving
    view = lru_cache(4 * OTHERS)(lambda t: look(frames, depth, t))  # no more at once, however long the clip
    tolerance = measure_tolerance([view(k) for k in keys[:: max(len(keys) // OTHERS, 1)]])
    resting = rests(depth.world_from_cam)

    def find(t: int) -> None:
        others = sorted((k for k in keys if k != t), key=lambda k: abs(k - t))[:OTHERS]
        found = judge(view(t), [view(k) for k in others], tolerance, resting)
        moving[t] = enlarge_mask(found, view(t).depth, depth.depth[t].clamp(max=FARTHEST))

    each_frame(find, len(depth), depth.depth.device, progress)
    return moving


def key_frames(count: int) -> list[int]:
    """The frames that others are compared with, from the first to the last."""
    steps = min(count - 1, max((count - 1) // KEY_STEP, OTHERS))
    return torch.linspace(0, count - 1, steps + 1).round().long().tolist()


def rests(world_from_cam: Tensor) -> bool:
    """Whether the source camera [T, 4, 4] does not move, as far as is known."""
    return bool((world_from_cam == world_from_cam[:1]).all())


def look(frames: Tensor, depth: VideoDepth, t: int, side: int = SIDE) -> View:
    """Frame t at a size whose longer side is `side` pixels, or less."""
    scale = min(side / max(depth.size), 1.0)
    height, width = (max(round(scale * side), 3) for side in depth.size)
    size = (height, width)
    color = interpolate(frames[t].movedim(-1, 0)[None], size, mode="area")[0]
    plane = interpolate(depth.depth[t][None, None], size, mode="nearest-exact")[0, 0].clamp(max=FARTHEST)
    return View(color, plane, -widen(-plane), widen(plane), -widen(-color), widen(color), shrink(frames[t], side),
                resize_intrinsics(depth.intrinsics[t], depth.size, size), depth.world_from_cam[t])


def widen(planes: Tensor, radius: int = 1) -> Tensor:
    """The greatest value of planes [..., h, w] within a radius of each pixel."""
    stacked, side = planes.reshape(-1, *planes.shape[-2:]), 2 * radius + 1
    rows = max_pool2d(stacked, (1, side), 1, (0, radius))  # one way after the other: far fewer numbers are compared
    return max_pool2d(rows, (side, 1), 1, (radius, 0)).view(planes.shape)


def grow(mask: Tensor, radius: int) -> Tensor:
    return widen(mask.float(), radius) > 0


def close(mask: Tensor, radius: int) -> Tensor:
    """A mask [h, w] with what is nowhere wider than twice the radius filled."""
    return ~grow(~grow(mask, radius), radius)


def around(planes: Tensor, radius: int = 2) -> Tensor:
    """The mean of planes [C, h, w] within a radius of each pixel."""
    return avg_pool2d(planes, 2 * radius + 1, 1, radius, count_include_pad=False)


def see(here: View, there: View) -> Sight:
    """Where the points of one view lie in another."""
    moved = transform(invert_rigid(there.world_from_cam) @ here.world_from_cam, lift(here.depth, here.intrinsics))
    z, (height, width) = moved[..., 2], there.depth.shape
    image = moved @ there.intrinsics.mT
    place = image[..., :2] / z.clamp(min=1e-9)[..., None]
    x, y = place.unbind(-1)
    inside = (z > 0) & (x >= 0) & (x < width) & (y >= 0) & (y < height)
    pixel = torch.where(inside, y.floor() * width + x.floor(), 0).long()
    return Sight(z, place, pixel, inside)


def shown_by(here: View, there: View, tolerance: Tolerance) -> tuple[Sight, Tensor, Tensor]:
    """Where the points of one view lie in another, which of them that shows, and which stand where it saw nothing."""
    sight = level(see(here, there), there, tolerance)
    before = sight.inside & nearer(sight.z, sight.take(there.near), tolerance)
    hidden = nearer(sight.take(there.far), sight.z, tolerance)
    return sight, sight.inside & ~before & ~hidden, before & ~here.between


def level(sight: Sight, there: View, tolerance: Tolerance) -> Sight:
    """The same sight with its depth brought to the other view's, whose errors are smooth, by what is about alike."""
    ratio = (sight.take(there.depth) / sight.z).log()
    alike = sight.inside & (ratio.abs() < tolerance.rough)
    height, width = ratio.shape
    cells = (max(round(height / CELL), 1), max(round(width / CELL), 1))
    off = torch.zeros_like(ratio)
    for _ in range(2):  # at first with what moves a little, too
        known = alike & ((ratio - off).abs() < tolerance.rough / 2)
        total, count = interpolate(torch.stack([torch.where(known, ratio, 0.0), known.float()])[None], cells,
                                   mode="area")[0]
        off = interpolate((total / (count + 0.01))[None, None], (height, width), mode="bilinear")[0, 0]
    return replace(sight, z=sight.z * off.exp())


def measure_tolerance(views: list[View]) -> Tolerance:
    """How much typical points of views are off from one to another, on one level; things that move are the fewer."""
    rough = measure_differences(views, Tolerance(rough=0.0))
    return replace(measure_differences(views, Tolerance(rough=rough.depth)), rough=rough.depth)


def measure_differences(views: list[View], level_by: Tolerance) -> Tolerance:
    """The same, brought to one level as far as a rougher measure allows."""
    relative, inverse, color = [], [], []
    for here, there in zip(views, [*views[1:], views[0]]):
        sight = level(see(here, there), there, level_by)
        found = sight.take(there.depth)
        relative.append((1 - sight.z / found).abs()[sight.inside])
        inverse.append((1 / sight.z - 1 / found).abs()[sight.inside])
        color.append((here.color - sight.take(there.color)).abs().amax(0)[sight.inside])
    depth, inverse, color = (DOUBT * 1.4826 * float(torch.cat(values).nanmedian().nan_to_num())
                             for values in (relative, inverse, color))
    return Tolerance(max(NEARER, depth), inverse, max(CHANGE, color))


# ---- one frame ----------------------------------------------------------------------------------


def judge(here: View, others: list[View], tolerance: Tolerance, resting: bool) -> Tensor:
    """Which pixels [h, w] of a view move, going by other views, the nearest in time first."""
    empty, painted, slid, stayed = (torch.zeros_like(here.depth) for _ in range(4))
    for there in others:
        sight, same, before = shown_by(here, there, tolerance)
        anew = same & repainted(here, there, sight, same, tolerance)
        led = slides(here, there) if resting else torch.zeros_like(same)
        empty += before
        painted += anew
        slid += led
        stayed += same & ~anew & ~led
    parts = number_surfaces(here.depth)
    slid *= hold_share(parts, slid >= VOTES, LOOSE)
    gone = empty >= min(VOTES + (tolerance.depth > NEARER), len(others))
    votes = empty + painted + slid
    changed = (votes >= min(VOTES + 1, len(others))) | (votes >= VOTES) & (votes > stayed)
    moves = gone | changed & (around((gone | changed).float()[None])[0] >= DENSE)
    moves |= hold_share(parts, gone | changed, WHOLE) | hold_share(parts, (empty >= VOTES) | changed, HALF)
    return close(settle_rims(here, fill_pockets(moves, here.depth)), 1)


def nearer(near: Tensor, far: Tensor, tolerance: Tolerance) -> Tensor:
    """Where depth `near` lies before depth `far` by more than their error, relative and in 1 / depth."""
    return (near < far * (1 - tolerance.depth)) & (1 / near - 1 / far > tolerance.inverse)


def repainted(here: View, there: View, sight: Sight, same: Tensor, tolerance: Tolerance) -> Tensor:
    """Where a surface has another color in the other view than anywhere around its place, whatever the light."""
    known = same.float()[None]
    bright, other = here.color.mean(0, keepdim=True), sight.take(there.color).mean(0, keepdim=True)
    light = ((around(bright * known) + 0.01) / (around(other * known) + 0.01)).clamp(*LIGHT)
    color = here.color / light
    off = torch.maximum(color - sight.take(there.high), sight.take(there.low) - color).amax(0)
    return off * light[0].clamp(max=1) > tolerance.color


def slides(here: View, there: View) -> Tensor:
    """Where flow between two views of a camera at rest leads elsewhere, and to what is more alike, [h, w]."""
    flow = find_flow(here.gray, there.gray)
    gray, other = (torch.from_numpy(view.gray).float() for view in (here, there))
    other *= (gray / other.clamp(min=1)).median()  # the exposure may have changed
    rest = pixel_centers((gray.shape[0], gray.shape[1]))
    unlike, led = around(torch.stack([(other - gray).abs(), (warp(other, flow) - gray).abs()]))
    slid = flow.trusted & ((flow.target - rest).norm(dim=-1) > SLIDE) & (unlike > led + BETTER)
    before = here.depth < SURFACE_RATIO * -widen(-here.depth, BLEED)
    slid = interpolate(slid[None, None].float(), here.depth.shape, mode="nearest-exact")[0, 0].to(here.depth) > 0
    return slid & before


def fill_pockets(moves: Tensor, depth: Tensor) -> Tensor:
    """What moves [h, w] with what it encloses at about its depth: a wheel's foot whose gray is that of the road."""
    return moves | close(moves, POCKET) & lies_within(depth, *extremes(moves, depth, POCKET))


def settle_rims(here: View, moves: Tensor) -> Tensor:
    """What moves [h, w], its rims of smeared depth only where their colors are those of what moves around them."""
    rim, off = here.between, []
    for part in (moves & ~rim, ~(moves | rim)):
        weight = around(part.float()[None], RIM)
        mean = around(here.color * part, RIM) / weight.clamp(min=1e-6)
        off.append((here.color - mean).abs().sum(0).masked_fill(weight[0] == 0, torch.inf))
    return torch.where(rim & off[0].isfinite(), TILT * off[0] <= off[1], moves)


def hold_share(number: Tensor, moves: Tensor, least: float) -> Tensor:
    """The pixels [h, w] of surfaces of which at least so large a share moves; number: see number_surfaces."""
    size = number.flatten().bincount()
    share = number.flatten().bincount(moves.cpu().flatten().double()) / size.clamp(min=1)
    return (share >= least)[number].to(moves.device)


def number_surfaces(depth: Tensor) -> Tensor:
    """A number for each pixel [h, w], on the CPU, the same for those joined by neighbors of about the same depth.

    What is so narrow that it is all rim, THICK wide, joins nothing: a flower is not of the ground its stem stands on.
    """
    depth = depth.cpu()
    across, down = (torch.maximum(a, b) < SURFACE_RATIO * torch.minimum(a, b)
                    for a, b in ((depth[:, 1:], depth[:, :-1]), (depth[1:], depth[:-1])))
    ends = torch.zeros_like(depth, dtype=torch.bool)
    for side, link in (((ends[:, 1:], ends[:, :-1]), across), ((ends[1:], ends[:-1]), down)):
        for pixels in side:
            pixels |= ~link
    number = join(~grow(ends, THICK), across, down)
    for _ in range(THICK + 1):  # what was left out comes back to what it is linked with
        for rows, link in ((number.T, across.T), (number, down)):
            for here, beside in ((rows[1:], rows[:-1]), (rows[:-1], rows[1:])):
                here[...] = torch.where(link & (here == 0), beside, here)
    rest = number == 0
    return torch.where(rest, number.max() + join(rest, across, down), number)


def join(held: Tensor, across: Tensor, down: Tensor) -> Tensor:
    """A number for each held pixel [h, w], the same for those that links across and down join, from 1; 0 elsewhere.

    across: [h, w-1], down: [h-1, w], which neighbors are linked.
    """
    cv2 = need_opencv()
    height, width = held.shape
    joined = torch.zeros(2 * height - 1, 2 * width - 1, dtype=torch.uint8)  # pixels, and between them their links
    joined[::2, ::2] = held
    joined[::2, 1::2] = across & held[:, 1:] & held[:, :-1]
    joined[1::2, ::2] = down & held[1:] & held[:-1]
    _, numbers = cv2.connectedComponents(joined.numpy(), connectivity=4)
    return torch.from_numpy(numbers[::2, ::2].astype(np.int64))


def extremes(mask: Tensor, depth: Tensor, radius: int = 1) -> tuple[Tensor, Tensor]:
    """The least and the greatest depth [h, w] of what a mask holds within a radius of each pixel."""
    return -widen(torch.where(mask, -depth, -torch.inf), radius), widen(torch.where(mask, depth, 0.0), radius)


def lies_within(depth: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Which pixels [h, w] of depth may be of a surface between two depths."""
    return (depth * SURFACE_RATIO > low) & (depth < SURFACE_RATIO * high)


def enlarge_mask(mask: Tensor, depth: Tensor, full: Tensor) -> Tensor:
    """A mask [h, w] of depth [h, w] at the size of full [H, W]: its edges go where those of full depth are."""
    label = interpolate(mask[None, None].float(), full.shape, mode="nearest-exact")[0, 0] > 0
    fits = []
    for part in (mask, ~mask):
        ends = torch.stack(extremes(part, depth))
        fits.append(lies_within(full, *interpolate(ends[None], full.shape, mode="nearest-exact")[0]))
    return torch.where(fits[0] == fits[1], label, fits[0])


# ---- what can be believed -----------------------------------------------------------------------


def add_confidence(frames: Tensor, depth: VideoDepth, progress: Progress | None = None) -> VideoDepth:
    """The same depth, as sure as its frames [T, H, W, 3] agree, unless its source says how sure it is.

    A pixel is followed to the frames before and after: 1 where one of them has the same depth there or neither shows
    it, 0 where both are off by more than surfaces are apart. One frame has no other to agree with, and stays as it is.
    """
    if depth.confidence is not None or len(depth) == 1:
        return depth
    confidence = torch.empty_like(depth.depth)
    view = lru_cache(4 * OTHERS)(lambda t: look(frames, depth, t))

    def find(t: int) -> None:
        beside = [agree(view(t), view(s)) for s in (t - 1, t + 1) if 0 <= s < len(depth)]
        agreed = torch.stack(beside).nan_to_num(-1.0).amax(0)
        agreed = torch.where(agreed < 0, 1.0, agreed)
        confidence[t] = interpolate(agreed[None, None], depth.size, mode="nearest-exact")[0, 0]

    each_frame(find, len(depth), depth.depth.device, progress)
    return replace(depth, confidence=confidence)


def agree(here: View, there: View) -> Tensor:
    """How well the depth of a view fits that of another along the flow, [h, w] in [0, 1]; NaN where that is unknown."""
    flow = find_flow(here.gray, there.gray)
    z = see(here, there).z
    near, far = (resize_plane(warp(plane, flow), z) for plane in (
        resize_plane(there.near, flow.trusted), resize_plane(there.far, flow.trusted)))
    off = torch.maximum(z / far, near / z) - 1
    agreed = (1 - off.clamp(min=0) / (EDGE_RATIO - 1)).clamp(0, 1)
    return agreed.masked_fill(resize_plane(flow.trusted.float(), z) == 0, torch.nan)


def resize_plane(plane: Tensor, like: Tensor) -> Tensor:
    """A plane [h, w] at the size of another and where that lies; nothing is averaged."""
    return interpolate(plane[None, None], like.shape, mode="nearest-exact")[0, 0].to(like.device)
