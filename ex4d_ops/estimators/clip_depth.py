"""From any estimator to the depth of a clip: shots, steadiness, clean edges, scale, lens."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..camera import intrinsics_from_focal
from ..clip import Progress, no_progress, size_of
from ..depth import (
    VideoDepth,
    check_depth,
    depth_from_disparity_released,
    depth_of_frame,
    finite_ends,
    finite_range,
    make_video_depth,
)
from ..depth_units import DepthUnits
from ..doubts import doubt_kind
from .estimate import Estimate
from .flying_pixels import land_flying_pixels
from .rules import Alignment, ClipRules
from .source_camera import track_source_camera
from .steadiness import SteadyRules, split_shots, steady, warped_errors

FARTHEST = 1e-4  # of the median disparity; an alignment that shifts a pixel behind infinity leaves it there

log = logging.getLogger(__name__)



@dataclass(frozen=True, eq=False)
class ClipDepth:
    """Depth of a clip, and notes on how it was found, a sentence each."""

    depth: VideoDepth
    notes: tuple[str, ...]


def estimate_clip_depth(frames: Tensor, estimate: Callable[[slice, Progress], Estimate], each_alone: bool,
                        rules: ClipRules = ClipRules(), intrinsics: Tensor | None = None,
                        progress: Progress | None = None) -> ClipDepth:
    """Depth of frames [T, H, W, 3] in [0, 1] by an estimator, shot by shot.

    estimate(shot, progress) -> Estimate, of the frames that the slice names; each_alone: whether it looks at each frame
    alone. intrinsics: [3, 3] or [T, 3, 3], else what the estimator found, else the released ones. progress(done, total)
    may raise to cancel.
    """
    report = progress or no_progress
    count = len(frames)
    shots = split_shots(frames, rules.cuts, lambda done, _: report(done, 3 * count))
    planes = torch.empty(frames.shape[:3])  # disparity at first, depth at last: a long clip's numbers are kept once
    lens, notes = intrinsics, []
    if len(shots) > 1:
        notes.append(f"{len(shots)} shots, beginning at frames {', '.join(str(shot.start) for shot in shots)}")
    for shot in shots:
        found = estimate(shot, lambda done, _, begin=count + shot.start: report(begin + done, 3 * count))
        check_scale(found, rules)
        lens = lens_of(found, frames) if lens is None else lens
        aligning, metric = alignment_for(found, each_alone, rules), found.metric and rules.scale == "as given"
        if doubt := doubt_kind(found.values, found.kind):
            log.warning("depth model: %s", doubt)
        write_disparity(found, planes[shot])
        del found
        notes += settle(frames[shot], planes[shot], aligning, rules, lens,
                        lambda done, begin=2 * count + shot.start: report(begin + done, 3 * count))
        planes[shot] = scale_depth(planes[shot], rules)
    check_depth(planes)
    made = make_video_depth(planes, lens, metric=metric)
    if rules.track:
        track = track_source_camera(frames, made, progress)
        made, notes = replace(made, world_from_cam=track.world_from_cam), [*notes, str(track)]
    return ClipDepth(made, tuple(dict.fromkeys(notes)))


def steady_given_depth(frames: Tensor, given: VideoDepth, rules: ClipRules = ClipRules("as given"),
                       progress: Progress | None = None) -> ClipDepth:
    """Depth that another program found of frames [T, H, W, 3], of their size, taken the way of an estimate.

    Its cameras stay where its units do; another scale bends the space that they moved in.
    """
    made = estimate_clip_depth(frames, lambda shot, _: Estimate(given.depth[shot].cpu(), "depth", given.metric), True,
                               rules, given.intrinsics.cpu(), progress)
    moved = not torch.equal(given.world_from_cam.cpu(), torch.eye(4).expand_as(given.world_from_cam))
    if rules.track or not moved:
        return made
    if rules.scale != "as given":
        return replace(made, notes=(*made.notes, "source camera: at rest, because its motion is in the given scale"))
    return replace(made, depth=replace(made.depth, world_from_cam=given.world_from_cam.cpu()))


def one_lens(intrinsics: Tensor | None) -> Tensor | None:
    """Intrinsics [3, 3] of the first frame."""
    return intrinsics[0] if intrinsics is not None and intrinsics.ndim == 3 else intrinsics


def alignment_for(estimate: Estimate, each_alone: bool, rules: ClipRules) -> Alignment:
    """The alignment asked for, or what suits the estimator."""
    if rules.alignment is not None:
        return rules.alignment
    if not each_alone:
        return "none"
    return "scale and shift" if estimate.kind == "disparity" else "scale"


def check_scale(estimate: Estimate, rules: ClipRules) -> None:
    """Raise ValueError where relative disparity is to be taken as given."""
    if estimate.kind == "disparity" and rules.scale == "as given":
        raise ValueError("scale: this model gives relative disparity, which does not have units to keep as given; "
                         "choose released, or near and far")


def write_disparity(estimate: Estimate, disparity: Tensor) -> None:
    """Fill disparity [T, H, W], with NaN where there is no surface: sky, and what is not a number."""
    for t, values in enumerate(estimate.values):
        known = torch.isfinite(values) & ((values > 0) | (estimate.kind == "disparity"))
        disparity[t] = (values if estimate.kind == "disparity" else 1 / values).masked_fill(~known, torch.nan)


def settle(frames: Tensor, disparity: Tensor, aligning: Alignment, rules: ClipRules, lens: Tensor | None,
           report: Callable[[int], None]) -> list[str]:
    """Make the disparity [T, H, W] of one shot steady and its edges clean, in place; what alignment did to it."""
    steadied = steady(frames, disparity, SteadyRules(aligning, rules.smoothing), one_lens(lens),
                      lambda done, total: report(len(frames) * done // total))
    said = []
    if aligning != "none" and len(frames) > 1:
        before, after = warped_errors(frames, disparity, steadied)
        said.append(f"aligned by {aligning}: disparity changed by {before:.2%} from frame to frame, now {after:.2%}")
    for t, plane in enumerate(steadied.split(1)):
        disparity[t] = land_flying_pixels(plane, rules.landing)[0]
    return said


def lens_of(estimate: Estimate, frames: Tensor) -> Tensor | None:
    """Intrinsics [3, 3] of the focal length that the estimator found, if it did."""
    return None if estimate.focal is None else intrinsics_from_focal(estimate.focal, size_of(frames))


def scale_depth(disparity: Tensor, rules: ClipRules) -> Tensor:
    """Depth [T, H, W] of one shot by the scale rule, inf where disparity is NaN."""
    if disparity.isnan().all():
        raise ValueError("depth: the estimator found no surface anywhere; check the clip, and the model's precision")
    if rules.scale == "released":
        depth = depth_from_disparity_released(disparity)
    elif rules.scale == "near and far":
        units = DepthUnits("normalized-disparity", near=rules.near, far=rules.far)
        low, high = finite_range(map(finite_ends, disparity))
        depth = torch.empty_like(disparity)
        for t, plane in enumerate(disparity):
            shares = ((plane - low) / (high - low).clamp(min=1e-12)).clamp(0, 1)
            depth[t] = depth_of_frame(shares, units)
    else:
        depth = disparity.clamp(min=FARTHEST * disparity.nanmedian()).reciprocal_()
    return depth.masked_fill_(disparity.isnan(), torch.inf)
