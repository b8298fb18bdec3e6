"""The Depth Watertight Mesh: a frame's visible surface closed by a border far away, hidden faces marked.

The grid is implicit: vertex (i, j) is pixel (i, j) lifted to its depth, and every quad of neighbours
holds two faces, {(i+1, j), (i, j), (i, j+1)} and {(i+1, j), (i, j+1), (i+1, j+1)}. Two large faces over
the four corners close the back. Paper section 4.1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .camera import check_tensor, lift, transform
from .clip import Progress, size_of
from .depth import VideoDepth
from .parallel import each_frame
from .raster.grid import cut_faces
from .reach import GAP, hidden_limits
from .rules import MeshRules

BOUNDARY_SLOPE = 2.0  # depth over image-plane extent of a face; released filter "boundary"
FARTHEST_INSIDE = 0.9999  # of border_depth; in the very plane of the back faces, sky would flicker with them
PIXELS_AT_ONCE = 1 << 16  # of a frame on a CPU: what is computed from them stays in its cache
PIXELS_OF_A_GPU = 1 << 22  # of frames at once: it takes as long to be told what to do with few


@dataclass(frozen=True, eq=False)
class DWMesh:
    """One watertight mesh per frame on the implicit grid.

    depth: [T, H, W] float32, border at border_depth; colors: [T, H, W, 3] float32 in [0, 1], sRGB;
    occluded: [T, H-1, W-1, 2] bool, the attribute O of each face of each quad;
    intrinsics: [T, 3, 3]; world_from_cam: [T, 4, 4]; hidden_reach: see MeshRules.
    """

    depth: Tensor
    colors: Tensor
    occluded: Tensor
    intrinsics: Tensor
    world_from_cam: Tensor
    hidden_reach: float | None = None

    def __post_init__(self) -> None:
        frames, height, width = self.depth.shape
        check_tensor("depth", self.depth, (frames, height, width))
        check_tensor("colors", self.colors, (frames, height, width, 3), like=self.depth)
        check_tensor("occluded", self.occluded, (frames, height - 1, width - 1, 2), torch.bool, like=self.depth)
        check_tensor("intrinsics", self.intrinsics, (frames, 3, 3), like=self.depth)
        check_tensor("world_from_cam", self.world_from_cam, (frames, 4, 4), like=self.depth)

    def __len__(self) -> int:
        return self.depth.shape[0]

    @property
    def size(self) -> tuple[int, int]:
        return size_of(self.depth)

    @property
    def nearest(self) -> float:
        """The smallest depth of frame 0, in scene units."""
        return float(self.depth[0].min())

    def vertices(self, t: int) -> Tensor:
        """World positions of frame t's vertices, [H*W, 3], row by row."""
        return transform(self.world_from_cam[t], lift(self.depth[t], self.intrinsics[t])).reshape(-1, 3)

    def faces(self, closed_ring: bool = False) -> Tensor:
        """Vertex indices of every face, [F, 3] int32: see grid_faces."""
        return grid_faces(self.size, closed_ring, self.depth.device)

    def visible_faces(self, t: int) -> Tensor:
        """The faces of frame t that are not hidden, without the back, [F, 3] int32."""
        hidden = self.occluded[t].permute(2, 0, 1).reshape(-1)
        return self.faces()[:-2][~hidden]

    def vertex_visible(self, t: int) -> Tensor:
        """Which vertices of frame t touch no hidden face, [H, W] bool. Released texture rule."""
        return ~touched_vertices(self.occluded[t])

    def limits(self, t: int) -> Tensor | None:
        """How deep each face of frame t is drawn, [H-1, W-1, 2], see raster.rasterize; None where all are whole."""
        if self.hidden_reach is None:
            return None
        return hidden_limits(self.depth[t], self.occluded[t], self.intrinsics[t], self.hidden_reach)


def build_dw_mesh(frames: Tensor, depth: VideoDepth, rules: MeshRules = MeshRules(),
                  progress: Progress | None = None, first: Tensor | None = None) -> DWMesh:
    """Build one watertight mesh per frame. frames: [T, H, W, 3] in [0, 1]. Paper section 4.1.

    progress: as in render_prior. first: depth [H, W] of the clip's frame 0, where these are others of its frames.
    Raises ValueError where frames and depth differ in length or size.
    """
    if frames.shape[:3] != depth.depth.shape:
        raise ValueError(f"depth: {describe_clip(depth.depth.shape)}, but the frames are "
                         f"{describe_clip(frames.shape)}; resize or trim one to the other")
    if rules.min_confidence is not None and depth.confidence is None:
        raise ValueError("min_confidence: this depth does not say how sure it is; use depth by Depth Anything 3 Small "
                         "or Base, or leave min_confidence off")
    first = depth.depth[0] if first is None else first
    limit = None if rules.depth_jump is None else rules.depth_jump * depth_range(first)
    closed, lenses = torch.empty_like(depth.depth), depth.intrinsics.cpu()  # a GPU does not wait for each frame's
    count, height, width = closed.shape
    occluded = torch.empty(count, height - 1, width - 1, 2, dtype=torch.bool, device=closed.device)

    alike = closed.device.type != "cpu" and bool((lenses == lenses[0]).all())
    at_once = max(PIXELS_OF_A_GPU // (height * width), 1) if alike else 1

    def build(t: int) -> None:
        if t % at_once:
            return  # built with those before it
        these = slice(t, t + at_once)
        closed[these] = close_border(depth.depth[these], rules)
        occluded[these] = occluded_faces(closed[these], lenses[t], rules, limit)
        if rules.min_confidence is not None and depth.confidence is not None:
            occluded[these] |= faces_touching(depth.confidence[these] < rules.min_confidence)

    each_frame(build, count, closed.device, progress)
    return DWMesh(closed, frames, occluded, depth.intrinsics, depth.world_from_cam, rules.hidden_reach)


def describe_clip(shape) -> str:
    return f"{shape[0]} frames of {shape[2]}x{shape[1]}"


def depth_range(depth: Tensor) -> float:
    """Largest minus smallest finite depth, the D_0 range of paper 4.1."""
    finite = depth[torch.isfinite(depth)]
    return float(finite.max() - finite.min())


def close_border(depth: Tensor, rules: MeshRules) -> Tensor:
    """Depth [..., H, W] with the border at border_depth and, if clamped, all else, sky too, just before it."""
    wall = rules.border_depth
    if rules.clamp:
        closed = depth.clamp(max=FARTHEST_INSIDE * wall)
    else:
        closed = torch.where(torch.isinf(depth), FARTHEST_INSIDE * wall, depth)
    closed[..., 0, :], closed[..., -1, :], closed[..., 0], closed[..., -1] = wall, wall, wall, wall
    return closed


def open_surface(mesh: DWMesh, t: int) -> Tensor:
    """Depth [H, W] of frame t without what closes it: infinite in the sky, along the border that of what is inside."""
    inside = torch.nn.functional.pad(mesh.depth[t, 1:-1, 1:-1][None, None], (1, 1, 1, 1), mode="replicate")[0, 0]
    return inside.masked_fill(inside >= FARTHEST_INSIDE * mesh.depth[t, 0, 0], torch.inf)


def occluded_faces(depth: Tensor, intrinsics: Tensor, rules: MeshRules, limit: float | None = None) -> Tensor:
    """The attribute O of the two faces of every quad of depth [..., H, W]: [..., H-1, W-1, 2] bool.

    limit: the depth jump in scene units above which a face is hidden too, None for no such test.
    """
    *frames, height, width = depth.shape
    hidden = torch.empty(*frames, height - 1, width - 1, 2, dtype=torch.bool, device=depth.device)
    test = steep_faces if rules.filter == "boundary" else sharp_faces
    rows = max(PIXELS_AT_ONCE // width, 1) if depth.device.type == "cpu" else height
    for first in range(0, height - 1, rows):
        lowered = intrinsics.clone()
        lowered[1, 2] -= first
        test(depth[..., first : first + rows + 1, :], lowered, rules, hidden[..., first : first + rows, :, :])
    if rules.filter == "gap":
        hidden |= torn_faces(depth)
    if limit is not None:
        upper, lower = face_extents(depth)
        hidden[..., 0] |= upper > limit
        hidden[..., 1] |= lower > limit
    return hidden


def sharp_faces(depth: Tensor, intrinsics: Tensor, rules: MeshRules, hidden: Tensor) -> None:
    """Write into hidden [..., H-1, W-1, 2] which faces have an angle below rules.min_angle. Paper 4.1.

    Works on squared side lengths: the smallest angle lies between the two longest sides p and q, opposite the
    shortest s, and is too small where p + q - s > 2 cos(min_angle) sqrt(p q). No arccosine, no gathered vertices.
    """
    across, down, diagonal = squared_sides(depth, intrinsics)
    threshold = 4 * math.cos(math.radians(rules.min_angle)) ** 2
    for k, (a, b) in enumerate(((across[..., :-1, :], down[..., :-1]), (across[..., 1:, :], down[..., 1:]))):
        shorter, longer = torch.minimum(a, b), torch.maximum(a, b)
        shortest = torch.minimum(shorter, diagonal)
        longest = torch.maximum(longer, diagonal)
        middle = torch.maximum(shorter, torch.minimum(longer, diagonal))
        excess = longest + middle - shortest
        torch.gt(excess.square_(), longest.mul_(middle).mul_(threshold), out=hidden[..., k])


def squared_sides(depth: Tensor, intrinsics: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Squared lengths of every grid edge of depth [..., H, W]: across [..., H, W-1], down, and diagonal.

    The diagonal joins (i+1, j) and (i, j+1), as both faces of a quad do. Each is built from the depth step
    along the edge and not from the difference of two lifted points, so that nothing cancels far away.
    """
    height, width = depth.shape[-2:]
    (fx, _, cx), (_, fy, cy), _ = intrinsics.tolist()
    x = (torch.arange(width, device=depth.device) + (0.5 - cx)) / fx  # the ray through a vertex is (x, y, 1)
    y = ((torch.arange(height, device=depth.device) + (0.5 - cy)) / fy)[:, None]
    upper, lower, right = depth[..., :-1, :], depth[..., 1:, :], depth[..., 1:]

    step = right - depth[..., :-1]
    across = (step * x[:-1]).add_(right, alpha=1 / fx).square_().addcmul_(step.square_(), 1 + y * y)
    step = lower - upper
    down = (step * y[:-1]).add_(lower, alpha=1 / fy).square_().addcmul_(step.square_(), 1 + x * x)
    step = lower[..., :-1] - upper[..., 1:]
    sideways = (step * x[1:]).add_(lower[..., :-1], alpha=-1 / fx).square_()
    diagonal = (step * y[:-1]).add_(lower[..., :-1], alpha=1 / fy).square_().add_(sideways).add_(step.square_())
    return across, down, diagonal


def steep_faces(depth: Tensor, intrinsics: Tensor, rules: MeshRules, hidden: Tensor) -> None:
    """Write into hidden [..., H-1, W-1, 2] where max |dz| / max(max |dx|, max |dy|) > 2. Released filter "boundary"."""
    points = lift(depth, intrinsics.to(depth.device))
    extents = [face_extents(points[..., axis]) for axis in range(3)]
    for k in range(2):
        dx, dy, dz = (extent[k] for extent in extents)
        hidden[..., k] = dz > BOUNDARY_SLOPE * torch.maximum(dx, dy)


def torn_faces(depth: Tensor) -> Tensor:
    """The faces [..., H-1, W-1, 2] across a gap, however small: surfaces are bridged there that do not touch.

    1 / depth is linear across a plane, and over an edge where two meet its step lies between those on either side. A
    step beyond both by more than GAP leads from one surface to another.
    """
    inverse = 1 / depth
    across, down = torn_edges(inverse), torn_edges(inverse.mT).mT
    return torch.stack([across[..., :-1, :] | down[..., :-1], across[..., 1:, :] | down[..., 1:]], -1)


def torn_edges(inverse: Tensor) -> Tensor:
    """Which steps to the right in 1 / depth [..., W] lead across a gap, [..., W-1]; at borders they have one side."""
    step = inverse.diff(dim=-1)
    before = torch.cat([step[..., :1], step[..., :-1]], -1)
    after = torch.cat([step[..., 1:], step[..., -1:]], -1)
    excess = torch.maximum(step - torch.maximum(before, after), torch.minimum(before, after) - step)
    return excess > GAP * torch.minimum(inverse[..., :-1], inverse[..., 1:])


def face_extents(values: Tensor) -> tuple[Tensor, Tensor]:
    """Largest minus smallest of values [..., H, W] over the vertices of upper and lower face of every quad."""
    a, b, c, d = corners_of(values)
    shared_low, shared_high = torch.minimum(b, c), torch.maximum(b, c)
    upper = torch.maximum(shared_high, a) - torch.minimum(shared_low, a)
    lower = torch.maximum(shared_high, d) - torch.minimum(shared_low, d)
    return upper, lower


def faces_touching(vertices: Tensor) -> Tensor:
    """The faces [..., H-1, W-1, 2] that have one of vertices [..., H, W]."""
    a, b, c, d = corners_of(vertices)
    return torch.stack([a | b | c, b | c | d], -1)


def corners_of(vertices: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The four corners, a b over c d, of every quad of vertices [..., H, W]."""
    upper, lower = vertices[..., :-1, :], vertices[..., 1:, :]
    return upper[..., :-1], upper[..., 1:], lower[..., :-1], lower[..., 1:]


def touched_vertices(occluded: Tensor) -> Tensor:
    """Vertices [H, W] bool of the hidden faces of occluded [H-1, W-1, 2]."""
    upper, lower = occluded[..., 0], occluded[..., 1]
    either = upper | lower
    touched = torch.nn.functional.pad(upper, (0, 1, 0, 1))  # (i, j) of the upper face
    touched[:-1, 1:] |= either
    touched[1:, :-1] |= either
    touched[1:, 1:] |= lower
    return touched


def drawn_surface(mesh: DWMesh, t: int, closed_ring: bool = False) -> tuple[Tensor, Tensor, Tensor]:
    """World points [V, 3], RGBA [V, 4] and faces [F, 3] int32 of frame t as it is drawn, alpha 0 where it is hidden.

    Where hidden faces reach all the way, that is every vertex of one, as released. Where they end before, they are cut
    off there and have corners of their own, so that visible faces are colored whole. closed_ring: see grid_faces.
    """
    points, colors, faces = mesh.vertices(t), mesh.colors[t].reshape(-1, 3), mesh.faces(closed_ring)
    limits = mesh.limits(t)
    if limits is None:
        return points, torch.cat([colors, mesh.vertex_visible(t).reshape(-1, 1).float()], -1), faces
    vertices = torch.cat([points, colors, torch.ones_like(points[:, :1])], -1)
    hidden = torch.ones(len(faces), dtype=torch.bool, device=faces.device)  # the back too
    hidden[:limits.numel()] = mesh.occluded[t].permute(2, 0, 1).reshape(-1)
    vertices, faces, owner = cut_faces(vertices, faces, mesh.depth[t].reshape(-1), limits.permute(2, 0, 1).reshape(-1))
    hidden = hidden[owner.long()]
    own, corners = faces[hidden].long().unique(return_inverse=True)
    faces[hidden] = (len(vertices) + corners).int()
    copies = vertices[own] * vertices.new_tensor([1, 1, 1, 1, 1, 1, 0])
    vertices = torch.cat([vertices, copies])
    return vertices[:, :3], vertices[:, 3:], faces


def occluded_share(occluded: Tensor) -> Tensor:
    """How much of the surface around every vertex is hidden, [H, W] in [0, 1], of occluded [H-1, W-1, 2]."""
    quads = occluded.float().mean(-1)[None]
    return torch.nn.functional.avg_pool2d(quads, 2, stride=1, padding=1, count_include_pad=False)[0]


def grid_faces(size: tuple[int, int], closed_ring: bool = False, device=None) -> Tensor:
    """Faces [F, 3] int32 in the released order: every quad's first, every quad's second, then the back.

    The back is two faces over the four corners, which close the border geometrically (T-junctions). With closed_ring it
    is triangulated through every border vertex instead, so that each edge belongs to exactly two faces.
    """
    height, width = size
    index = torch.arange(height * width, dtype=torch.int32, device=device).reshape(height, width)
    a, b, c, d = corners_of(index)
    upper = torch.stack([c, a, b], -1).reshape(-1, 3)
    lower = torch.stack([c, b, d], -1).reshape(-1, 3)
    return torch.cat([upper, lower, ring_back(index) if closed_ring else corner_back(index)])


def corner_back(index: Tensor) -> Tensor:
    """The two released closing faces over the corners of the vertex grid index [H, W]."""
    top_left, top_right, bottom_left, bottom_right = index[0, 0], index[0, -1], index[-1, 0], index[-1, -1]
    return torch.stack([torch.stack([top_right, top_left, bottom_right]),
                        torch.stack([bottom_right, top_left, bottom_left])])


def ring_back(index: Tensor) -> Tensor:
    """A back wall through every border vertex of the grid index [H, W]: two side fans and a strip between them.

    Its slanted edges lean against the diagonals of the quads, so that none coincides with an edge of the front.
    """
    top, bottom, left, right = index[0], index[-1], index[:, 0], index[:, -1]
    left_fan = torch.stack([left[:-1], left[1:], bottom[1].expand(len(left) - 1)], -1)
    right_fan = torch.stack([right[1:], right[:-1], top[-2].expand(len(right) - 1)], -1)
    strip_top = torch.stack([top[1:-1], top[:-2], bottom[2:]], -1)
    strip_bottom = torch.stack([bottom[1:-1], bottom[2:], top[:-2]], -1)
    return torch.cat([left_fan, right_fan, strip_top, strip_bottom])
