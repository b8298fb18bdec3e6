"""How a generated video follows its path: the cameras it shows, found from the surfaces that its prior was drawn of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from .. import raster
from ..camera import CameraPath, invert_rigid, pixel_centers, resize_intrinsics, rigid
from ..clip import Progress, resize_frame
from ..estimators.source_camera import (
    AT_REST,
    FEWEST,
    REPROJECTION,
    SIDE,
    find_camera,
    lift_places,
    to_rays,
)
from ..mesh import DWMesh
from ..motion import grow
from ..optical_flow import Gray, find_flow, shrink
from ..parallel import one_by_one
from ..prior import VISIBLE_ALPHA, paint_vertices
from ..rules import BORDER_DEPTH

LEAST_SIDE = 448  # pixels of the longer side to which smaller frames are enlarged
SURE = 0.7  # share of what is seen that must agree about a camera for no other to be asked for
AGREED = 0.3  # the same, for a camera to count as found
STEPS, SETTLED = 6, 0.3  # drawings from ever nearer cameras at most, and pixels of movement that need no other
NEARER = 0.7  # share of the movement before from which on a drawing that agrees no better ends the drawing
EVERY = 4  # pixels from one place that is followed to the next
FARTHEST = 0.9  # of the depth of the border; what lies farther stands where the mesh ends and not where it is
RIM = 4  # pixels beside what is hidden in which flow is misled
LOOKED, PLAIN, ALIKE = 15, 3.0, 0.5  # pixels of a window, deviation of levels below which it says nothing, correlation
BLURS = (0.0, 1.5, 3.0, 4.5, 6.5, 9.0, 12.0)  # pixels by which a drawing is blurred until it is as soft as a frame
SHARPER = 1.2  # how much sharper counts as alike
WIDER = 2.0  # pixels by which a window grows on each side with each pixel of blur
JUDGED = 0.03  # share of the picture that must be seen for a camera to be looked for
SAME = 1e-6  # from which on two cameras to begin at are two
MOVED = 1e-3  # of the distance to the nearest point; a path that keeps within this does not leave its place


@dataclass(frozen=True, eq=False)
class FollowedPath:
    """The cameras that a video shows. cam_from_world: [T, 4, 4], where one is not found the last that was; found: [T]
    bool; seen: [T], the share of the picture in which the path shows what the source saw, by which alone cameras are
    found.
    """

    cam_from_world: Tensor
    found: Tensor
    seen: Tensor


class Step(NamedTuple):
    """From one camera to a better one. share: of the places that look alike and are where they should be from the first
    already; pixels: by which the typical one moves; seen: share of the picture that is such places.
    """

    camera: Tensor
    share: float
    pixels: float
    seen: float


def find_path(frames: Tensor, mesh: DWMesh, cameras: CameraPath, progress: Progress | None = None) -> FollowedPath:
    """The cameras that frames [T, H, W, 3] show, of a mesh that the path's prior was drawn of, in the mesh's units.

    Each frame is compared with the mesh of its own moment, so that what moves does not mislead: as seen from the camera
    that was asked for, and where that does not fit, from one as far off as the last that was found, and from that one.
    """
    asked = cameras.cam_from_world.double()
    last, off, placed, found, seen = asked[0], torch.eye(4, dtype=torch.float64), [], [], []
    for t in one_by_one(range(len(frames)), len(frames), progress):
        gray = shrink(enlarge_frame(frames[t]), SIDE)
        best = settle_camera(gray, mesh, cameras, t, asked[t])
        seen.append(best.seen)
        tried = [asked[t]]
        for near in (off @ asked[t], last):
            if best.share < SURE and not any(torch.allclose(near, other, atol=SAME) for other in tried):
                best = max(best, settle_camera(gray, mesh, cameras, t, near), key=lambda step: step.share)
                tried.append(near)
        if best.share > AGREED:
            last, off = best.camera, best.camera @ invert_rigid(asked[t])
        placed.append(last)
        found.append(best.share > AGREED)
    return FollowedPath(torch.stack(placed).float(), torch.tensor(found), torch.tensor(seen))


def enlarge_frame(frame: Tensor) -> Tensor:
    """A frame [H, W, 3] so large that flow is exact enough, if it is not."""
    height, width = frame.shape[:2]
    scale = max(LEAST_SIDE / max(height, width), 1)
    return resize_frame(frame, (round(scale * height), round(scale * width)))


def settle_camera(gray: Gray, mesh: DWMesh, cameras: CameraPath, t: int, near: Tensor) -> Step:
    """The best step towards the camera that a gray frame t shows, from one near it on; seen is as from there."""
    first = step = best = step_camera(gray, mesh, cameras, t, near)
    for _ in range(STEPS - 1):
        if step.pixels < SETTLED:
            break
        before, step = step, step_camera(gray, mesh, cameras, t, step.camera)
        best = max(best, step, key=lambda each: each.share)
        if step is not best and step.pixels > NEARER * before.pixels:
            break
    return best._replace(seen=first.seen)


def step_camera(gray: Gray, mesh: DWMesh, cameras: CameraPath, t: int, near: Tensor) -> Step:
    """The camera from which the mesh looks as a gray frame t, by the flow from how it looks from one near it."""
    source, size = int(cameras.source_frame[t]), (gray.shape[0], gray.shape[1])
    intrinsics = resize_intrinsics(cameras.intrinsics[t], cameras.size, size)
    drawn = raster.rasterize(mesh.depth[source], paint_vertices(mesh, source), mesh.intrinsics[source],
                             near.float() @ mesh.world_from_cam[source], intrinsics, size)
    hidden = (drawn.rgba[..., 3] <= VISIBLE_ALPHA) | (drawn.depth > FARTHEST * BORDER_DEPTH)
    seen = torch.from_numpy(shrink(drawn.rgba[..., :3].clamp(0, 1), SIDE)).float()
    drawing, blur = soften(fill_hidden(seen, hidden, gray), gray)
    flow = find_flow(drawing, gray)
    plain, alike = compare_windows(torch.from_numpy(drawing).float(), torch.from_numpy(gray).float(), ~hidden, blur)
    places = (pixel_centers(size) - 0.5)[::EVERY, ::EVERY].reshape(-1, 2).long()
    x, y = places.T
    matrix = intrinsics.double().numpy()
    depth = drawn.depth.masked_fill(grow(hidden, RIM) | plain, torch.inf)
    points, usable = lift_places(places.numpy() + 0.5, depth, matrix, size)
    target, trusted = flow.target[y, x][usable], flow.trusted[y, x][usable].numpy()
    share = len(points) / len(places)
    if trusted.sum() < FEWEST:
        return Step(near, 0.0, 0.0, share)
    pixel = 1 / float(matrix[0, 0])
    rays = to_rays(target.double().numpy()[trusted], matrix)
    (rotation, translation), _ = find_camera(points[trusted], rays, pixel, AT_REST, t)
    moves = (target - places[usable] - 0.5).norm(dim=-1)
    stay = (moves < REPROJECTION) & alike[y, x][usable] & torch.from_numpy(trusted)
    moved = rigid(torch.from_numpy(rotation), torch.from_numpy(translation[:, 0])) @ near
    return Step(moved, float(stay.sum() / len(points)), float(moves[trusted].median()), share)


def soften(drawing: Gray, frame: Gray) -> tuple[Gray, float]:
    """A drawing made as soft as a frame, and by how many pixels of blur: details that are not there mislead."""
    import cv2

    def sharpness(picture: Gray) -> float:
        return float(np.abs(cv2.Laplacian(picture, cv2.CV_32F, ksize=7)).mean())

    wanted = SHARPER * sharpness(frame)
    for blur in BLURS:
        softer = cv2.GaussianBlur(drawing, (0, 0), blur) if blur else drawing
        if sharpness(softer) <= wanted:
            break
    return softer, blur


def compare_windows(drawn: Tensor, frame: Tensor, seen: Tensor, blur: float) -> tuple[Tensor, Tensor]:
    """Where a drawing [H, W] is plain around a pixel, and where a frame [H, W] looks alike there, [H, W] bool.

    Both in levels of 255. Only what is seen [H, W] counts. blur: of both, pixels; the windows grow with it.
    """
    import cv2

    weight, side = seen.float(), LOOKED + 2 * round(WIDER * blur)
    count, first, second, squares, others, products = (
        torch.from_numpy(cv2.blur((weight * plane).numpy(), (side, side), borderType=cv2.BORDER_CONSTANT))
        for plane in (torch.ones_like(drawn), drawn, frame, drawn * drawn, frame * frame, drawn * frame))
    count = count.clamp(min=1e-6)
    spread, other = squares / count - (first / count) ** 2, others / count - (second / count) ** 2
    together = products / count - first * second / count**2
    return spread < PLAIN**2, together > ALIKE * (spread * other).clamp(min=1e-6).sqrt()


def fill_hidden(drawn: Tensor, hidden: Tensor, gray: Gray) -> Gray:
    """A drawing [H, W] made as bright as a gray frame, which fills what is hidden: holes mislead flow."""
    frame = torch.from_numpy(gray).float()
    lift = 0.0 if hidden.all() else (frame - drawn)[~hidden].median()
    return torch.where(hidden, frame, drawn + lift).clamp(0, 255).round().byte().numpy()


def camera_errors(followed: FollowedPath, cameras: CameraPath, nearest: float,
                  exact: FollowedPath | None = None) -> dict[str, Tensor]:
    """How far a video is from its path, per frame [T], NaN where too little is seen to tell, whatever the video shows.

    exact: the cameras that are found of the exact view. They stand for those asked for, so that by how much finding is
    off itself does not count; where none is found of it, none is judged.

    Rotation in degrees; translation and CamMC in lengths of the path, its largest distance from the first camera, or,
    where it stays in place, nearest, the distance of the nearest point; found: 1 or 0. Nothing is aligned or scaled
    first: both paths are in the world of the prior.
    """
    shown = invert_rigid(followed.cam_from_world.double())
    asked = invert_rigid(cameras.cam_from_world[:len(shown)].double())
    length = float((asked[:, :3, 3] - asked[0, :3, 3]).norm(dim=-1).max())
    length = length if length > MOVED * nearest else nearest
    if exact is not None:
        asked = invert_rigid(exact.cam_from_world[:len(shown)].double())
    chord = (shown - asked)[:, :3, :3].flatten(1).norm(dim=-1) / 8**0.5  # sin of half the angle, exact near 0 too
    apart = (shown - asked)[:, :3]
    apart[:, :, 3] /= length
    errors = {"rotation": torch.rad2deg(2 * chord.clamp(max=1).asin()),
              "translation": apart[:, :, 3].norm(dim=-1), "cammc": apart.flatten(1).norm(dim=-1),
              "found": followed.found.double()}
    judged = followed.seen >= JUDGED
    if exact is not None:
        judged &= exact.found[:len(shown)]
    return {name: values.masked_fill(~judged, torch.nan) for name, values in errors.items()}
