"""Meshes as GLB and PLY with vertex colors, through trimesh."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..camera import flip_yz
from ..mesh import DWMesh, drawn_surface
from .whole import written_whole

UNSIGNED_SHORT = 5123  # glTF component type


def write_mesh(path: str | Path, mesh: DWMesh, t: int, closed_ring: bool = False) -> None:
    """Write frame t of a mesh as GLB (glTF axes, linear colors, unlit) or PLY (our axes, sRGB colors).

    What is written is what is drawn: see drawn_surface, of hidden faces and of closed_ring. Raises ValueError, or
    OSError where the disk is full or the folder not writable.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in (".glb", ".ply"):
        raise ValueError(f"{path}: is not a mesh file name; use .glb or .ply")
    if not 0 <= t < len(mesh):
        raise ValueError(f"{path}: there is no frame {t} in the mesh; use 0..{len(mesh) - 1}")
    points, colors, faces = (part.cpu() for part in drawn_surface(mesh, t, closed_ring))
    write = as_glb if suffix == ".glb" else as_ply
    with written_whole(path) as part:
        part.write_bytes(write(points, faces.numpy(), colors))


def as_ply(points: Tensor, faces: np.ndarray, colors: Tensor) -> bytes:
    """A binary PLY of points [V, 3] and sRGB colors with alpha [V, 4]."""
    import trimesh
    from trimesh.exchange.ply import export_ply

    stored = (colors * 255).round().to(torch.uint8).numpy()
    return export_ply(trimesh.Trimesh(points.numpy(), faces, vertex_colors=stored, process=False))


def as_glb(points: Tensor, faces: np.ndarray, colors: Tensor) -> bytes:
    """A binary glTF of points [V, 3] and sRGB colors with alpha [V, 4]: seen as it is, without lights."""
    import trimesh
    from trimesh.exchange.gltf import export_glb

    linear = torch.cat([linear_from_srgb(colors[:, :3]), colors[:, 3:]], -1)

    def finish(buffers: dict, tree: dict) -> None:
        primitive = tree["meshes"][0]["primitives"][0]
        accessor = list(tree["accessors"].values())[primitive["attributes"]["COLOR_0"]]
        accessor["componentType"] = UNSIGNED_SHORT  # in 8 bits, linear colors lose what is dark
        buffers[list(buffers)[accessor["bufferView"]]] = (linear * 65535).round().numpy().astype("<u2").tobytes()
        primitive["material"] = 0
        tree["materials"] = [{"alphaMode": "MASK", "doubleSided": True, "extensions": {"KHR_materials_unlit": {}}}]
        tree["extensionsUsed"] = ["KHR_materials_unlit"]

    marked = np.zeros((len(points), 4), np.uint8)  # so that there are colors for `finish` to put in place
    mesh = trimesh.Trimesh(gltf_from_world(points).numpy(), faces, vertex_colors=marked, process=False)
    return export_glb(trimesh.Scene(mesh), buffer_postprocessor=finish)


def gltf_from_world(points: Tensor) -> Tensor:
    """Points [..., 3] in glTF axes: y up, z back."""
    return flip_yz(points)


def linear_from_srgb(colors: Tensor) -> Tensor:
    """Linear light of sRGB colors in [0, 1]. IEC 61966-2-1."""
    return torch.where(colors <= 0.04045, colors / 12.92, ((colors + 0.055) / 1.055) ** 2.4)
