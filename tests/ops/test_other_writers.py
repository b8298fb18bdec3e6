"""Camera files as other writers of the same formats leave them: other texts, other lenses, other orders of frames."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from ex4d_ops.files import read_path

SIZE = (288, 512)
T = 5
WORLD_FROM_CAM = np.tile(np.eye(4), (T, 1, 1))
WORLD_FROM_CAM[:, :3, :3] = Rotation.from_euler("yxz", [[6 * t, -3 * t, t] for t in range(T)], True).as_matrix()
WORLD_FROM_CAM[:, :3, 3] = [[0.1 * t, -0.05 * t, 0.2 * t] for t in range(T)]
CAM_FROM_WORLD = np.linalg.inv(WORLD_FROM_CAM)
Z_UP = np.array([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]])  # from OpenCV's axes
FLIP = np.diag([1.0, -1, -1, 1])  # between OpenCV's axes and OpenGL's


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("writers")


def assert_all_cameras(path) -> None:
    assert np.allclose(path.cam_from_world.numpy(), CAM_FROM_WORLD, atol=1e-5)


def lens_of(path) -> list[float]:
    return path.intrinsics[0, [0, 1, 0, 1], [0, 1, 2, 2]].tolist()


def pose_rows(lens=(0.9, 0.9, 0.5, 0.5), extra=(0, 0)) -> str:
    return "\n".join(" ".join(map(str, [t, *lens, *extra, *CAM_FROM_WORLD[t, :3].ravel()])) for t in range(T))


def transforms(lens: dict, each=lambda t: {}) -> dict:
    poses = Z_UP @ WORLD_FROM_CAM @ FLIP
    return {**lens, "frames": [{"file_path": f"{t}.png", "transform_matrix": poses[t].tolist(), **each(t)}
                               for t in range(T)]}


# ---- texts --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name, text", [("a.txt", pose_rows()), ("a.json", json.dumps(transforms({"fl_x": 400.0})))])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r", "\n\n"])
def test_every_text_is_read_in_the_encodings_and_line_ends_of_windows(tmp_path, name, text, encoding, ends):
    (tmp_path / name).write_bytes(text.replace("\n", ends).encode(encoding))
    assert_all_cameras(read_path(tmp_path / name, SIZE))


@pytest.mark.parametrize("content", ["é".encode("latin-1") + b"\n", b"\xff\xfe\x00", bytes(range(128, 256))])
def test_a_text_in_another_encoding_is_told_which_to_use(tmp_path, content):
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(ValueError, match="a.txt: .*UTF-8"):
        read_path(tmp_path / "a.txt", SIZE)


@pytest.mark.parametrize("content, format", [('{"frames": [%s]}', None), ('[{"frame": %s}]', "keyframes")])
def test_a_number_of_thousands_of_digits_is_one_sentence(tmp_path, content, format):
    (tmp_path / "a.json").write_text(content % ("9" * 5000))
    with pytest.raises(ValueError, match="a.json: .*too many digits"):
        read_path(tmp_path / "a.json", SIZE, T, format, radius=1.0)


def neoverse(**values) -> dict:
    return {"num_frames": 9, "keyframes": [{"0": [{name: {field: value}} for name, (field, value) in values.items()]}]}


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("content", [
    lambda bad: neoverse(pan_left=("angle", bad)), lambda bad: neoverse(orbit_left=("orbit_radius", bad)),
    lambda bad: neoverse(push_in=("distance", bad)), lambda bad: neoverse(static=("x", 1)) | {"zoom_ratio": bad},
    lambda bad: neoverse() | {"num_frames": bad},
    lambda bad: {"trajectory": {"frame_indices": [0, bad], "frame_matrices": WORLD_FROM_CAM[:2].tolist()}},
    lambda bad: {"trajectory": {"frame_indices": [0, 1], "frame_matrices": np.full((2, 4, 4), bad).tolist()}},
    lambda bad: transforms({"fl_x": bad}), lambda bad: transforms({"camera_angle_x": bad}),
    lambda bad: transforms({"fl_x": 400.0, "k1": bad}), lambda bad: transforms({"fl_x": 400.0, "w": bad, "h": 9}),
    lambda bad: transforms({"fl_x": 400.0}, lambda t: {"transform_matrix": [[bad] * 4] * 4}),
    lambda bad: still_scene({"camera": 0, "rotation": [bad, 0, 0, 1]}),
    lambda bad: still_scene({"camera": 0, "translation": [bad, 0, 0]}),
    lambda bad: still_scene({"camera": 0, "matrix": [bad] * 16}),
    lambda bad: animated_scene(1, "bad.bin", np.array([0, 1, bad, 0, 0, 5, 0, 0], "<f4").tobytes())])
def test_every_number_of_a_json_that_is_not_finite_is_one_sentence(tmp_path, content, bad):
    (tmp_path / "bad.bin").write_bytes(np.array([0, 1, bad, 0, 0, 5, 0, 0], "<f4").tobytes())
    (tmp_path / "a.json").write_text(json.dumps(content(bad)))
    with pytest.raises(ValueError, match="^[^\\n]*a.json: [^\\n]*$"):
        read_path(tmp_path / "a.json", SIZE, T)


# ---- lenses -------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=30)
@given(st.sampled_from(["extrinsics", "extrinsic", "cam_c2w"]), st.floats(0.3, 3), st.floats(0.5, 2), st.booleans(),
       st.sampled_from([SIZE, (512, 288), (300, 300), (64, 1000)]))
def test_every_lens_of_shares_in_an_npz_is_one_of_square_pixels(folder, name, fx, shape, per_frame, size):
    """As in rows of RealEstate10K: the picture that the shares belong to covers the new one and is not squeezed."""
    lens = np.array([[fx, 0, 0.5], [0, fx * shape, 0.5], [0, 0, 1]])
    cameras = WORLD_FROM_CAM if name == "cam_c2w" else CAM_FROM_WORLD[:, :3]
    np.savez(folder / "a.npz", **{name: cameras}, intrinsics=np.tile(lens, (T, 1, 1)) if per_frame else lens)
    path, (height, width) = read_path(folder / "a.npz", size), size
    focal = fx * max(width, height * shape)
    assert lens_of(path) == pytest.approx([focal, focal, width / 2, height / 2], rel=1e-4)
    assert_all_cameras(path)


@settings(deadline=None, max_examples=30)
@given(st.integers(32, 4000), st.integers(32, 4000), st.sampled_from([(0, 0), (512, 288)]))
def test_every_lens_of_pixels_in_rows_of_shares_is_refused(folder, width, height, extra):
    (folder / "a.txt").write_text(pose_rows((0.8 * width, 0.8 * width, width / 2, height / 2), extra))
    with pytest.raises(ValueError, match="are in pixels, but must be shares"):
        read_path(folder / "a.txt", SIZE)


ANGLES = {"camera_angle_x": 2 * np.arctan(256 / 400), "camera_angle_y": 2 * np.arctan(144 / 500)}
SIDES = {"w": 512, "h": 288}
CENTER = {"cx": 256.0, "cy": 144.0}


@pytest.mark.parametrize("lens, focals", [
    ({"camera_angle_x": ANGLES["camera_angle_x"]}, (400, 400)),
    ({"camera_angle_y": ANGLES["camera_angle_y"]}, (500, 500)), (ANGLES, (400, 500)),
    ({"fl_y": 500.0}, (500, 500)), ({"fl_x": 400.0, "fl_y": 500.0}, (400, 500)),
    ({"fl_x": 400.0, **ANGLES}, (400, 500)), ({"fl_x": 400.0}, (400, 400))])
@pytest.mark.parametrize("more", [{}, SIDES, CENTER, SIDES | CENTER])
@pytest.mark.parametrize("per_frame", [False, True])
def test_a_lens_of_transforms_is_told_along_either_axis(tmp_path, lens, focals, more, per_frame):
    content = transforms({}, lambda t: lens | more) if per_frame else transforms(lens | more)
    (tmp_path / "transforms.json").write_text(json.dumps(content))
    path = read_path(tmp_path / "transforms.json", SIZE)
    assert lens_of(path) == pytest.approx([*focals, 256, 144], rel=1e-5)
    assert_all_cameras(path)


@pytest.mark.parametrize("factor", [0.25, 0.5, 2, 3])
def test_pixels_of_a_picture_whose_size_is_not_said_belong_to_the_size_around_their_center(tmp_path, factor):
    lens = {name: factor * value for name, value in {"fl_x": 400.0, "fl_y": 400.0, **CENTER}.items()}
    (tmp_path / "transforms.json").write_text(json.dumps(transforms(lens)))
    assert lens_of(read_path(tmp_path / "transforms.json", SIZE)) == pytest.approx([400, 400, 256, 144], rel=1e-5)


@pytest.mark.parametrize("change", [*({f"k{n}": 0.1} for n in range(1, 7)), {"p1": 0.1}, {"p2": -0.1},
                                    {"is_fisheye": True}, {"orthographic": True}, {"camera_model": "OPENCV_FISHEYE"}])
def test_every_lens_of_transforms_that_distorts_is_refused(tmp_path, change):
    (tmp_path / "transforms.json").write_text(json.dumps(transforms({"fl_x": 400.0} | change)))
    with pytest.raises(ValueError, match="distortion|not a pinhole"):
        read_path(tmp_path / "transforms.json", SIZE)


# ---- orders of frames ---------------------------------------------------------------------------


def chan_rows(frames) -> list[str]:
    poses = FLIP @ WORLD_FROM_CAM @ FLIP
    angles = Rotation.from_matrix(poses[:, :3, :3]).as_euler("YXZ", degrees=True)[:, [1, 0, 2]]
    return [" ".join(map(str, [frame, *poses[t, :3, 3], *angles[t], 40.0])) for t, frame in enumerate(frames)]


@settings(deadline=None, max_examples=20)
@given(st.permutations(range(T)), st.sampled_from([0, 1, 1001, -3, 1.0]))
def test_every_order_of_lines_in_a_chan_is_that_of_its_frame_numbers(folder, order, first):
    rows = chan_rows([first + t for t in range(T)])
    (folder / "a.chan").write_text("\n".join(rows[t] for t in order))
    assert_all_cameras(read_path(folder / "a.chan", SIZE))


def test_two_lines_for_one_frame_are_refused(tmp_path):
    (tmp_path / "a.chan").write_text("\n".join(chan_rows([1, 2, 2, 3, 4])))
    with pytest.raises(ValueError, match="two lines for one frame"):
        read_path(tmp_path / "a.chan", SIZE)


def recammaster(frames) -> str:
    return json.dumps({f"frame{t}": {"cam01": "[0 1 0 0] [1 0 0 0] [0 0 1 0] [0 0 0 1]"} for t in frames})


@pytest.mark.parametrize("name, write", [("a.chan", lambda frames: "\n".join(chan_rows(frames))),
                                         ("a.json", recammaster)])
@pytest.mark.parametrize("frames, gaps", [((0, 1, 2, 3, 4), False), ((0, 2, 4, 6, 8), True), ((0, 1, 3, 4, 5), True)])
def test_frames_that_are_left_out_are_said(tmp_path, caplog, name, write, frames, gaps):
    (tmp_path / name).write_text(write(frames))
    assert len(read_path(tmp_path / name, SIZE, rotation_order="ZXY")) == T
    assert ("frames that follow each other" in caplog.text) == gaps


@pytest.mark.parametrize("frames", [[0.5] * T, [0, 1, 2, 3, 3.999]])
def test_source_frames_that_are_not_whole_are_refused(tmp_path, frames):
    np.savez(tmp_path / "a.npz", extrinsics=FLIP @ CAM_FROM_WORLD, intrinsics=np.diag([400.0, 400, 1]), size=SIZE,
             source_frame=frames)
    with pytest.raises(ValueError, match="whole frame numbers"):
        read_path(tmp_path / "a.npz", SIZE)


# ---- COLMAP's text ------------------------------------------------------------------------------

NAMES = ["{}.png", "my clip {}.png", "{} of 5.png", "1 2 {}.png", "12 a b {}.png", "{}", "cam 1/{}.jpg", "#{}.png",
         "bild ü {}.png", "1e-5 2 {}x"]
POINTS = ["", "100.5 50.25 -1", "100 50 3 " * 4, "1e-05 2.5e+02 -1 " * 4, "nan nan -1 " * 4, "inf 1 7 " * 5,
          "+1. .5 9 " * 8]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("points", POINTS)
def test_every_image_of_a_text_model_is_told_from_its_points(tmp_path, name, points):
    lines = []
    for t in range(T):
        x, y, z, w = Rotation.from_matrix(CAM_FROM_WORLD[t, :3, :3]).as_quat()
        place = " ".join(map(str, CAM_FROM_WORLD[t, :3, 3]))
        lines += [f"{t + 1} {w} {x} {y} {z} {place} 1 {name.format(t)}", points]
    (tmp_path / "images.txt").write_text("# images\n" + "\n".join(lines) + "\n", encoding="utf-8")
    (tmp_path / "cameras.txt").write_text("1 PINHOLE 512 288 400 400 256 144\n")
    assert_all_cameras(read_path(tmp_path, SIZE))


# ---- glTF ---------------------------------------------------------------------------------------


def still_scene(*nodes) -> dict:
    lens = {"type": "perspective", "perspective": {"yfov": 1.0, "znear": 0.1}}
    return {"asset": {"version": "2.0"}, "nodes": list(nodes), "cameras": [lens]}


def test_cameras_of_one_name_are_told_apart(tmp_path):
    scene = still_scene(*({"name": "Camera", "camera": 0, "translation": [x, 0, 0]} for x in (1.0, 2.0)))
    (tmp_path / "a.gltf").write_text(json.dumps(scene))
    with pytest.raises(ValueError, match=r"contains the cameras Camera, Camera \(node1\)"):
        read_path(tmp_path / "a.gltf", SIZE)
    for name, x in (("Camera", 1.0), ("Camera (node1)", 2.0)):
        assert float(read_path(tmp_path / "a.gltf", SIZE, camera=name).eye[0, 0]) == x


def animated_scene(animations: int, address: str, data: bytes) -> dict:
    """A camera that runs from 0 to 1, 2, 3 ... along x in each animation."""
    channel = {"sampler": 0, "target": {"node": 0, "path": "translation"}}
    accessors = [{"bufferView": 0, "componentType": 5126, "type": kind, "count": 2, "byteOffset": at}
                 for kind, at in (("SCALAR", 0), ("VEC3", 8))]
    return still_scene({"name": "Camera", "camera": 0}) | {
        "accessors": accessors, "bufferViews": [{"buffer": 0, "byteLength": len(data)}],
        "buffers": [{"byteLength": len(data), "uri": address}],
        "animations": [{"channels": [channel], "samplers": [{"input": 0, "output": 1}]}] * animations}


DATA = np.array([0, 1, 0, 0, 0, 5, 0, 0], "<f4").tobytes()


@pytest.mark.parametrize("name, address", [("my scene.bin", "my%20scene.bin"), ("bild ü.bin", "bild%20%C3%BC.bin"),
                                           ("a+b.bin", "a+b.bin"), ("50%.bin", "50%25.bin"), ("50%.bin", "50%.bin"),
                                           ("my scene.bin", "my scene.bin"), ("my%20scene.bin", "my%20scene.bin")])
def test_every_address_of_data_beside_a_scene_is_found(tmp_path, name, address):
    (tmp_path / name).write_bytes(DATA)
    (tmp_path / "a.gltf").write_text(json.dumps(animated_scene(1, address, DATA)))
    assert float(read_path(tmp_path / "a.gltf", SIZE).eye[-1, 0]) == 5.0


@pytest.mark.parametrize("address", ["%2e%2e%2fout.bin", "..%2Fout.bin", "../out.bin", "%2Fetc%2Fhostname", "a%00b"])
def test_no_address_leads_out_of_the_folder_of_a_scene(tmp_path, address):
    (tmp_path / "out.bin").write_bytes(DATA)
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.gltf").write_text(json.dumps(animated_scene(1, address, DATA)))
    with pytest.raises(ValueError, match="a.gltf: refers to the file"):
        read_path(tmp_path / "in/a.gltf", SIZE)


@pytest.mark.parametrize("animations, said", [(1, False), (2, True), (5, True)])
def test_more_than_one_animation_of_a_camera_is_said(tmp_path, caplog, animations, said):
    (tmp_path / "d.bin").write_bytes(DATA)
    (tmp_path / "a.gltf").write_text(json.dumps(animated_scene(animations, "d.bin", DATA)))
    assert float(read_path(tmp_path / "a.gltf", SIZE).eye[-1, 0]) == 5.0
    assert ("more than one animation" in caplog.text) == said
