"""Depth that holds still: cuts, one scale and shift per frame solved over the whole clip, smoothing along the flow.

Everything works on disparity D, proportional to 1 / z. Where a camera moves, true depth changes too: of a point seen at
(x, y) on the image plane z = 1, by z_t = z_s (r x + u y + sqrt(1 - r^2 - u^2)) + m, so that

    D_s = D_t (r x + u y + sqrt(1 - r^2 - u^2) + m D_s).

r, u (the turn) and m (the way back) are solved along with the scales and shifts, for every pair of frames: a camera
that walks must not be mistaken for depth that swells.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from ..camera import default_intrinsics, pixel_centers, ray_of, resize_intrinsics
from ..clip import Progress, no_progress, size_of
from ..depth import EDGE_RATIO
from ..optical_flow import Flow, enlarge, find_flow, shrink, warp
from .rules import Alignment, Cuts

FLOW_SIDE = 256  # pixels of the longer side at which flow is found
CUT_SIDE = 96  # the same, to find cuts
CUT_SHARE = 0.25  # a cut is where less matches: in one procedural scene 0.8 does, in two 0.1
SAMPLES = 512  # matches kept of a pair of frames
FEWEST = 0.25  # share of pixels that must match for a pair of frames to be used
ALIKE = 0.5  # correlation of disparity at their matches below which they say nothing of each other
BLOCK = 128  # pairs of frames that are linearised at once
ROUNDS = 16  # of reweighted least squares, the first half with a camera at rest
TUNING = 3.0  # residuals beyond so many standard deviations hardly count: other surfaces, moving things
INDEPENDENT = 64  # measurements that all matches of a pair are worth: errors of depth spread over regions
MOTION_PRIOR = (0.02, 0.02, 0.02)  # deviation of r, u, and m times the typical disparity, from frame to frame
CHANGE_PRIOR = 0.5  # deviation of scale, and of shift in typical disparities


@dataclass(frozen=True)
class SteadyRules:
    """alignment: what is solved per frame; smoothing: frames before and after that are averaged along the flow."""

    alignment: Alignment = "scale and shift"
    smoothing: int = 0


def steady(frames: Tensor, disparity: Tensor, rules: SteadyRules, intrinsics: Tensor | None = None,
           progress: Progress | None = None) -> Tensor:
    """Disparity [T, h, w] of one shot, frames [T, H, W, 3] in [0, 1], made consistent over time.

    Pixels that are NaN, sky or unknown, stay so. intrinsics: [3, 3] of the disparity, by default the released ones.
    progress(done, total) is called after every frame of every step; what it raises cancels.
    """
    report = progress or no_progress
    count = len(frames)
    scale_shift = align(frames, disparity, rules.alignment, intrinsics, lambda done, _: report(done, 2 * count))
    scale, shift = scale_shift.to(disparity).T[..., None, None]
    gray = lru_cache(2 * rules.smoothing + 1)(lambda t: shrink(frames[t], FLOW_SIDE))
    steadied = torch.empty_like(disparity)
    for t in range(count):  # frame by frame: a long clip's planes are what fills memory
        reach = min(rules.smoothing, t, count - 1 - t)
        around = slice(t - reach, t + reach + 1)
        aligned = disparity[around] * scale[around] + shift[around]
        steadied[t] = smooth([gray(k) for k in range(count)[around]], aligned) if reach else aligned[0]
        report(count + t + 1, 2 * count)
    return steadied


# ---- cuts ---------------------------------------------------------------------------------------


def find_cuts(frames: Tensor, progress: Progress | None = None) -> list[int]:
    """Numbers of the frames [T, H, W, 3] that begin a new shot: hardly a pixel of the one before is found in them.

    preparation.select.is_cut compares thumbnails, which is enough to choose clips among many, and misses cuts between
    shots of like colors. Depth would be wrong across a cut that is missed, so that here pixels are followed.
    """
    finish = progress or no_progress
    cuts, before = [], None
    for t, frame in enumerate(frames):
        gray = shrink(frame, CUT_SIDE)
        if before is not None and find_flow(before, gray).trusted.float().mean() < CUT_SHARE:
            cuts.append(t)
        before = gray
        finish(t + 1, len(frames))
    return cuts


def split_shots(frames: Tensor, cuts: Cuts, progress: Progress | None = None) -> list[slice]:
    """The shots of a clip. Raises ValueError, naming the frames, where there are several and cuts is "refuse"."""
    begins = [0] if cuts == "ignore" else [0, *find_cuts(frames, progress)]
    if cuts == "refuse" and len(begins) > 1:
        listing = ", ".join(map(str, begins[1:6])) + (" ..." if len(begins) > 6 else "")
        raise ValueError(f"images: the clip cuts to another shot at frame {listing}; trim it to one shot, or set cuts "
                         "to split (each shot gets a depth of its own) or to ignore (if this is not a cut)")
    return [slice(begin, end) for begin, end in zip(begins, [*begins[1:], len(frames)])]


# ---- one scale and shift per frame --------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Matches:
    """Disparity at pixels of one frame and where they lie in another, for P pairs of frames, N pixels each.

    source, target: frame numbers [P]; at_source, at_target: [P, N] float32; rays: [P, N, 2], the pixels on the image
    plane z = 1 of the source.
    """

    source: Tensor
    target: Tensor
    at_source: Tensor
    at_target: Tensor
    rays: Tensor


def align(frames: Tensor, disparity: Tensor, alignment: Alignment, intrinsics: Tensor | None = None,
          progress: Progress | None = None) -> Tensor:
    """Scale and shift of every frame's disparity [T, 2] that make one shot consistent: steady = scale * D + shift.

    frames: [T, H, W, 3] in [0, 1]; disparity: [T, h, w], NaN where unknown and for sky. The scales' mean is 1
    and the shifts' 0, so that the typical frame stays what it was. progress(done, T) may raise to cancel.
    """
    unchanged = torch.tensor([[1.0, 0.0]]).repeat(len(frames), 1)
    if alignment == "none" or len(frames) == 1:
        return unchanged
    size = size_of(disparity)
    intrinsics = default_intrinsics(size) if intrinsics is None else intrinsics.cpu()
    flow_size = shrink(frames[0], FLOW_SIDE).shape
    matches = match_frames(frames, disparity, resize_intrinsics(intrinsics, size, flow_size), progress)
    if matches is None:
        return unchanged
    unit = float(matches.at_source.abs().mean()) or 1.0
    matches = replace(matches, at_source=matches.at_source / unit, at_target=matches.at_target / unit)
    solved = solve(matches, len(frames), shift=alignment == "scale and shift")
    return (solved * solved.new_tensor([1.0, unit])).float()


def match_frames(frames: Tensor, disparity: Tensor, intrinsics: Tensor, progress: Progress | None) -> Matches | None:
    """Matches between neighbours and from the first frame to every other, None where no two frames match."""
    finish = progress or no_progress
    before = first = shrink(frames[0], FLOW_SIDE)
    pairs: list[tuple[int, int]] = []
    columns = [torch.empty(2 * len(frames), SAMPLES, *rest) for rest in ((), (), (2,))]
    for t in range(1, len(frames)):
        gray = shrink(frames[t], FLOW_SIDE)
        for s, other in {t - 1: before, 0: first}.items():
            found = match_pair(find_flow(other, gray), disparity[s], disparity[t], intrinsics)
            if found is None:
                continue
            for column, values in zip(columns, found):
                column[len(pairs)] = values
            pairs.append((s, t))
        before = gray
        finish(t + 1, len(frames))
    return Matches(*torch.tensor(pairs).T, *(column[:len(pairs)] for column in columns)) if pairs else None


def match_pair(flow: Flow, source: Tensor, target: Tensor, intrinsics: Tensor) -> tuple[Tensor, Tensor, Tensor] | None:
    """Disparity [N] at matches spread over a frame, at their ends in another, and their rays [N, 2].

    None where too little matches, or the two say nothing of each other.
    """
    source, target = (resample(plane, flow.size) for plane in (source, target))
    at_target = warp(target, flow)
    usable = flow.trusted & torch.isfinite(source) & torch.isfinite(at_target)
    if usable.float().mean() <= FEWEST:
        return None
    places = usable.flatten().nonzero()[:, 0]
    picked = places[torch.linspace(0, len(places) - 1, SAMPLES).long()]
    values = torch.stack([plane.flatten()[picked].float() for plane in (source, at_target)])
    if not torch.corrcoef(values)[0, 1] > ALIKE:  # NaN is not
        return None
    rays = ray_of(pixel_centers(flow.size), intrinsics)[..., :2]
    return values[0], values[1], rays.reshape(-1, 2)[picked].float()


def resample(plane: Tensor, size: tuple[int, int]) -> Tensor:
    """A plane [h, w] at another size, on the CPU; nothing is averaged, so no value lies between two surfaces."""
    return torch.nn.functional.interpolate(plane[None, None].cpu(), size=tuple(size), mode="nearest-exact")[0, 0]


def solve(matches: Matches, frames: int, shift: bool) -> Tensor:
    """Scale and shift of every frame [frames, 2] by reweighted Gauss-Newton steps."""
    unknown = torch.tensor([[1.0, 0.0]], dtype=torch.float64).repeat(frames, 1)
    motion = torch.zeros(len(matches.source), 3, dtype=torch.float64)
    apart = (matches.target - matches.source)[:, None]
    prior = 1 / (apart * torch.tensor([MOTION_PRIOR], dtype=torch.float64) ** 2)  # a random walk
    residual = matches.at_target - matches.at_source
    for k in range(ROUNDS):
        deviation = 1.4826 * residual.abs().median().clamp(min=1e-6).double()
        normal, slope = normal_equations(matches, unknown, motion, deviation, residual)
        hold = prior * (1e9 if k < ROUNDS // 2 else 1.0)
        normal[:, 4:, 4:] += torch.diag_embed(hold)
        slope[:, 4:] += hold * motion
        step, motion_step = eliminate(matches, normal, slope, unknown, shift)
        unknown, motion = unknown - step, motion - motion_step
    return unknown


def normal_equations(matches: Matches, unknown: Tensor, motion: Tensor, deviation: Tensor,
                     residual: Tensor) -> tuple[Tensor, Tensor]:
    """Each pair's normal matrix [P, 7, 7] and slope [P, 7], and its residuals into residual [P, N]; block by block."""
    normal, slope = [], []
    for span in torch.arange(len(matches.source)).split(BLOCK):
        block = Matches(*(getattr(matches, field.name)[span] for field in fields(matches)))
        found, jacobian = linearise(block, unknown, motion[span])
        trust = (1 + (found / (TUNING * deviation)) ** 2) ** -2  # Geman and McClure's
        weight = trust * (INDEPENDENT / SAMPLES / deviation**2)
        weighted = (weight[..., None] * jacobian).mT  # [P, 7, N]
        normal.append(weighted @ jacobian)
        slope.append((weighted @ found[..., None])[..., 0])
        residual[span] = found.float()
    return torch.cat(normal), torch.cat(slope)


def linearise(matches: Matches, unknown: Tensor, motion: Tensor) -> tuple[Tensor, Tensor]:
    """Residual [P, N] and its derivative [P, N, 7] by scale and shift of both frames and by the motion r, u, m."""
    (scale_s, shift_s), (scale_t, shift_t) = (unknown[k].T[..., None] for k in (matches.source, matches.target))
    near = scale_s * matches.at_source + shift_s
    far = scale_t * matches.at_target + shift_t
    turn, ahead = motion[:, None, :2], motion[:, 2:]
    level = (1 - turn.square().sum(-1)).clamp(min=0.01).sqrt()
    growth = (turn * matches.rays).sum(-1) + level + ahead * near
    by_source = ahead * far - 1
    columns = [by_source * matches.at_source, by_source, growth * matches.at_target, growth,
               *(far[..., None] * (matches.rays - turn / level[..., None])).unbind(-1), far * near]
    return far * growth - near, torch.stack(torch.broadcast_tensors(*columns), -1)


def eliminate(matches: Matches, normal: Tensor, slope: Tensor, unknown: Tensor, shift: bool) -> tuple[Tensor, Tensor]:
    """The step of all scales and shifts [T, 2], each pair's motion eliminated first, and of that motion [P, 3]."""
    across = torch.linalg.solve(normal[:, 4:, 4:], torch.cat([normal[:, 4:, :4], slope[:, 4:, None]], -1))  # [P, 3, 5]
    reduced = normal[:, :4, :4] - normal[:, :4, 4:] @ across[..., :4]
    reduced_slope = slope[:, :4] - (normal[:, :4, 4:] @ across[..., 4:])[..., 0]
    places = torch.stack([2 * matches.source, 2 * matches.source + 1, 2 * matches.target, 2 * matches.target + 1], 1)
    frames = len(unknown)
    total = torch.zeros(2 * frames, 2 * frames, dtype=torch.float64)
    total.index_put_((places[:, :, None].expand(-1, 4, 4), places[:, None].expand(-1, 4, 4)), reduced, accumulate=True)
    right = torch.zeros(2 * frames, dtype=torch.float64).index_add_(0, places.flatten(), reduced_slope.flatten())
    means = torch.eye(2, dtype=torch.float64).repeat(frames, 1)  # no match fixes the clip's own scale and shift
    hold = torch.tensor([1.0, 1.0 if shift else 1e12], dtype=torch.float64).repeat(frames) / CHANGE_PRIOR**2
    right += hold * (unknown - unknown.new_tensor([1.0, 0.0])).flatten()
    total.addmm_(means, means.T, alpha=float(total.diagonal().max())).diagonal().add_(hold)
    step = torch.linalg.solve(total, right)
    motion_step = across[..., 4] - (across[..., :4] @ step[places][..., None])[..., 0]
    return step.reshape(frames, 2), motion_step


# ---- smoothing ----------------------------------------------------------------------------------


def smooth(grays: list[np.ndarray], disparity: Tensor) -> Tensor:
    """The middle plane [h, w] of an odd number of planes of disparity, averaged along the flow over all of them.

    grays: their frames, shrunk. A pixel takes part where both sides follow it there and back and lie on its surface,
    so that edges stay and steady change is kept; else it stays what it was.
    """
    middle = len(grays) // 2
    here = disparity[middle]
    total, count = here.clone(), torch.ones_like(here)
    for k in range(1, middle + 1):
        sides = [follow(grays[middle], grays[t], here, disparity[t]) for t in (middle - k, middle + k)]
        both = sides[0][1] & sides[1][1]
        total += torch.where(both, sides[0][0] + sides[1][0], 0.0)
        count += 2 * both
    return total / count


def follow(source: np.ndarray, target: np.ndarray, here: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
    """Disparity [h, w] that pixels of one gray frame have in another, and where that is of the same surface."""
    flow = enlarge(find_flow(source, target), size_of(here[None]))
    followed = warp(there, flow)
    same = (followed - here).abs() <= (EDGE_RATIO - 1) * here.abs()  # False where either is NaN
    return followed, same & flow.trusted.to(here.device)


def warped_error(frames: Tensor, disparity: Tensor) -> float:
    """Mean difference of disparity [T, h, w] between matched pixels of neighbours, relative to it: 0 = perfectly still.

    A camera that moves changes true depth too, so that not even that reaches 0.
    """
    return warped_errors(frames, disparity)[0]


def warped_errors(frames: Tensor, *disparities: Tensor) -> list[float]:
    """warped_error of each of several disparities of the same frames, whose flow is found once."""
    changes: list[list[Tensor]] = [[] for _ in disparities]
    before = shrink(frames[0], FLOW_SIDE)
    for t in range(1, len(frames)):
        gray = shrink(frames[t], FLOW_SIDE)
        flow = find_flow(before, gray)
        for disparity, found in zip(disparities, changes):
            source, target = (resample(disparity[k], flow.size) for k in (t - 1, t))
            change = (warp(target, flow) - source).abs() / source.abs()
            found.append(change[flow.trusted & torch.isfinite(change)].mean())
        before = gray
    return [float(torch.stack(found).nanmean()) for found in changes]
