"""What two eyes see of one mesh, packed into one picture as players of stereo video take it."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from .background import Background
from .camera import CameraPath, focal_from_view, intrinsics_from_focal, project, rigid
from .clip import Progress, no_progress, resize_frame
from .mesh import DWMesh
from .prior import Prior, render_prior, unmix
from .rotation import aim
from .rules import Layout, RenderRules

FACE_VIEW = math.radians(94)  # of each face of a cube; what is over 90 lets neighbors overlap
FACE_DENSITY = 1.5  # pixels in the middle of a face for each one of the hemisphere
# Where the faces of half a cube look: ahead, left, right, up, down.
FACES = torch.tensor([[0.0, 0, 1], [-1, 0, 0], [1, 0, 0], [0, -1, 0], [0, 1, 0]], dtype=torch.float64)


def render_eyes(mesh: DWMesh, left: CameraPath, right: CameraPath, layout: Layout, rules: RenderRules = RenderRules(),
                engine: str = "auto", progress: Progress = no_progress, side: int = 1024,
                background: Background | None = None) -> Prior:
    """What two eyes see of a mesh, in one picture of a layout.

    "half": each eye's picture is squashed to half its width or height, so that the whole is as large as one. "VR180":
    180 degrees each way per eye, side x side pixels, equirectangular, the left eye's at the left; the size and the lens
    of the paths play no part there. progress, background: as in render_prior.
    """
    def draw(eye: CameraPath, tell: Progress) -> Prior:
        if layout == "VR180":
            return render_hemisphere(mesh, eye, side, rules, engine, tell, background)
        return render_prior(mesh, eye, rules, engine, tell, background)

    seen = [draw(eye, part_of(progress, k, 2)) for k, eye in enumerate((left, right))]
    return pack_eyes(seen[0], seen[1], layout)


def part_of(progress: Progress, part: int, parts: int) -> Progress:
    """The progress of one of several parts of equal work, as progress of the whole."""
    return lambda done, total: progress(part * total + done, parts * total)


def render_hemisphere(mesh: DWMesh, eye: CameraPath, side: int, rules: RenderRules, engine: str, progress: Progress,
                      background: Background | None = None) -> Prior:
    """The 180 degrees each way that an eye sees ahead, equirectangular, side x side pixels.

    Row and column are latitude and longitude; straight lines become great circles. Half a cube is drawn around the eye
    and looked at.
    """
    pixels = math.ceil(2 * FACE_DENSITY * side / math.pi * math.tan(FACE_VIEW / 2))
    lens = intrinsics_from_focal(focal_from_view(FACE_VIEW, pixels), (pixels, pixels))
    face_from_eye = aim(FACES)  # [5, 3, 3]
    face, grid = look_up(face_from_eye, lens, side)
    frames = []
    for t in range(len(eye)):
        turned = rigid(face_from_eye, torch.zeros_like(FACES)).to(eye.cam_from_world) @ eye.cam_from_world[t]
        cube = CameraPath(turned, lens.to(turned).expand(len(FACES), 3, 3), (pixels, pixels),
                          eye.source_frame[[t]].expand(len(FACES)).contiguous())
        seen = render_prior(mesh, cube, replace(rules, anchor_first=False), engine, background=background)
        frames.append(sample_faces(seen, face, grid))
        progress(t + 1, len(eye))
    return Prior(*unmix(torch.stack(frames)))


def look_up(face_from_eye: Tensor, lens: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Which face [N, N] each pixel of a hemisphere lies on, and where there [N, N, 2], as grid_sample counts it."""
    angle = (torch.arange(side, dtype=torch.float64) + 0.5) / side * math.pi - math.pi / 2
    latitude, longitude = torch.meshgrid(angle, angle, indexing="ij")
    rays = torch.stack([longitude.sin() * latitude.cos(), latitude.sin(), longitude.cos() * latitude.cos()], -1)
    on_faces = torch.einsum("fij,hwj->fhwi", face_from_eye, rays)
    face = on_faces[..., 2].argmax(0)
    points = on_faces.gather(0, face[None, ..., None].expand(1, *face.shape, 3))[0]
    return face, (project(points, lens.double()) / lens[0, 2] - 1).float()


def sample_faces(faces: Prior, face: Tensor, grid: Tensor) -> Tensor:
    """Sums of colors and how much of them was seen, [N, N, 4], where look_up says."""
    parts = torch.cat([faces.color, faces.visible[..., None].float()], -1).movedim(-1, 1)
    picture = parts.new_zeros(*face.shape, 4)
    for k, part in enumerate(parts):
        here = (face == k).to(parts.device)
        found = grid_sample(part[None], grid.to(parts.device)[here][None, None], align_corners=False)
        picture[here] = found[0, :, 0].mT
    return picture


def pack_eyes(left: Prior, right: Prior, layout: Layout) -> Prior:
    """Two eyes' pictures in one."""
    axis = 1 if "over" in layout else 2
    if layout.startswith("half"):
        height, width = left.visible.shape[1:]
        size = (height // 2, width) if axis == 1 else (height, width // 2)
        left, right = (squash(eye, size) for eye in (left, right))
    return Prior(torch.cat([left.color, right.color], axis), torch.cat([left.visible, right.visible], axis))


def squash(prior: Prior, size: tuple[int, int]) -> Prior:
    """A prior at another size (H, W); what was not seen never mixes into what was."""
    parts = torch.cat([prior.color, prior.visible[..., None].float()], -1)
    return Prior(*unmix(torch.stack([resize_frame(frame, size) for frame in parts])))
