"""The mesh of a depth grid as a target image sees it: what every engine shares."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from . import NEAR, Fragments

SNAP = 1.5 * 2.0**38  # added and taken away again, it rounds a float64 to 1/2^14 px


def pixels_from_grid(intrinsics: Tensor, cam_from_mesh: Tensor, cam_intrinsics: Tensor) -> Tensor:
    """The map [3, 4] float64 from a grid to homogeneous target pixels.

    Vertex (i, j) at depth d goes to (x z, y z, z) = map @ (j d, i d, d, 1): z in the target camera, and
    (x, y) counted so that whole numbers are pixel centres.
    """
    pixels_from_cam = center_on_pixels(cam_intrinsics) @ cam_from_mesh[:3].double()
    rays_from_grid = torch.linalg.inv_ex(center_on_pixels(intrinsics)).inverse  # inv waits for a GPU
    return torch.cat([pixels_from_cam[:, :3] @ rays_from_grid, pixels_from_cam[:, 3:]], -1)


def center_on_pixels(intrinsics: Tensor) -> Tensor:
    """Intrinsics [3, 3] float64 whose whole numbers are pixel centres and not pixel corners."""
    centered = intrinsics.double().clone()
    centered[:2, 2] -= 0.5
    return centered


def make_opaque(rgb: Tensor) -> Tensor:
    """Colors [..., 3] with an alpha of 1, [..., 4]."""
    return pad(rgb, (0, 1), value=1.0)


def hide(drawn: Fragments, hidden: Tensor) -> Fragments:
    """What was drawn of opaque faces, its alpha 0 where they are hidden; see rasterize."""
    drawn.rgba[..., 3].masked_fill_(~face_visible(hidden, drawn.face), 0)
    return drawn


def face_visible(hidden: Tensor, face: Tensor) -> Tensor:
    """Whether the face [h, w] hit by each pixel is not a hidden one; nothing hit and the back are not visible."""
    no = hidden.new_zeros(2)
    visible = torch.cat([no[:1], ~hidden.permute(2, 0, 1).reshape(-1), no])  # nothing (-1), faces, the back's two
    return visible.index_select(0, face.reshape(-1) + 1).view(face.shape)


def face_vertices(face: Tensor, size: tuple[int, int]) -> Tensor:
    """Vertices [..., 3] int64 of faces [...] int64 of a grid of size (H, W): rows of mesh.grid_faces."""
    height, width = size
    quads = (height - 1) * (width - 1)
    quad, lower = face % quads, (face >= quads).long()
    top_left = quad // (width - 1) * width + quad % (width - 1)
    vertices = torch.stack([top_left + width, top_left + lower, top_left + 1 + lower * width], -1)
    left, right, last = 0, width - 1, height * width - 1
    back = face.new_tensor([[right, left, last], [last, left, last - right]])
    closing = face >= 2 * quads
    return torch.where(closing[..., None], back[(face - 2 * quads).clamp(0, 1)], vertices)


def place_vertices(depth: Tensor, pixels_from_grid: Tensor) -> Tensor:
    """Where the vertices of depth [H, W] lie in the target: [H*W, 4] float64, homogeneous.

    Beyond NEAR (x, y, 1, 1/z), with x and y rounded to float32 and to 1/2^14 px: so edge functions between them
    have exact signs in float64, and faces that share an edge leave no gap. Otherwise (x z, y z, z, 1).
    """
    height, width = depth.shape
    i = torch.arange(height, device=depth.device, dtype=torch.float64)[:, None, None]
    j = torch.arange(width, device=depth.device, dtype=torch.float64)[:, None]
    across, down, once, offset = pixels_from_grid.unbind(-1)
    points = depth.double()[..., None] * (across * j + down * i + once) + offset  # (x z, y z, z)
    points = torch.cat([points, torch.ones_like(points[..., :1])], -1).reshape(-1, 4)
    ahead = points[:, 2:3] >= NEAR
    placed = points / torch.where(ahead, points[:, 2:3], 1)
    placed[:, :2] = torch.where(ahead, (placed[:, :2] + SNAP - SNAP).float().double(), placed[:, :2])
    return placed


def cut_faces(vertices: Tensor, faces: Tensor, depth: Tensor, limits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Vertices [V, A], faces [F, 3] int32 and whose part each of them is [F] int32, after those are cut off.

    vertices: of numbers that are linear in space, the first those of the grid; depth: [H*W] in the grid's camera;
    limits: [N] of the first faces, those after them stay whole. A face that reaches beyond its limit gives way to two
    triangles, the part before it; what lies all beyond is dropped.
    """
    nearest, farthest = depth[faces[:len(limits)].long()].aminmax(dim=1)
    whole = torch.cat([farthest <= limits, limits.new_ones(len(faces) - len(limits)).bool()])
    cut = ((nearest <= limits) & (farthest > limits)).nonzero()[:, 0]
    corners = faces[cut].long()
    near, middle, far = corners.gather(1, depth[corners].argsort(1)).unbind(1)

    def cross_limit(start: Tensor, end: Tensor) -> Tensor:
        """Vertices [N, A] on the edges start end, where these pass the limit."""
        share = (limits[cut] - depth[start]) / (depth[end] - depth[start])
        return torch.lerp(vertices[start], vertices[end], share[:, None])

    beyond = (depth[middle] > limits[cut])[:, None]
    last = cross_limit(near, far)
    first = torch.where(beyond, cross_limit(near, middle), vertices[middle])
    second = torch.where(beyond, last, cross_limit(middle, far))
    added = len(vertices) + torch.arange(3 * len(cut), device=depth.device).view(3, -1)
    parts = [torch.stack([near, added[0], added[1]], 1), torch.stack([near, added[1], added[2]], 1)]
    owner = torch.cat([whole.nonzero()[:, 0], cut, cut])
    return (torch.cat([vertices, first, second, last]), torch.cat([faces[whole], *parts]).int(), owner.int())
