"""Whether a generated video shows what it should: pixels, structure, their change over time, and seams.

What it should show is a Reference: the exact view where that is known, else the prior where the source was seen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import conv2d, max_pool2d, pad

from ..motion import grow
from ..optical_flow import Flow, find_flow, shrink, warp

WINDOW, SIGMA = 11, 1.5  # pixels; Wang et al. 2004, as torchmetrics
STABLE = (0.01**2, 0.03**2)  # of the same
BEST_PSNR = 100.0  # dB, where nothing differs
WHITE = 255.0  # differences are told in levels of 255
LEAST = 0.01  # share of a frame that must be compared for a figure to be given
SMALLEST_SUBJECT = 0.002  # share of a frame; what shows less of the subject is not looked for
REACH = 0.25  # of the width, as far as a subject is looked for
ALIKE = 0.5  # correlation from which on it is the subject
OUTLINE = 2  # pixels around a subject that are looked for with it


@dataclass(frozen=True, eq=False)
class Reference:
    """What a video should show. frames: [T, H, W, 3] in [0, 1]; visible: [T, H, W] bool, what the source has seen;
    exact: the frames are right outside of that too; subject: [T, H, W] bool, where its subject is, None: not known;
    changes: what is known of how it changes, which all methods share.
    """

    frames: Tensor
    visible: Tensor
    exact: bool
    subject: Tensor | None = None
    changes: dict[int, tuple[Flow, Tensor]] = field(default_factory=dict)

    def change(self, t: int) -> tuple[Flow, Tensor]:
        """See change_along."""
        if t not in self.changes:
            self.changes[t] = change_along(self.frames, t)
        return self.changes[t]


def compare_frame(shown: Tensor, wanted: Tensor, inside: Tensor,
                  similar: Tensor | None = None) -> dict[str, float | None]:
    """PSNR in dB and SSIM of a frame [H, W, 3] against another, over the pixels inside [H, W] bool.

    similar: their ssim_map, where it is made already.
    """
    if inside.float().mean() < LEAST:
        return {"psnr": None, "ssim": None}
    error = float((shown[inside].double() - wanted[inside].double()).square().mean())
    psnr = BEST_PSNR if error == 0 else min(-10 * math.log10(error), BEST_PSNR)
    whole = -max_pool2d(-inside[None, None].float(), WINDOW, 1, WINDOW // 2)[0, 0] > 0  # windows without a hole
    if not whole.any():
        return {"psnr": psnr, "ssim": None}
    similar = ssim_map(shown, wanted) if similar is None else similar
    return {"psnr": psnr, "ssim": float(similar[whole].mean())}


def ssim_map(first: Tensor, second: Tensor) -> Tensor:
    """Structural similarity of two frames [H, W, 3] in [0, 1] around every pixel [H, W], mirrored at the sides."""
    x, y = (frame.double().movedim(-1, 0)[:, None] for frame in (first, second))
    offsets = torch.arange(WINDOW, dtype=torch.float64) - WINDOW // 2
    weights = (-(offsets / SIGMA) ** 2 / 2).exp()
    weights = weights / weights.sum()
    x, y = (pad(planes, (WINDOW // 2,) * 4, mode="reflect") for planes in (x, y))
    both = torch.cat([x, y, x * x, y * y, x * y])
    means = conv2d(conv2d(both, weights[None, None, :, None]), weights[None, None, None])
    mean_x, mean_y, square_x, square_y, product = means.squeeze(1).unflatten(0, (5, -1))
    spread_x, spread_y = square_x - mean_x**2, square_y - mean_y**2
    a, b = STABLE
    similarity = (2 * mean_x * mean_y + a) * (2 * (product - mean_x * mean_y) + b)
    return (similarity / ((mean_x**2 + mean_y**2 + a) * (spread_x + spread_y + b))).mean(0)


def gray(frame: Tensor) -> Tensor:
    """A frame [H, W, 3] as luma [H, W] in levels of 255."""
    return WHITE * (frame @ frame.new_tensor([0.299, 0.587, 0.114]))


def unsteadiness(frames: Tensor, reference: Reference, t: int) -> dict[str, float | None]:
    """How differently a video changes from frame t to the next, along the flow, than it should: levels of 255.

    Inside and outside of what the source has seen. What should change is told by the reference; outside of it, where
    nothing is known, the video's own flow is followed and nothing should.
    """
    flow, wanted = reference.change(t)
    seen = reference.visible[t] & (warp(reference.visible[t + 1].float(), flow) > 0.99) & flow.trusted
    hidden = ~reference.visible[t] & flow.trusted
    off = (follow(frames, t, flow) - wanted).abs()
    if reference.exact:
        return {"inside": mean_over(off, seen), "outside": mean_over(off, hidden)}
    flow, change = change_along(frames, t)
    return {"inside": mean_over(off, seen),
            "outside": mean_over(change.abs(), ~reference.visible[t] & flow.trusted)}


def change_along(frames: Tensor, t: int) -> tuple[Flow, Tensor]:
    """The flow from frame t of frames [T, H, W, 3] to the next, and how levels [H, W] change along it."""
    flow = find_flow(*(shrink(frame, max(frame.shape)) for frame in (frames[t], frames[t + 1])))
    return flow, follow(frames, t, flow)


def follow(frames: Tensor, t: int, flow: Flow) -> Tensor:
    return warp(gray(frames[t + 1]), flow) - gray(frames[t])


def mean_over(values: Tensor, where: Tensor) -> float | None:
    return float(values[where].mean()) if where.float().mean() >= LEAST else None


def misplacement(shown: Tensor, wanted: Tensor, inside: Tensor) -> float | None:
    """How far from their places things are seen in a frame [H, W, 3], the median in percent of the width."""
    flow = find_flow(*(shrink(frame, max(frame.shape)) for frame in (wanted, shown)))
    known = flow.trusted & inside
    if known.float().mean() < LEAST:
        return None
    height, width = inside.shape
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    return float(100 / width * (flow.target - torch.stack([x, y], -1))[known].norm(dim=-1).median())


def subject_off(shown: Tensor, wanted: Tensor, subject: Tensor) -> float | None:
    """How far from its place [H, W] bool the subject is seen in a frame [H, W, 3], in percent of the width.

    It is where its picture in what is wanted fits best. One that is not found counts as being as far off as is looked.
    """
    import cv2

    height, width = subject.shape
    if subject.float().mean() < SMALLEST_SUBJECT:
        return None
    _, parts, boxes, _ = cv2.connectedComponentsWithStats(subject.byte().numpy())
    largest = 1 + int(boxes[1:, cv2.CC_STAT_AREA].argmax())
    mask = grow(torch.from_numpy(parts == largest), OUTLINE)
    y, x = (mask.any(axis).nonzero() for axis in (1, 0))
    top, bottom, left, right = int(y[0]), int(y[-1]) + 1, int(x[0]), int(x[-1]) + 1
    reach = round(REACH * width)
    above, beside = max(top - reach, 0), max(left - reach, 0)
    around = gray(shown)[above:bottom + reach, beside:right + reach]
    fits = cv2.matchTemplate(around.numpy(), gray(wanted)[top:bottom, left:right].numpy(), cv2.TM_CCOEFF_NORMED,
                             mask=mask[top:bottom, left:right].float().numpy())
    fits = np.where(np.isfinite(fits), fits, -1.0)
    found = np.unravel_index(int(fits.argmax()), fits.shape)
    if fits[found] < ALIKE:
        return 100 * REACH
    return min(100 / width * float(np.hypot(found[0] + above - top, found[1] + beside - left)), 100 * REACH)


def seams(shown: Tensor, wanted: Tensor, visible: Tensor, exact: bool) -> float | None:
    """How much more or less a frame [H, W, 3] jumps across the edge of what was seen than it should: levels of 255.

    As in the exact view, pair by pair; where that is not known, as much as what was seen does beside the edge.
    """
    across, beside = [], []
    for axis in (0, 1):
        for flip in (False, True):
            planes = [plane.flip(axis) if flip else plane for plane in (gray(shown), gray(wanted), visible)]
            seen, ours, should = planes[2], planes[0], planes[1]
            size = seen.shape[axis]
            before, here, after = (slice_along(axis, k, size - 2 + k) for k in range(3))
            edge = seen[before] & seen[here] & ~seen[after]
            jump = (ours[after] - ours[here])[edge]
            across.append((jump - (should[after] - should[here])[edge]).abs() if exact else jump.abs())
            beside.append((should[here] - should[before])[edge].abs())
    count = sum(map(len, across))
    if count < visible.numel() ** 0.5 * LEAST * 10:
        return None
    found = float(torch.cat(across).mean())
    return found if exact else abs(found - float(torch.cat(beside).mean()))


def slice_along(axis: int, start: int, stop: int) -> tuple[slice, ...]:
    return (slice(None),) * axis + (slice(start, stop),)
