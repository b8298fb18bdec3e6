"""What a mesh is like: whether it is closed, how much of it is hidden, how deep it reaches."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .mesh import DWMesh

CLOSED_GAP = 1e-4  # of the border's depth; float32 rounds its points by less


@dataclass(frozen=True)
class MeshReport:
    """Facts of one frame's mesh.

    open_edges: edges that are not in exactly two faces. gap: how far the border strays from the back faces that close
    it, scene units. behind_border: vertices that poke through the back. hidden: share of faces with O = 1. nearest,
    farthest: depth within the border, scene units. closed: nothing pokes through, and no edge is open by more than
    rounding. hidden_reach: see MeshRules; all else is of the mesh with hidden faces that reach all the way.
    """

    vertices: int
    faces: int
    open_edges: int
    gap: float
    behind_border: int
    hidden: float
    nearest: float
    farthest: float
    closed: bool
    hidden_reach: float | None = None

    def __str__(self) -> str:
        if self.open_edges == 0:
            closure = "watertight: every edge is in exactly two faces"
        else:
            verdict = "watertight in space" if self.closed else "not watertight"
            closure = f"{verdict}: {self.open_edges} edges have only one face, but touch the back within {self.gap:.2g}"
        if self.hidden_reach is not None:
            closure += (f"\nhidden faces are drawn to {self.hidden_reach:g} of the depth of their nearest corner "
                        "behind it; beyond, the surface is open")
        return (f"{self.vertices} vertices, {self.faces} faces, {self.hidden:.1%} of them hidden\n{closure}\n"
                f"depth {self.nearest:.4g} to {self.farthest:.4g}, {self.behind_border} vertices behind the border")


def inspect_mesh(mesh: DWMesh, t: int, closed_ring: bool = False) -> MeshReport:
    """Measure frame t of a mesh in the topology it would be exported with."""
    faces = mesh.faces(closed_ring)
    depth, border_depth = mesh.depth[t], float(mesh.depth[t, 0, 0])
    inside = depth[1:-1, 1:-1]
    open_edges = count_open_edges(faces, depth.numel())
    gap = 0.0 if closed_ring else border_gap(mesh.vertices(t).reshape(*mesh.size, 3))
    behind = int((inside > border_depth).sum())
    closed = behind == 0 and (open_edges == 0 or gap <= CLOSED_GAP * border_depth)
    return MeshReport(depth.numel(), len(faces), open_edges, gap, behind, float(mesh.occluded[t].float().mean()),
                      float(inside.min()), float(inside.max()), closed, mesh.hidden_reach)


def count_open_edges(faces: Tensor, vertices: int) -> int:
    """How many edges of faces [F, 3] are not in exactly two of them."""
    edges = torch.cat([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).long()
    low, high = edges.amin(1), edges.amax(1)
    _, counts = (low * vertices + high).unique(return_counts=True)
    return int((counts != 2).sum())


def border_gap(points: Tensor) -> float:
    """How far the border of a grid of points [H, W, 3] strays from the straight lines between its corners."""
    sides = (points[0], points[-1], points[:, 0], points[:, -1])
    return max(float(distance_from_chord(side.cpu().double()).max()) for side in sides)


def distance_from_chord(points: Tensor) -> Tensor:
    """Distance of points [N, 3] from the line through the first and the last."""
    along = torch.nn.functional.normalize(points[-1] - points[0], dim=0)
    offset = points - points[0]
    return (offset - (offset @ along)[:, None] * along).norm(dim=1)
