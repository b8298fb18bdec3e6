"""An evaluation from nothing on a CPU: procedural scenes, priors and damaged videos as methods. `make demo-evaluate`.

Usage: python -m headless.demo_evaluate FOLDER
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import torch

from ex4d_ops import cli, files
from ex4d_ops.background import make_background
from ex4d_ops.camera import CameraPath
from ex4d_ops.mesh import build_dw_mesh
from ex4d_ops.motion import find_motion
from ex4d_ops.prior import render_prior
from ex4d_ops.rules import MeshRules, RenderRules
from ex4d_ops.scene import FPS, make_scene
from ex4d_ops.trajectory.editing import blend

SCENES = ("gallery", "colonnade")
FRAMES, SIZE, RANGE = 13, "192x192", "30"
BOUNDED = MeshRules(hidden_reach=0.1)


def make_videos(scene: str, cell: Path) -> dict[str, torch.Tensor]:
    """The video of every method: priors of four kinds, the exact views, and those damaged."""
    clip = files.read_video(cell / "source.mkv")
    depth, cameras = files.read_depth(cell / "depth.npz"), files.read_path(cell / "prior" / "cameras.json")
    mesh, bounded = (build_dw_mesh(clip.frames, depth, rules) for rules in (MeshRules(), BOUNDED))
    background = make_background(bounded, find_motion(clip.frames, depth))
    plain = RenderRules(erosion=0)
    exact = files.read_video(cell / "exact.mkv").frames
    still = CameraPath(cameras.cam_from_world[:1].expand_as(cameras.cam_from_world), cameras.intrinsics, cameras.size)
    short = blend(still, cameras, 0.9)
    steps = [(x * 2 % 5 - 2, x * 3 % 5 - 2) for x in range(len(exact))]
    noise = 0.08 * torch.randn(exact.shape, generator=torch.Generator().manual_seed(0))
    return {"exact view": exact, "DW-Mesh": render_prior(mesh, cameras).color,
            "bounded": render_prior(bounded, cameras, plain).color,
            "filled": render_prior(bounded, cameras, plain, background=background).color,
            "points": render_prior(mesh, cameras, RenderRules(erosion=0, surface="meridian-points")).color,
            "blurred": blur(exact), "noisy": (exact + noise).clamp(0, 1),
            "shaken": torch.stack([frame.roll(step, (0, 1)) for frame, step in zip(exact, steps)]),
            "short path": make_scene(scene).render(short)[0], "frozen": exact[:1].expand_as(exact)}


def blur(frames: torch.Tensor) -> torch.Tensor:
    import cv2

    return torch.stack([torch.from_numpy(cv2.GaussianBlur(frame.numpy(), (0, 0), 2)) for frame in frames])


def main(folder: Path) -> int:
    shutil.rmtree(folder, ignore_errors=True)
    runs = folder / "runs"
    failed = cli.main(["evaluate", "plan", "--scenes", ",".join(SCENES), "--ranges", RANGE, "--methods", "ex-4d,vace",
                       "--frames", str(FRAMES), "--size", SIZE, "--out", str(runs)])
    for scene in SCENES:
        for method, frames in make_videos(scene, runs / scene / RANGE).items():
            (runs / scene / RANGE / method).mkdir()
            files.write_video(runs / scene / RANGE / method / "result.mkv", frames, FPS)
    return failed or cli.main(["evaluate", str(runs), "--out", str(folder / "report")])


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
