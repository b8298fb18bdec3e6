"""Laws of mesh files: other programs read the same surface and colors, in the axes they expect."""

import numpy as np
import pytest
import torch
import trimesh

from ex4d_ops import DWMesh
from ex4d_ops.depth import make_video_depth
from ex4d_ops.files import write_mesh
from ex4d_ops.files.meshes import gltf_from_world, linear_from_srgb
from ex4d_ops.mesh import build_dw_mesh


def make_mesh(frames: int = 2, size: tuple[int, int] = (9, 12)) -> DWMesh:
    generator = torch.Generator().manual_seed(0)
    depth = 4 + torch.rand(frames, *size, generator=generator)
    depth[:, 4:, 6:] = 2.0
    return build_dw_mesh(torch.rand(frames, *size, 3, generator=generator), make_video_depth(depth))


def load(path) -> trimesh.Trimesh:
    return trimesh.load(path, process=False, force="mesh")


@pytest.mark.parametrize("closed_ring", [False, True])
@pytest.mark.parametrize("suffix", [".ply", ".glb"])
def test_vertices_and_faces_come_back(tmp_path, suffix, closed_ring):
    mesh = make_mesh()
    write_mesh(tmp_path / f"mesh{suffix}", mesh, 1, closed_ring)
    loaded = load(tmp_path / f"mesh{suffix}")
    expected = mesh.vertices(1) if suffix == ".ply" else gltf_from_world(mesh.vertices(1))
    assert np.allclose(loaded.vertices, expected.numpy(), rtol=1e-5, atol=1e-5)
    assert np.array_equal(loaded.faces, mesh.faces(closed_ring).numpy())


def test_a_closed_ring_is_watertight_to_others_too(tmp_path):
    write_mesh(tmp_path / "ring.ply", make_mesh(), 0, closed_ring=True)
    write_mesh(tmp_path / "released.ply", make_mesh(), 0)
    assert load(tmp_path / "ring.ply").is_watertight and not load(tmp_path / "released.ply").is_watertight


def test_ply_colors_are_srgb_and_hidden_vertices_transparent(tmp_path):
    mesh = make_mesh()
    write_mesh(tmp_path / "mesh.ply", mesh, 0)
    colors = np.asarray(load(tmp_path / "mesh.ply").visual.vertex_colors)
    assert np.array_equal(colors[:, :3], (mesh.colors[0] * 255).round().reshape(-1, 3).numpy())
    assert np.array_equal(colors[:, 3] == 255, mesh.vertex_visible(0).reshape(-1).numpy())


def test_glb_colors_are_linear_in_16_bits(tmp_path):
    mesh = make_mesh()
    write_mesh(tmp_path / "mesh.glb", mesh, 0)
    stored = read_color_accessor((tmp_path / "mesh.glb").read_bytes(), mesh.depth[0].numel())
    expected = linear_from_srgb(mesh.colors[0]).reshape(-1, 3).numpy()
    assert np.abs(stored[:, :3] / 65535 - expected).max() < 1e-5
    assert np.array_equal(stored[:, 3] == 65535, mesh.vertex_visible(0).reshape(-1).numpy())


def read_color_accessor(data: bytes, count: int) -> np.ndarray:
    """The COLOR_0 accessor [count, 4] uint16 of a binary glTF, read by the format's own rules."""
    import json

    length = int.from_bytes(data[12:16], "little")
    tree, blob = json.loads(data[20 : 20 + length]), data[20 + length + 8 :]
    accessor = tree["accessors"][tree["meshes"][0]["primitives"][0]["attributes"]["COLOR_0"]]
    assert accessor["componentType"] == 5123 and accessor["count"] == count and accessor["normalized"]
    view = tree["bufferViews"][accessor["bufferView"]]
    start = view.get("byteOffset", 0) + accessor.get("byteOffset", 0)
    return np.frombuffer(blob[start : start + 8 * count], "<u2").reshape(count, 4)


def test_what_was_in_front_is_in_front_and_up_is_up():
    point = gltf_from_world(torch.tensor([1.0, 2.0, 3.0]))
    assert point.tolist() == [1.0, -2.0, -3.0]


@pytest.mark.parametrize("name, frame, sentence", [
    ("mesh.obj", 0, "is not a mesh file name; use .glb or .ply"),
    ("mesh", 0, "is not a mesh file name"),
    ("mesh.glb", 2, "there is no frame 2 in the mesh; use 0..1"),
])
def test_what_cannot_be_written_gets_one_sentence(tmp_path, name, frame, sentence):
    with pytest.raises(ValueError, match=sentence):
        write_mesh(tmp_path / name, make_mesh(), frame)
    assert list(tmp_path.iterdir()) == []
