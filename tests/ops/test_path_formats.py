"""Camera files of other tools mean what their makers say, by formulas that are not the readers' own inverses."""

import json
import logging
import struct

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation, Slerp

from ex4d_ops.camera import default_intrinsics
from ex4d_ops.files import read_path, write_path
from ex4d_ops.trajectory import move_path, parse_moves

SIZE = (288, 512)
T = 5
angles = st.floats(-180, 180)
places = st.lists(st.floats(-50, 50), min_size=3, max_size=3)
FLIP = np.diag([1.0, -1, -1])  # between OpenCV's axes and OpenGL's


@st.composite
def cameras(draw, frames=T):
    """world_from_cam [T, 4, 4] in OpenCV's axes, anywhere and however turned."""
    matrices = np.tile(np.eye(4), (frames, 1, 1))
    for matrix in matrices:
        matrix[:3, :3] = Rotation.from_euler("xyz", draw(st.lists(angles, min_size=3, max_size=3)), True).as_matrix()
        matrix[:3, 3] = draw(places)
    return matrices


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("formats")


def assert_same(path, world_from_cam, first=False, atol=1e-4):
    """The path's cameras are these, or these seen from the first of them."""
    world_from_cam = np.linalg.inv(world_from_cam[0]) @ world_from_cam if first else world_from_cam
    expected = torch.from_numpy(np.linalg.inv(world_from_cam)).float()
    assert torch.allclose(path.cam_from_world, expected, atol=atol), (path.cam_from_world - expected).abs().max()


def lens_of(path) -> list[float]:
    return path.intrinsics[0, [0, 1, 0, 1], [0, 1, 2, 2]].tolist()


# ---- rows of RealEstate10K ----------------------------------------------------------------------


def pose_row(time, lens, extra, world_from_cam) -> str:
    return " ".join(map(str, [time, *lens, *extra, *np.linalg.inv(world_from_cam)[:3].ravel().tolist()]))


def moving_right(t: float) -> np.ndarray:
    matrix = np.eye(4)
    matrix[0, 3] = 0.1 * t
    return matrix


@settings(deadline=None)
@given(st.floats(0.3, 3), st.floats(0.2, 5), st.integers(16, 2000), st.integers(16, 2000))
def test_every_lens_of_shares_keeps_square_pixels_and_its_picture_covers_the_new_one(folder, fx, shape, height, width):
    """CameraCtrl's rule: the focal length scales with the side that the picture, scaled to cover, does not lose."""
    (folder / "a.txt").write_text(f"https://x\n{pose_row(0, (fx, fx * shape, 0.5, 0.5), (0, 0), np.eye(4))}\n")
    path = read_path(folder / "a.txt", (height, width))
    covered = height * shape if shape > width / height else width  # width of the scaled picture
    assert lens_of(path) == pytest.approx([fx * covered, fx * covered, width / 2, height / 2], rel=1e-4)


@pytest.mark.parametrize("name, size", [("columns", (720, 1280)), ("header", (480, 832))])
def test_a_lens_of_shares_belongs_to_the_picture_that_the_file_names(tmp_path, name, size):
    height, width = size
    header, extra = (f"ex4d width={width} height={height}", (0, 0)) if name == "header" else ("shot", (width, height))
    (tmp_path / "a.txt").write_text(f"{header}\n{pose_row(0, (0.9, 1.2, 0.4, 0.6), extra, np.eye(4))}\n")
    expected = [0.9 * width, 1.2 * height, 0.4 * width, 0.6 * height]
    for path in (read_path(tmp_path / "a.txt"), read_path(tmp_path / "a.txt", size)):
        assert path.size == size and lens_of(path) == pytest.approx(expected, rel=1e-6)


@settings(deadline=None)
@given(st.floats(0.3, 3), st.floats(0.3, 3), st.tuples(st.integers(16, 999), st.integers(16, 999)))
def test_written_rows_bring_pixels_of_any_shape_back(folder, fx, fy, size):
    path = move_path(parse_moves("orbit"), 3, 2.0, default_intrinsics(size), size)
    path = type(path)(path.cam_from_world, path.intrinsics * torch.tensor([[fx], [fy], [1.0]]), size)
    write_path(folder / "b.txt", path, "realestate")
    assert torch.allclose(read_path(folder / "b.txt").intrinsics, path.intrinsics, rtol=1e-5)


TIMES = {"microseconds": lambda t: t * 33333, "frames": lambda t: t, "seconds": lambda t: f"{t / 30:.6f}",
         "savetxt": lambda t: f"{t * 1.0:.18e}", "negative": lambda t: t - 3, "float": lambda t: f"{t * 40000:.6f}"}
HEADERS = ["", "https://www.youtube.com/watch?v=x\n", "-0dR3Zq8\n", "12345\n", "source:shot fps:25\n", "# a comment\n",
           "a name of many words, among them the number 7\n"]


@pytest.mark.parametrize("time", TIMES)
@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("extra", [(0, 0), (0.0, 0.0), (1280.0, 720.0)])
def test_every_row_is_a_camera_whatever_stands_above_and_in_the_first_column(tmp_path, time, header, extra):
    rows = [pose_row(TIMES[time](t), (0.9, 0.9, 0.5, 0.5), extra, moving_right(t)) for t in range(T)]
    (tmp_path / "a.txt").write_text(header + "\n".join(rows) + "\n")
    assert_same(read_path(tmp_path / "a.txt", SIZE), np.stack([moving_right(t) for t in range(T)]))


@pytest.mark.parametrize("broken", [
    lambda row: row.rsplit(" ", 1)[0], lambda row: f"{row} 1", lambda row: row.replace("0.9", "O.9", 1),
    lambda row: f"t{row}", lambda row: row.replace(" 0.5 0.5 0 0", " 0.5 0.5 0.1 0"),
    lambda row: row.replace(" 0.5 0.5 0 0", " 0.5 0.5 1280 0"), lambda row: row.replace(" 0.9 0.9", " 0 0.9")])
@pytest.mark.parametrize("at", [0, 2])
def test_a_broken_row_is_refused_and_never_dropped(tmp_path, broken, at):
    rows = [pose_row(t, (0.9, 0.9, 0.5, 0.5), (0, 0), moving_right(t)) for t in range(T)]
    rows[at] = broken(rows[at])
    (tmp_path / "a.txt").write_text("\n".join(rows))
    with pytest.raises(ValueError, match="should read|distortion|fx and fy"):
        read_path(tmp_path / "a.txt", SIZE, format="realestate")


# ---- three lines --------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.floats(-170, 170), st.floats(-80, 80), st.floats(-0.8, 2), st.floats(0.1, 30))
def test_viewcrafter_turns_and_moves_as_its_code_does(folder, phi, theta, r, radius):
    """In its world, y up and z towards the source camera, which stands at z = radius: r along z, theta, then phi."""
    (folder / "v.txt").write_text(f"0 {phi!r}\n0 {theta!r}\n0 {r!r}\n")
    path = read_path(folder / "v.txt", SIZE, frames=9, radius=radius, format="viewcrafter")
    turn = Rotation.from_euler("xy", [theta, phi], degrees=True).as_matrix()  # x first, about fixed axes
    eye, ahead = turn @ [0, 0, radius * (1 + r)], turn @ [0, 0, -1]
    ours = FLIP @ eye + [0, 0, radius]  # the world's origin is the source camera, y down and z ahead
    assert np.allclose(path.eye[-1].numpy(), ours, atol=1e-4 * radius)
    assert np.allclose(path.cam_from_world[-1, 2, :3].numpy(), FLIP @ ahead, atol=1e-5)
    assert len(read_path(folder / "v.txt", SIZE, radius=radius, format="viewcrafter")) == 25


@pytest.mark.parametrize("lines, where", [("0 40\n0 0\n0 0", [1, 0, 0]), ("0 0\n0 -40\n0 0", [0, -1, 0]),
                                          ("0 0\n0 0\n0 -0.4", [0, 0, 1])])
def test_viewcrafter_s_signs_are_those_of_its_manual(tmp_path, lines, where):
    """A positive phi moves the camera to the right, a negative theta up, a negative r forward."""
    (tmp_path / "v.txt").write_text(lines)
    eye = read_path(tmp_path / "v.txt", SIZE, radius=3.0, format="viewcrafter").eye[-1]
    assert float(eye @ torch.tensor(where, dtype=torch.float32)) > 0.5


def test_what_three_lines_are_taken_for_is_said_unless_it_is_named(tmp_path, caplog):
    (tmp_path / "v.txt").write_text("0 40\n0 0\n0 0")
    guessed = read_path(tmp_path / "v.txt", SIZE, radius=3.0)
    assert "ViewCrafter" in caplog.text and "v.txt" in caplog.text
    caplog.clear()
    named = read_path(tmp_path / "v.txt", SIZE, radius=3.0, format="trajectorycrafter")
    assert torch.equal(guessed.cam_from_world, named.cam_from_world) and not caplog.records


# ---- chan ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["XYZ", "XZY", "YXZ", "YZX", "ZXY", "ZYX"])
@settings(deadline=None, max_examples=20)
@given(turned=st.lists(st.floats(-170, 170), min_size=3, max_size=3), place=places)
def test_every_rotation_order_turns_about_its_first_axis_first(folder, order, turned, place):
    (folder / "a.chan").write_text(" ".join(map(repr, [1, *place, *turned, 40.0])))
    path = read_path(folder / "a.chan", SIZE, rotation_order=order)
    extrinsic = Rotation.from_euler(order.lower(), [turned["XYZ".index(axis)] for axis in order], degrees=True)
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = FLIP @ extrinsic.as_matrix() @ FLIP, FLIP @ place
    assert_same(path, matrix[None], atol=2e-4)


def test_a_rotation_order_is_the_caller_s_or_the_comment_s_or_said(tmp_path, caplog):
    row = "1 0 0 0 -10 20 5 40\n"
    for name, text in (("plain", row), ("noted", f"# Nuke chan\n# columns: vertical fov, rot_order XYZ\n{row}"),
                       ("simple", "1 0 0 0 0 20 0 40\n")):
        (tmp_path / f"{name}.chan").write_text(text)

    def turn(name, order=None):
        return read_path(tmp_path / f"{name}.chan", SIZE, rotation_order=order).cam_from_world

    assert torch.equal(turn("plain", "auto"), turn("plain", "ZXY")) and "rotation order" in caplog.text
    caplog.clear()
    assert torch.equal(turn("noted"), turn("plain", "XYZ")) and not torch.equal(turn("noted"), turn("plain", "ZXY"))
    assert torch.equal(turn("noted", "YZX"), turn("plain", "YZX"))
    assert torch.equal(turn("simple"), turn("simple", "XYZ"))  # one angle turns alike in every order
    assert not caplog.records
    with pytest.raises(ValueError, match="'XXY' is not a path rotation_order; use one of XYZ"):
        turn("plain", "XXY")


# ---- ReCamMaster's layout -----------------------------------------------------------------------


def unreal_text(forward, right, up, place) -> str:
    rows = [[*forward, 0], [*right, 0], [*up, 0], [*place, 1]]
    return " ".join(f"[{' '.join(map(repr, map(float, row)))}]" for row in rows) + " "


@settings(deadline=None, max_examples=50)
@given(cameras(), st.booleans())
def test_recammaster_s_layout_is_read_in_a_world_of_either_hand(folder, world_from_cam, left_handed):
    """Rows are the camera's forward, right and up and its place in centimetres; only what is relative counts."""
    world = np.diag([1.0, 1, -1]) if left_handed else np.eye(3)
    content = {}
    for t, matrix in enumerate(world_from_cam):
        axes = world @ matrix[:3]
        content[f"frame{t}"] = {"cam01": unreal_text(axes[:, 2], axes[:, 0], -axes[:, 1], 100 * axes[:, 3])}
    (folder / "r.json").write_text(json.dumps(content))
    assert_same(read_path(folder / "r.json", SIZE), world_from_cam, first=True, atol=2e-4)


def test_a_camera_mirrored_against_the_others_is_refused(tmp_path):
    good, bad = unreal_text([1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]), unreal_text([1, 0, 0], [0, 1, 0], [0, 0, -1],
                                                                                     [0, 0, 0])
    (tmp_path / "r.json").write_text(json.dumps({f"frame{t}": {"c": bad if t == 2 else good} for t in range(4)}))
    with pytest.raises(ValueError, match="frame 2 is mirrored relative to frame 0"):
        read_path(tmp_path / "r.json", SIZE)


# ---- npz ----------------------------------------------------------------------------------------

K = np.array([[60, 0, 32], [0, 61, 24], [0, 0, 1]], np.float32)


@pytest.mark.parametrize("names", [("extrinsics", "intrinsics"), ("extrinsic", "intrinsic")])
@pytest.mark.parametrize("rows", [3, 4])
@pytest.mark.parametrize("batch", [False, True])
@pytest.mark.parametrize("lens", ["one", "each"])
def test_every_layout_of_opencv_s_cameras_is_read(tmp_path, names, rows, batch, lens):
    world_from_cam = np.stack([moving_right(t) for t in range(T)])
    stored, intrinsics = np.linalg.inv(world_from_cam)[:, :rows], K if lens == "one" else np.tile(K, (T, 1, 1))
    if batch:
        stored, intrinsics = stored[None], intrinsics if lens == "one" else intrinsics[None]
    np.savez(tmp_path / "a.npz", **dict(zip(names, (stored, intrinsics))), depth=np.zeros((T, 48, 64)))
    path = read_path(tmp_path / "a.npz")
    assert_same(path, world_from_cam)
    assert path.size == (48, 64) and lens_of(path) == [60, 61, 32, 24]


@settings(deadline=None, max_examples=60)
@given(st.floats(-180, 180), st.floats(-80, 80), st.floats(-80, 80), st.booleans())
def test_matrices_alone_are_read_upright_and_what_they_are_taken_for_is_said(folder, yaw, pitch, roll, released):
    """A first camera that stands upright in one of the two conventions is upside down in the other."""
    turn = Rotation.from_euler("yxz", [yaw, pitch, roll], degrees=True).as_matrix().T
    upright = turn[1, 1] > 1e-3
    matrix = np.eye(4)
    matrix[:3, :3] = turn
    stored = np.diag([1.0, -1, -1, 1]) @ matrix if released else matrix
    np.savez(folder / "g.npz", extrinsics=np.tile(stored, (T, 1, 1)), intrinsics=K)
    words = []
    log = logging.getLogger("ex4d_ops.files.path_formats.npz")
    hearer = logging.Handler()
    hearer.emit = lambda record: words.append(record.getMessage())
    log.addHandler(hearer)
    try:
        path = read_path(folder / "g.npz", world="file")
    finally:
        log.removeHandler(hearer)
    begins_released = released and np.allclose(turn, np.eye(3), atol=1e-3)
    assert begins_released or any("choose the format" in word for word in words)
    if upright:
        assert torch.allclose(path.cam_from_world[0, :3, :3], torch.from_numpy(turn).float(), atol=1e-5)
    for name, flip in (("opencv", np.eye(4)), ("released", np.diag([1.0, -1, -1, 1]))):
        named = read_path(folder / "g.npz", format=name, world="file").cam_from_world[0]
        assert torch.allclose(named, torch.from_numpy(flip @ stored).float(), atol=1e-5)


def test_nothing_is_said_of_files_that_are_certain(tmp_path, caplog):
    path = move_path(parse_moves("orbit:yaw=-60..60,pitch=110"), T, 2.0, default_intrinsics(SIZE), SIZE)
    write_path(tmp_path / "ours.npz", path)
    assert torch.equal(read_path(tmp_path / "ours.npz").cam_from_world, path.cam_from_world) and not caplog.records


@settings(deadline=None, max_examples=30)
@given(cameras(), st.sampled_from(["row", "one", "each"]))
def test_vista4d_s_cameras_lead_into_the_world(folder, world_from_cam, lens):
    rows = np.tile(K[[0, 1, 0, 1], [0, 1, 2, 2]], (T, 1))
    stored = {"row": rows, "one": K, "each": np.tile(K, (T, 1, 1))}[lens]
    np.savez(folder / "v.npz", cam_c2w=world_from_cam, cam_c2w_fsff=world_from_cam,
             **{"intrinsics" if lens == "row" else "intrinsic": stored})
    path = read_path(folder / "v.npz")
    assert_same(path, world_from_cam, atol=2e-4)
    assert path.size == (48, 64) and lens_of(path) == [60, 61, 32, 24]


@pytest.mark.parametrize("arrays, message", [
    ({"depth": np.zeros((5, 8, 8))}, "has no extrinsics; it has depth"),
    ({"cam_c2w": np.eye(4)}, r"cam_c2w is \[4, 4\]"),
    ({"cam_c2w": np.tile(np.eye(4), (2, 1, 1))}, "has no intrinsics; it has cam_c2w"), ({}, "it has nothing"),
    ({"extrinsics": np.eye(4)[None, :3], "intrinsics": np.ones((2, 3, 3))}, r"intrinsics is \[2, 3, 3\]"),
    ({f"name\n{'x' * 200}{k}": np.zeros(1) for k in range(40)}, "and 28 more")])
def test_npz_without_cameras_name_what_they_have_in_one_short_line(tmp_path, arrays, message):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(ValueError, match=message) as error:
        read_path(tmp_path / "a.npz")
    assert "\n" not in str(error.value) and len(str(error.value)) < 1200


# ---- COLMAP -------------------------------------------------------------------------------------

MODELS = {"SIMPLE_PINHOLE": (0, "60 32 24", 0), "PINHOLE": (1, "60 60 32 24", 0), "SIMPLE_RADIAL": (2, "60 32 24", 1),
          "RADIAL": (3, "60 32 24", 2), "OPENCV": (4, "60 60 32 24", 4), "FULL_OPENCV": (6, "60 60 32 24", 8),
          "SIMPLE_DIVISION": (12, "60 32 24", 1), "DIVISION": (13, "60 60 32 24", 1)}
BENT = {"OPENCV_FISHEYE": (5, 8), "FOV": (7, 5), "SIMPLE_RADIAL_FISHEYE": (8, 4), "RADIAL_FISHEYE": (9, 5),
        "THIN_PRISM_FISHEYE": (10, 12), "RAD_TAN_THIN_PRISM_FISHEYE": (11, 16), "SIMPLE_FISHEYE": (14, 3),
        "FISHEYE": (15, 4), "EUCM": (16, 6), "EQUIRECTANGULAR": (17, 2)}


def write_model(folder, model, numbers, world_from_cam, binary, unused=()):
    """A model of one camera, used by every image, and of others that none uses; images listed backwards."""
    folder.mkdir(parents=True, exist_ok=True)
    identities = {name: entry[0] for name, entry in (MODELS | BENT).items()}
    lenses = [(7, model, numbers), *[(8 + k, *lens) for k, lens in enumerate(unused)]]
    images = []
    for t in reversed(range(len(world_from_cam))):
        cam = np.linalg.inv(world_from_cam[t])
        x, y, z, w = Rotation.from_matrix(cam[:3, :3]).as_quat()
        images.append((t + 1, [w, x, y, z, *cam[:3, 3]], f"shot {t}.png"))
    if not binary:
        (folder / "cameras.txt").write_text("# cameras\n" + "".join(
            f"{k} {name} 64 48 {' '.join(map(repr, values))}\n" for k, name, values in lenses))
        (folder / "images.txt").write_text("# images\n" + "".join(
            f"{k} {' '.join(map(str, pose))} 7 {name}\n1.5 2.5 -1 3.5 4.5 9\n" for k, pose, name in images))
        return
    (folder / "cameras.bin").write_bytes(struct.pack("<Q", len(lenses)) + b"".join(
        struct.pack(f"<IiQQ{len(values)}d", k, identities[name], 64, 48, *values) for k, name, values in lenses))
    (folder / "images.bin").write_bytes(struct.pack("<Q", len(images)) + b"".join(
        struct.pack("<I7dI", k, *pose, 7) + name.encode() + b"\0" + struct.pack("<Q2dQ2dq", 2, 1.5, 2.5, 2**64 - 1, 3.5,
                                                                               4.5, 9) for k, pose, name in images))


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("binary", [False, True])
def test_every_model_without_distortion_is_a_pinhole_and_unused_cameras_do_not_count(tmp_path, model, binary):
    _, lens, distortions = MODELS[model]
    numbers = [*map(float, lens.split()), *[0.0] * distortions]
    world_from_cam = np.stack([moving_right(t) for t in range(12)])
    write_model(tmp_path, model, numbers, world_from_cam, binary, [("FOV", [1.0] * 5), ("OPENCV", [1.0] * 8)])
    path = read_path(tmp_path)
    assert lens_of(path) == [60, 60, 32, 24] and path.size == (48, 64)
    assert_same(path, world_from_cam)  # "shot 10" comes after "shot 9"
    for bent in range(len(numbers) - distortions, len(numbers)):
        write_model(tmp_path, model, numbers[:bent] + [1e-4] + numbers[bent + 1:], world_from_cam, binary)
        with pytest.raises(ValueError, match=f"{model} is not a pinhole, because its distortion is not 0; undistort"):
            read_path(tmp_path)


@pytest.mark.parametrize("model", BENT)
@pytest.mark.parametrize("binary", [False, True])
def test_every_other_model_is_refused_by_its_name(tmp_path, model, binary):
    write_model(tmp_path, model, [0.0] * BENT[model][1], np.eye(4)[None], binary)
    with pytest.raises(ValueError, match=f"{model} is not a pinhole; undistort first"):
        read_path(tmp_path)


@settings(deadline=None, max_examples=30)
@given(world_from_cam=cameras())
def test_binary_and_text_models_are_the_same_path(folder, world_from_cam):
    for binary in (False, True):
        write_model(folder / f"model{binary}", "PINHOLE", [60.0, 61, 32, 24], world_from_cam, binary)
        assert_same(read_path(folder / f"model{binary}"), world_from_cam, atol=5e-4)


@pytest.mark.parametrize("place", ["", "sparse/0", "sparse", "colmap/sparse/0", "dense/sparse", "0"])
@pytest.mark.parametrize("binary", [False, True])
def test_a_project_s_folder_is_read_through_to_its_model(tmp_path, place, binary, caplog):
    write_model(tmp_path / "project" / place, "PINHOLE", [60.0, 60, 32, 24], np.eye(4)[None], binary)
    (tmp_path / "project" / "images").mkdir()
    assert len(read_path(tmp_path / "project")) == 1 and not caplog.records
    file = "images.bin" if binary else "cameras.txt"
    assert len(read_path(tmp_path / "project" / place / file)) == 1


def test_a_project_of_several_models_says_which_is_read(tmp_path, caplog):
    for number, count in (("0", 3), ("1", 2)):
        still = np.tile(np.eye(4), (count, 1, 1))
        write_model(tmp_path / "sparse" / number, "PINHOLE", [60.0, 60, 32, 24], still, True)
    assert len(read_path(tmp_path)) == 3
    assert "sparse/0" in caplog.text and ": 1" in caplog.text


def test_every_model_cut_short_is_refused_in_one_sentence(tmp_path):
    write_model(tmp_path, "PINHOLE", [60.0, 60, 32, 24], np.tile(np.eye(4), (2, 1, 1)), True)
    for name in ("cameras.bin", "images.bin"):
        whole = (tmp_path / name).read_bytes()
        for end in range(len(whole)):
            (tmp_path / name).write_bytes(whole[:end])
            if name == "images.bin" and end > len(whole) - 57:
                continue  # within the last image's points, which nobody needs
            with pytest.raises(ValueError, match="cut short|no image"):
                read_path(tmp_path)
        (tmp_path / name).write_bytes(whole)


def test_a_missing_folder_is_not_the_one_above_it(tmp_path):
    write_model(tmp_path, "PINHOLE", [60.0, 60, 32, 24], np.eye(4)[None], False)
    with pytest.raises(ValueError, match="No such file"):
        read_path(tmp_path / "missing")


# ---- json ---------------------------------------------------------------------------------------


def write_transforms(file, world_from_cam, names=None, **above):
    """nerfstudio's file: z up, y ahead; cameras look along -z with y up."""
    world = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])  # from ours: x, z up, y ahead
    frames = []
    for t, matrix in enumerate(world_from_cam):
        theirs = np.eye(4)
        theirs[:3, :3], theirs[:3, 3] = world @ matrix[:3, :3] @ FLIP, world @ matrix[:3, 3]
        frames.append({"file_path": names[t] if names else f"images/{t}.png", "transform_matrix": theirs.tolist()})
    file.write_text(json.dumps(above | {"frames": frames}))


NERF = dict(fl_x=60.0, fl_y=61.0, cx=33.0, cy=23.0, w=64, h=48)


@settings(deadline=None, max_examples=30)
@given(world_from_cam=cameras(), world=st.sampled_from(["first", "file"]))
def test_nerfstudio_s_cameras_are_opengl_s_in_a_world_with_z_up(folder, world_from_cam, world):
    write_transforms(folder / "n.json", world_from_cam, **NERF, camera_model="OPENCV", k1=0, p2=0.0)
    path = read_path(folder / "n.json", world=world)
    assert_same(path, world_from_cam, first=world == "first", atol=5e-4)
    assert path.size == (48, 64) and lens_of(path) == [60, 61, 33, 23]


def test_frames_of_transforms_come_in_the_order_of_their_names(tmp_path):
    places = np.stack([moving_right(t) for t in (0, 11, 2, 100)])
    write_transforms(tmp_path / "n.json", places, ["f_0.png", "f_11.png", "f_2.png", "f_100.png"], **NERF)
    assert torch.allclose(read_path(tmp_path / "n.json").eye[:, 0], torch.tensor([0, 0.2, 1.1, 10]), atol=1e-6)
    write_transforms(tmp_path / "n.json", places, ["same.png"] * 4, **NERF)
    assert torch.allclose(read_path(tmp_path / "n.json").eye[:, 0], torch.tensor([0, 1.1, 0.2, 10]), atol=1e-6)


@pytest.mark.parametrize("width, height", [(800, 800), (640, 360), (360, 640)])
def test_blender_s_angle_is_that_of_the_picture_s_width(tmp_path, width, height):
    write_transforms(tmp_path / "n.json", np.eye(4)[None], camera_angle_x=np.radians(60))
    focal = width / 2 / np.tan(np.radians(30))
    lens = lens_of(read_path(tmp_path / "n.json", (height, width)))
    assert lens == pytest.approx([focal, focal, width / 2, height / 2])


@pytest.mark.parametrize("change, message", [
    (dict(k1=0.1), "distortion"), (dict(p2=-1e-3), "distortion"), (dict(distortion_params=[0, 0.1]), "distortion"),
    (dict(camera_model="OPENCV_FISHEYE"), "not a pinhole"),
    (dict(camera_model="EQUIRECTANGULAR"), "not a pinhole"), (dict(camera_model=[1]), "not a pinhole"),
    (dict(is_fisheye=True), "not a pinhole"), (dict(fl_x="far"), "fl_x must be a number"), (dict(w=0), "whole pixels"),
    (dict(fl_x=-1), "focal lengths must be positive"), (dict(fl_x=float("inf")), "NaN or infinity"),
    (dict(frames=3), "no list of frames"), (dict(frames=[{}]), "transform_matrix must be numbers"),
    (dict(frames=[{"transform_matrix": np.diag([2.0, 2, 2, 1]).tolist()}]), "frame 0 is not rigid")])
def test_transforms_that_are_no_pinholes_or_damaged_are_refused(tmp_path, change, message):
    write_transforms(tmp_path / "n.json", np.eye(4)[None], **NERF)
    (tmp_path / "n.json").write_text(json.dumps(json.loads((tmp_path / "n.json").read_text()) | change))
    with pytest.raises(ValueError, match=message):
        read_path(tmp_path / "n.json")


@settings(deadline=None, max_examples=30)
@given(world_from_cam=cameras())
def test_gaussian_splatting_s_cameras_lead_into_the_world(folder, world_from_cam):
    entries = [dict(id=k, img_name=f"{t:05d}", width=64, height=48, position=world_from_cam[t, :3, 3].tolist(),
                    rotation=world_from_cam[t, :3, :3].tolist(), fx=60.0, fy=61.0)
               for k, t in enumerate(reversed(range(T)))]  # listed backwards, as test pictures come first there
    (folder / "cameras.json").write_text(json.dumps(entries))
    path = read_path(folder / "cameras.json")
    assert_same(path, world_from_cam, first=True, atol=5e-4)
    assert path.size == (48, 64) and lens_of(path) == [60, 61, 32, 24]


@pytest.mark.parametrize("frames", [None, T])
@pytest.mark.parametrize("content, message", [
    ([[1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0]] * T, "list of numbers or matrices"), ([np.eye(4).tolist()] * T, "matrices"),
    ([1, 2, 3], "list of numbers"), ([{"c2w": [1]}], "first entry has c2w"), ({"poses": []}, "lacks cam_from_world")])
def test_json_that_is_no_camera_path_is_told_what_it_is(tmp_path, content, message, frames):
    (tmp_path / "c.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=message):
        read_path(tmp_path / "c.json", SIZE, frames, radius=2.0)


def test_neoverse_s_matrices_run_straight_and_along_the_shortest_arc(tmp_path):
    turns = Rotation.from_euler("xyz", [[0, 0, 0], [20, -30, 5], [-10, 40, 60]], degrees=True)
    places = np.array([[0, 0, 0], [0.3, -0.2, 0.5], [1.0, 0, -1]])
    matrices = np.tile(np.eye(4), (3, 1, 1))
    matrices[:, :3, :3], matrices[:, :3, 3] = turns.as_matrix(), places
    at, knots = np.arange(13), [0, 4, 12]
    expected = np.tile(np.eye(4), (13, 1, 1))
    expected[:, :3, :3] = Slerp(knots, turns)(at).as_matrix()
    expected[:, :3, 3] = np.stack([np.interp(at, knots, places[:, axis]) for axis in range(3)], 1)
    content = {"num_frames": 13, "trajectory": {"frame_indices": knots, "frame_matrices": matrices.tolist()}}
    (tmp_path / "n.json").write_text(json.dumps(content))
    assert_same(read_path(tmp_path / "n.json", SIZE), expected)
    np.savez(tmp_path / "n.npz", frame_indices=knots, frame_matrices=matrices)
    assert_same(read_path(tmp_path / "n.npz", SIZE), expected)


@pytest.mark.parametrize("move, eye, ahead", [
    ({"pan_right": {"angle": 30}}, [0, 0, 0], [0.5, 0, 0.8660254]), ({"pan_left": {"angle": 30}}, [0, 0, 0],
                                                                     [-0.5, 0, 0.8660254]),
    ({"tilt_up": {"angle": 30}}, [0, 0, 0], [0, -0.5, 0.8660254]), ({"tilt_down": {"angle": 30}}, [0, 0, 0],
                                                                    [0, 0.5, 0.8660254]),
    ({"move_left": {"distance": 2}}, [-2, 0, 0], [0, 0, 1]), ({"move_right": {}}, [0.1, 0, 0], [0, 0, 1]),
    ({"push_in": {"distance": 2}}, [0, 0, 2], [0, 0, 1]), ({"pull_out": {"distance": 2}}, [0, 0, -2], [0, 0, 1]),
    ({"boom_up": {"distance": 2}}, [0, -2, 0], [0, 0, 1]), ({"boom_down": {"distance": 2}}, [0, 2, 0], [0, 0, 1]),
    ({"orbit_right": {"angle": 90, "orbit_radius": 2}}, [2, 0, 2], [-1, 0, 0]),
    ({"orbit_left": {"angle": 90, "orbit_radius": 2}}, [-2, 0, 2], [1, 0, 0]), ({"static": {}}, [0, 0, 0], [0, 0, 1])])
def test_every_move_of_neoverse_goes_where_its_name_says(tmp_path, move, eye, ahead):
    content = {"mode": "global", "num_frames": 3, "keyframes": [{"0": [{"static": {}}]}, {"2": [move]}]}
    (tmp_path / "n.json").write_text(json.dumps(content))
    path = read_path(tmp_path / "n.json", SIZE)
    assert torch.allclose(path.eye[-1], torch.tensor(eye, dtype=torch.float32), atol=1e-6)
    assert torch.allclose(path.cam_from_world[-1, 2, :3], torch.tensor(ahead, dtype=torch.float32), atol=1e-6)


def test_neoverse_s_moves_add_up_zoom_runs_and_relative_goes_on_from_the_source(tmp_path):
    content = {"num_frames": 3, "zoom_ratio": 2, "keyframes": [
        {"0": [{"static": {}}]}, {"1": [{"pan_right": {"angle": 90}}, {"push_in": {"distance": 1}}]},
        {"2": [{"push_in": {"distance": 1}}]}]}
    (tmp_path / "n.json").write_text(json.dumps(content))
    path = read_path(tmp_path / "n.json", SIZE)
    assert torch.allclose(path.eye, torch.tensor([[0.0, 0, 0], [1, 0, 0], [2, 0, 0]]), atol=1e-6)
    focal = default_intrinsics(SIZE)[0, 0]
    assert torch.allclose(path.intrinsics[:, 0, 0], focal * torch.tensor([1, 1.5, 2]))
    source = torch.eye(4).repeat(3, 1, 1)
    source[:, 1, 3] = torch.tensor([0.0, 5, 6])
    moved = read_path(tmp_path / "n.json", SIZE, source=source)
    assert torch.allclose(moved.eye, torch.tensor([[0.0, 0, 0], [1, 5, 0], [2, 6, 0]]), atol=1e-6)
    with pytest.raises(ValueError, match="goes on from 3 source cameras, but the clip has 2"):
        read_path(tmp_path / "n.json", SIZE, source=source[:2])


@settings(deadline=None, max_examples=50)
@given(st.floats(-180, 180), st.floats(-85, 85), st.floats(0.1, 3), st.floats(-1, 1), st.floats(0.1, 20))
def test_crossviewwarp_s_keyframes_stand_where_its_formula_puts_them(folder, turned, raised, distance, shift, radius):
    """eye = pivot + dist Ry(-az) Rx(-el) (-pivot), looking at the pivot, level; the picture vs of its height lower."""
    (folder / "c.json").write_text(json.dumps([{"f": 1, "az": 0, "el": 0, "dist": 1},
                                               {"f": T, "az": turned, "el": raised, "dist": distance, "vs": shift}]))
    path = read_path(folder / "c.json", SIZE, T, radius=radius)
    pivot = np.array([0, 0, radius])
    eye = pivot + distance * (Rotation.from_euler("xy", [-raised, -turned], degrees=True).apply(-pivot))
    assert np.allclose(path.eye[-1].numpy(), eye, atol=1e-4 * radius)
    seen = path.cam_from_world[-1].double().numpy() @ [*pivot, 1]
    assert np.allclose(seen[:3], [0, 0, radius * distance], atol=1e-4 * radius)
    assert abs(path.cam_from_world[-1, 0, 1]) < 1e-5  # level
    assert float(path.intrinsics[-1, 1, 2]) == pytest.approx(SIZE[0] * (0.5 + shift), abs=1e-2)
    assert torch.allclose(path.cam_from_world[0], torch.eye(4), atol=1e-6)


@pytest.mark.parametrize("change, message", [
    ({"f": 0}, "f must be a number in 1..5"), ({"f": 6}, "f must be"), ({"az": None}, "az must be"),
    ({"el": 95}, "el must be"), ({"dist": 0}, "dist must be"), ({"px": 0.5}, "px must be a number in 0..0"),
    ({"vs": True}, "vs must be"), ({"f": 5}, "the same f"), ({"pz": 2}, "moves its pivot")])
def test_crossviewwarp_s_keyframes_that_no_orbit_can_follow_are_refused(tmp_path, change, message):
    keyframe = {"f": 1, "az": 0, "el": 0, "dist": 1}
    (tmp_path / "c.json").write_text(json.dumps([keyframe | change, keyframe | {"f": 5}]))
    with pytest.raises(ValueError, match=message):
        read_path(tmp_path / "c.json", SIZE, T, radius=2.0)


def test_crossviewwarp_s_azimuths_take_the_short_way(tmp_path):
    (tmp_path / "c.json").write_text('[{"f":5,"az":-170,"el":0,"dist":1},{"f":1,"az":170,"el":0,"dist":1}]')
    eye = read_path(tmp_path / "c.json", SIZE, T, radius=2.0).eye
    assert torch.allclose(eye[2], torch.tensor([0.0, 0, 4]), atol=1e-5)  # behind the target, halfway
