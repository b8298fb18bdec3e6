"""A second eye against exact views: our mesh beside a plain forward warp, python benchmarks/stereo.py

Every pixel of the left eye is moved by its disparity, the nearest wins: what programs do that make stereo from depth.
Both are compared with what the right eye truly sees of the scene, ray-traced.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ex4d_ops.camera import lift, project, transform
from ex4d_ops.mesh import build_dw_mesh
from ex4d_ops.prior import RenderRules, render_prior
from ex4d_ops.scene import SCENES, make_scene, sample_clip
from ex4d_ops.trajectory import automatic_radius
from ex4d_ops.trajectory.stereo import eye_distance_of_share, shift_eye

FRAMES, SIZE, SHARE = 5, (288, 512), 0.03
WRONG = 16 / 255  # mean difference above which a pixel shows something else


def warp_forward(frame: Tensor, depth: Tensor, disparity: Tensor) -> tuple[Tensor, Tensor]:
    """A frame [H, W, 3] whose pixels are moved to the left by so many pixels [H, W], rounded; and which are hit."""
    height, width = depth.shape
    row, column = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    target = (column - disparity).round().long()
    picture, seen = torch.zeros_like(frame), torch.zeros(height, width, dtype=torch.bool)
    order = depth.reshape(-1).argsort(descending=True, stable=True)
    order = order[((target >= 0) & (target < width)).reshape(-1)[order]]
    place = (row * width + target).reshape(-1)[order]
    last = torch.full((height * width,), -1).scatter_reduce_(0, place, torch.arange(len(order)), "amax")
    hit = last >= 0
    seen.view(-1)[hit] = True
    picture.view(-1, 3)[hit] = frame.reshape(-1, 3)[order[last[hit]]]
    return picture, seen


def measure(picture: Tensor, seen: Tensor, truth: Tensor, inner: Tensor) -> Tensor:
    """Mean difference of what is shown, of 255, the share shown that is something else, the share not shown."""
    off = (picture - truth).abs().mean(-1)[seen & inner]
    return torch.tensor([255 * float(off.mean()), float((off > WRONG).float().mean()),
                         float((~seen & inner).float().sum() / inner.sum())])


def compare(name: str) -> None:
    """Print what both make of a scene's right eye, whose left eye is the source."""
    scene, (frames, depth) = make_scene(name), sample_clip(name, FRAMES, SIZE)
    left, convergence = scene.source_cameras(FRAMES, SIZE), automatic_radius(depth)
    right = shift_eye(left, eye_distance_of_share(left, SHARE, convergence), convergence)
    truth, _ = scene.render(right)
    prior = render_prior(build_dw_mesh(frames, depth), right, RenderRules("face", False, 0))
    inner = torch.zeros(SIZE, dtype=torch.bool)
    inner[8:-8, 40:-40] = True
    rows = {"mesh": [], "forward warp": []}
    for t in range(FRAMES):
        points = transform(depth.world_from_cam[t], lift(depth.depth[t], depth.intrinsics[t]))
        x = [project(transform(eye.cam_from_world[t], points), eye.intrinsics[t])[..., 0] for eye in (left, right)]
        warped, hit = warp_forward(frames[t], depth.depth[t], torch.nan_to_num(x[0] - x[1]))
        rows["mesh"].append(measure(prior.color[t], prior.visible[t], truth[t], inner))
        rows["forward warp"].append(measure(warped, hit, truth[t], inner))
    for kind, found in rows.items():
        color, wrong, holes = torch.stack(found).mean(0).tolist()
        print(f"| {name} | {kind} | {color:.2f} | {wrong:.2%} | {holes:.2%} |")


if __name__ == "__main__":
    print("| scene | drawn by | color, of 255 | shown, but something else | not shown |\n|---|---|---|---|---|")
    for name in SCENES:
        compare(name)
