"""Cameras out of glTF scenes: axes, chains of nodes, animation, lenses, and scenes that are broken."""

import base64
import json
import struct

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation, Slerp

from ex4d_ops.files import read_path, write_mesh
from ex4d_ops.mesh import build_dw_mesh
from ex4d_ops.scene import sample_clip

SIZE = (48, 64)
FLIP = np.diag([1.0, -1, -1])  # between glTF's axes, y up and z back, and ours
TURNS = Rotation.from_euler("xyz", [[0, 0, 0], [10, 50, -20], [-30, 120, 15]], degrees=True)
PLACES = np.array([[0.0, 0, 0], [1, 2, -3], [-2, 0.5, 4]])
TIMES = [0.0, 0.5, 2.0]


def scene_of(nodes, tracks=(), camera=None, interpolation="LINEAR"):
    """A scene whose data stands in the JSON. tracks: (node, path, times, values)."""
    data, views, accessors, channels, samplers = b"", [], [], [], []
    for node, path, times, values in tracks:
        for numbers in (np.array(times, "<f4").reshape(-1, 1), np.array(values, "<f4")):
            kind = {1: "SCALAR", 3: "VEC3", 4: "VEC4"}[numbers.shape[-1]]
            views.append({"buffer": 0, "byteOffset": len(data), "byteLength": numbers.nbytes})
            accessors.append({"bufferView": len(views) - 1, "componentType": 5126, "type": kind,
                              "count": numbers.size // numbers.shape[-1]})
            data += numbers.tobytes()
        samplers.append({"input": len(accessors) - 2, "output": len(accessors) - 1, "interpolation": interpolation})
        channels.append({"sampler": len(samplers) - 1, "target": {"node": node, "path": path}})
    scene = {"asset": {"version": "2.0"}, "nodes": nodes, "bufferViews": views, "accessors": accessors,
             "cameras": [camera or {"type": "perspective", "perspective": {"yfov": 1.0, "znear": 0.1}}],
             "buffers": [{"byteLength": len(data), "uri": "data:application/octet-stream;base64,"
                          + base64.b64encode(data).decode()}]}
    return scene | ({"animations": [{"channels": channels, "samplers": samplers}]} if channels else {})


def write_scene(file, scene) -> None:
    file.write_text(json.dumps(scene))


def moving_camera(**more):
    tracks = [(0, "rotation", TIMES, TURNS.as_quat()), (0, "translation", TIMES, PLACES)]
    return scene_of([{"name": "Camera", "camera": 0}], tracks, **more)


def assert_places(path, turns, places):
    expected = np.tile(np.eye(4), (len(places), 1, 1))
    expected[:, :3, :3], expected[:, :3, 3] = FLIP @ turns.as_matrix() @ FLIP, places @ FLIP
    assert torch.allclose(path.cam_from_world, torch.from_numpy(np.linalg.inv(expected)).float(), atol=1e-5)


@pytest.mark.parametrize("frames", [None, 3, 9, 21])
def test_an_animated_camera_runs_straight_and_along_the_shortest_arc(tmp_path, frames):
    write_scene(tmp_path / "a.gltf", moving_camera())
    at = np.array(TIMES) if frames is None else np.linspace(0, 2, frames)
    path = read_path(tmp_path / "a.gltf", SIZE, frames)
    assert_places(path, Slerp(TIMES, TURNS)(at), np.stack([np.interp(at, TIMES, PLACES[:, k]) for k in range(3)], 1))


def test_steps_hold_and_splines_follow_their_tangents(tmp_path):
    write_scene(tmp_path / "s.gltf", moving_camera(interpolation="STEP"))
    assert_places(read_path(tmp_path / "s.gltf", SIZE, 5), TURNS[[0, 1, 1, 1, 2]], PLACES[[0, 1, 1, 1, 2]])
    line = np.array([[1.0, 0, 2], [1, 0, 2], [1, 0, 2]])  # a straight way: place and both tangents at every key
    keys = np.stack([np.stack([line[0], line[0] * time, line[0]]) for time in TIMES])
    write_scene(tmp_path / "c.gltf", scene_of([{"camera": 0}], [(0, "translation", TIMES, keys)],
                                              interpolation="CUBICSPLINE"))
    eye = read_path(tmp_path / "c.gltf", SIZE, 5).eye.numpy()
    assert np.allclose(eye, np.linspace(0, 2, 5)[:, None] * line[0] @ FLIP, atol=1e-5)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.floats(-180, 180), min_size=6, max_size=6), st.lists(st.floats(-9, 9), min_size=6, max_size=6),
       st.floats(0.01, 100))
def test_nodes_above_the_camera_carry_it_and_their_scale_moves_but_does_not_stretch_it(tmp_path_factory, turned, placed,
                                                                                      scale):
    outer, inner = Rotation.from_euler("xyz", turned[:3], True), Rotation.from_euler("xyz", turned[3:], True)
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = inner.as_matrix(), placed[3:]
    nodes = [{"name": "Camera", "camera": 0, "matrix": matrix.T.ravel().tolist()},
             {"children": [0], "translation": placed[:3], "rotation": outer.as_quat().tolist(), "scale": [scale] * 3}]
    file = tmp_path_factory.mktemp("chain") / "a.gltf"
    write_scene(file, scene_of(nodes))
    path = read_path(file, SIZE)
    eye = np.array(placed[:3]) + scale * outer.apply(placed[3:])
    assert np.allclose(path.eye[0].numpy(), FLIP @ eye, atol=1e-4 * (1 + scale))
    assert np.allclose(path.cam_from_world[0, 2, :3].numpy(), FLIP @ (outer * inner).apply([0, 0, -1]), atol=1e-5)


@settings(deadline=None, max_examples=40)
@given(st.floats(0.1, 3.0), st.floats(0.3, 3.0), st.integers(16, 2000), st.integers(16, 2000))
def test_every_view_keeps_its_shape_and_covers_the_picture(tmp_path_factory, view, shape, height, width):
    file = tmp_path_factory.mktemp("lens") / "a.gltf"
    lens = {"type": "perspective", "perspective": {"yfov": view, "aspectRatio": shape}}
    write_scene(file, scene_of([{"camera": 0}], camera=lens))
    path = read_path(file, (height, width))
    seen = max(height, width / shape)  # height of the camera's own picture, scaled to cover
    assert path.intrinsics[0, 0, 0] == pytest.approx(seen / 2 / np.tan(view / 2), rel=1e-5)
    assert path.intrinsics[0, 1, 1] == pytest.approx(seen / 2 / np.tan(view / 2), rel=1e-5)


def as_glb(scene) -> bytes:
    data = base64.b64decode(scene["buffers"][0].pop("uri").partition(",")[2])
    text = json.dumps(scene).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<II", len(text), 0x4E4F534A) + text + struct.pack("<II", len(data), 0x004E4942) + data
    return b"glTF" + struct.pack("<II", 2, 12 + len(chunks)) + chunks


def test_a_glb_is_the_same_scene(tmp_path):
    write_scene(tmp_path / "a.gltf", moving_camera())
    (tmp_path / "a.glb").write_bytes(as_glb(moving_camera()))
    first, second = (read_path(tmp_path / name, SIZE) for name in ("a.gltf", "a.glb"))
    assert torch.equal(first.cam_from_world, second.cam_from_world) and torch.equal(first.intrinsics, second.intrinsics)


def test_data_beside_the_scene_is_read_and_nothing_elsewhere(tmp_path):
    (tmp_path / "inner").mkdir()
    scene = moving_camera()
    data = base64.b64decode(scene["buffers"][0]["uri"].partition(",")[2])
    for place in (tmp_path / "inner" / "a.bin", tmp_path / "outside.bin"):
        place.write_bytes(data)
    (tmp_path / "inner" / "link.bin").symlink_to(tmp_path / "outside.bin")
    for name in ("a.bin", "../outside.bin", str(tmp_path / "outside.bin"), "link.bin", "", 3):
        scene["buffers"][0]["uri"] = name
        write_scene(tmp_path / "inner" / "a.gltf", scene)
        if name == "a.bin":
            assert len(read_path(tmp_path / "inner" / "a.gltf", SIZE)) == 3
        else:
            with pytest.raises(ValueError, match="is not in its folder"):
                read_path(tmp_path / "inner" / "a.gltf", SIZE)


def test_one_of_several_cameras_is_named(tmp_path):
    nodes = [{"name": "Left", "camera": 0, "translation": [-1, 0, 0]}, {"camera": 0, "translation": [1, 0, 0]}]
    write_scene(tmp_path / "a.gltf", scene_of(nodes))
    assert read_path(tmp_path / "a.gltf", SIZE, camera="Left").eye[0, 0] == -1
    assert read_path(tmp_path / "a.gltf", SIZE, camera="node1").eye[0, 0] == 1
    with pytest.raises(ValueError, match="contains the cameras Left, node1; give the name of one"):
        read_path(tmp_path / "a.gltf", SIZE)
    with pytest.raises(ValueError, match="does not contain a camera Right; choose one of Left, node1"):
        read_path(tmp_path / "a.gltf", SIZE, camera="Right")


def test_our_own_meshes_have_no_camera_and_say_so(tmp_path):
    frames, depth = sample_clip("gallery", 1, (16, 24))
    write_mesh(tmp_path / "mesh.glb", build_dw_mesh(frames, depth), 0)
    with pytest.raises(ValueError, match="the scene does not contain a camera"):
        read_path(tmp_path / "mesh.glb", SIZE)


@pytest.mark.parametrize("change, message", [
    (dict(asset=None), "not a glTF scene"), (dict(nodes=[]), "does not contain a camera"),
    (dict(nodes=3), "does not contain a camera"),
    (dict(cameras=[]), "no cameras 0"), (dict(cameras=[{"type": "orthographic", "orthographic": {}}]), "orthographic"),
    (dict(cameras=[{"perspective": {"yfov": 0}}]), "yfov"), (dict(cameras=[{"perspective": {"yfov": 4}}]), "yfov"),
    (dict(cameras=[{"perspective": {"yfov": 1, "aspectRatio": 0}}]), "aspectRatio"),
    (dict(buffers=[]), "no buffers 0"), (dict(buffers=[{"uri": "data:,x y"}]), "damaged"),
    (dict(buffers=[{"uri": "data:,AAAA"}]), "past the data"), (dict(accessors=[]), "no accessors"),
    (dict(nodes=[{"camera": 0, "children": [0]}]), "in a circle"), (dict(bufferViews=[{}] * 3), "no bufferViews 3")])
def test_broken_scenes_are_refused_in_one_sentence(tmp_path, change, message):
    write_scene(tmp_path / "a.gltf", moving_camera() | change)
    with pytest.raises(ValueError, match=message) as error:
        read_path(tmp_path / "a.gltf", SIZE)
    assert "\n" not in str(error.value) and len(str(error.value)) < 400


WHOLE = as_glb(moving_camera())


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_damaged_glbs_are_read_or_refused(tmp_path_factory, data):
    at = data.draw(st.integers(0, len(WHOLE) - 1))
    changed = bytearray(WHOLE)
    changed[at] = data.draw(st.integers(0, 255))
    file = tmp_path_factory.getbasetemp() / "damaged.glb"
    file.write_bytes(data.draw(st.sampled_from([bytes(changed), WHOLE[:at], WHOLE[:at] + WHOLE[at // 2:]])))
    try:
        path = read_path(file, SIZE)
    except ValueError as error:
        assert "\n" not in str(error)
    else:
        assert torch.isfinite(path.cam_from_world).all()


values = st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
                      lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
                          st.sampled_from(["camera", "children", "matrix", "rotation", "channels", "samplers", "target",
                                           "node", "path", "count", "byteOffset", "perspective", "yfov"]), inner,
                          max_size=3), max_leaves=8)


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(["nodes", "cameras", "animations", "accessors", "bufferViews", "buffers"]), values,
       st.booleans())
def test_scenes_of_any_shape_are_read_or_refused(tmp_path_factory, field, value, within):
    scene = moving_camera()
    if within and isinstance(value, dict):
        scene[field][0] |= value
    else:
        scene[field] = value
    file = tmp_path_factory.getbasetemp() / "shapes.gltf"
    write_scene(file, scene)
    try:
        read_path(file, SIZE)
    except ValueError as error:
        assert "\n" not in str(error)
