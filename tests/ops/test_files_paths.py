"""Camera paths come back from every format, samples by hand mean what their makers say, junk gets one sentence."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ex4d_ops.camera import check_rigid, default_intrinsics, transform
from ex4d_ops.files import read_path, write_path
from ex4d_ops.files.paths import FORMATS
from ex4d_ops.trajectory import move_path, parse_moves, released_path

GOLDEN = Path(__file__).parents[1] / "golden" / "cameras.npz"
SIZE = (288, 512)
INTRINSICS = default_intrinsics(SIZE)
SUFFIXES = {"ex4d": ".json", "released": ".npz", "colmap": "", "chan": ".chan", "realestate": ".txt",
            "recammaster": ".json", "vista4d": ".npz", "neoverse": ".json"}
WRITTEN = [name for name, kind in FORMATS.items() if kind.write]
WILD = "orbit:yaw=-70..70,pitch=30..-120+dolly:distance=-0.4+roll:angle=200"


def path_of(moves: str, frames: int = 9, size=SIZE):
    return move_path(parse_moves(moves), frames, 2.74, default_intrinsics(size), size)


def distance(first, second) -> float:
    return float((first.cam_from_world - second.cam_from_world).abs().max())


def test_every_written_format_is_tested():
    assert set(SUFFIXES) == set(WRITTEN)


@pytest.mark.parametrize("name", WRITTEN)
@pytest.mark.parametrize("moves", [WILD, "orbit:pitch=90", "orbit:yaw=-360..360", "preset-180", "static"])
def test_written_paths_come_back(tmp_path, name, moves):
    path = path_of(moves)
    file = tmp_path / f"path{SUFFIXES[name]}"
    write_path(file, path, name)
    back = read_path(file, SIZE, world="file")
    assert distance(path, back) < 2e-6
    assert torch.allclose(path.intrinsics, back.intrinsics, rtol=1e-6)
    assert back.size == SIZE and len(back) == len(path)


@pytest.mark.parametrize("name", ["ex4d", "released", "colmap", "chan", "realestate"])
def test_focal_lengths_that_change_come_back(tmp_path, name):
    path = path_of("zoom:factor=2.5+dolly")
    file = tmp_path / f"path{SUFFIXES[name]}"
    write_path(file, path, name)
    assert torch.allclose(path.intrinsics, read_path(file, SIZE).intrinsics, rtol=1e-5)


@pytest.mark.parametrize("name", ["ex4d", "released"])
def test_our_formats_keep_every_bit_and_the_source_frames(tmp_path, name):
    path = path_of("spiral+zoom")
    path = type(path)(path.cam_from_world, path.intrinsics, path.size, torch.tensor([0, 0, 0, 1, 2, 7, 6, 5, 5]))
    file = tmp_path / f"path{SUFFIXES[name]}"
    write_path(file, path)
    back = read_path(file)
    for field in ("cam_from_world", "intrinsics", "source_frame"):
        assert torch.equal(getattr(path, field), getattr(back, field)), field
    assert back.size == path.size


@pytest.mark.parametrize("name", ["realestate", "recammaster"])
def test_formats_with_a_world_of_their_own_begin_at_the_source_camera(tmp_path, name):
    path = path_of("orbit:yaw=-60..60")
    file = tmp_path / f"path{SUFFIXES[name]}"
    write_path(file, path, name)
    back = read_path(file, SIZE)
    assert torch.allclose(back.cam_from_world[0], torch.eye(4), atol=1e-6)
    point = torch.tensor([[0.3, -0.2, 4.0]])  # seen by camera 0: every later camera sees it where it did
    for camera, moved in zip(path.cam_from_world, back.cam_from_world):
        world = transform(torch.linalg.inv(path.cam_from_world[0]), point)
        assert torch.allclose(transform(camera, world), transform(moved, point), atol=1e-5)


def test_released_file_is_preset_180(tmp_path):
    """The released camera file as its code saves it: rows 0 to 2 of its look-at (the goldens') negated in place."""
    path = released_path("180", 49, 2.740, default_intrinsics((512, 512)), (512, 512))
    stored = torch.from_numpy(np.load(GOLDEN)["cam180_n49_r2.74"].copy())
    stored[:, :3] *= -1
    np.savez(tmp_path / "camera_180.npz", extrinsics=stored.numpy(), intrinsics=path.intrinsics[0].numpy())
    back = read_path(tmp_path / "camera_180.npz")
    assert distance(path, back) < 1e-6 and torch.equal(back.intrinsics, path.intrinsics) and back.size == (512, 512)


def test_a_view_read_for_another_size_is_the_same_view(tmp_path):
    write_path(tmp_path / "path.json", path_of("orbit"))
    back = read_path(tmp_path / "path.json", (576, 1024))
    assert back.size == (576, 1024) and torch.allclose(back.intrinsics[0], default_intrinsics((576, 1024)))


REALESTATE = """https://www.youtube.com/watch?v=x
100 0.5 0.9 0.5 0.5 0 0 1 0 0 0 0 1 0 0 0 0 1 0
33433 0.5 0.9 0.5 0.5 0 0 0 0 -1 2 0 1 0 -0.5 1 0 0 3
"""


def test_realestate_sample(tmp_path):
    """World-to-camera 3x4 row by row, focal lengths as shares of their own picture: as in CameraCtrl's own samples."""
    (tmp_path / "clip.txt").write_text(REALESTATE)
    path = read_path(tmp_path / "clip.txt", (200, 400))
    assert torch.allclose(path.intrinsics[1], torch.tensor([[200.0, 0, 200], [0, 200, 100], [0, 0, 1]]))
    seen = transform(path.cam_from_world[1], torch.tensor([[0.0, 0, 5]]))
    assert torch.allclose(seen, torch.tensor([[-3.0, -0.5, 3]]), atol=1e-6)


def test_colmap_sample(tmp_path):
    """A quarter turn about y as (w, x, y, z); frames sort by name, numbers by value; lines of points are skipped."""
    (tmp_path / "cameras.txt").write_text("# cameras\n7 SIMPLE_PINHOLE 400 200 350 200 100\n"
                                          "3 PINHOLE 400 200 1 2 3 4\n")
    (tmp_path / "images.txt").write_text(
        "# images\n"
        "5 0.7071067811865476 0 0.7071067811865476 0 1 2 3 7 shot_10.png\n"
        "12.5 30.25 -1 80.5 90.25 44\n"
        "9 1 0 0 0 0 0 0 3 shot_9.png\n\n")
    path = read_path(tmp_path)
    assert path.size == (200, 400)
    assert path.intrinsics.tolist() == [[[1, 0, 3], [0, 2, 4], [0, 0, 1]], [[350, 0, 200], [0, 350, 100], [0, 0, 1]]]
    assert torch.equal(path.cam_from_world[0], torch.eye(4))
    assert torch.allclose(transform(path.cam_from_world[1], torch.tensor([[0.0, 0, 5]])), torch.tensor([[6.0, 2, 3]]))
    assert distance(path, read_path(tmp_path / "images.txt")) == 0


def test_chan_sample(tmp_path):
    """Nuke: y up, cameras look along -z, rotation order ZXY (Ry Rx Rz), vertical field of view, degrees."""
    (tmp_path / "shot.chan").write_text("# comment\n1001 0 0 0 0 0 0 90\n1002 1 2 3 0 -90 0 90\n1003 0 0 0 30 90 0 90\n"
                                        "1004 0 0 0 0 0 10 90\n")
    path = read_path(tmp_path / "shot.chan", (200, 400))
    assert torch.allclose(path.intrinsics[0], torch.tensor([[100.0, 0, 200], [0, 100, 100], [0, 0, 1]]))
    assert torch.allclose(path.cam_from_world[0], torch.eye(4))
    assert torch.allclose(path.eye[1], torch.tensor([1.0, -2, -3]), atol=1e-6)  # 2 up, 3 back
    forward = path.cam_from_world[:, 2, :3]
    assert torch.allclose(forward[1], torch.tensor([1.0, 0, 0]), atol=1e-6)  # turned right by 90
    # Turned left by 90 about the world's upright, after tilting up by 30.
    assert torch.allclose(forward[2], torch.tensor([-(3 ** 0.5) / 2, -0.5, 0]), atol=1e-6)
    right = path.cam_from_world[3, 0, :3]
    assert right[1] < -0.1  # positive roll lifts the right side


HERE, STRAIGHT = "[3390 1380 240 1] ", "[1 0 0 0] [-0 1 0 0] [0 -0 1 0]"
RECAMMASTER = {
    "frame0": {"cam01": f"{STRAIGHT} {HERE}", "cam05": f"{STRAIGHT} {HERE}"},
    "frame1": {"cam01": f"[0.8 0.6 0 0] [-0.6 0.8 0 0] [0 0 1 0] {HERE}", "cam05": f"{STRAIGHT} [3490 1430 340 1] "},
    "frame10": {"cam01": f"[0.8 0 0.6 0] [0 1 0 0] [-0.6 0 0.8 0] {HERE}", "cam05": f"{STRAIGHT} {HERE}"}}


def test_recammaster_sample(tmp_path):
    """Unreal: rows are the axes forward, right, up in the world, then the place in centimetres; relative to frame 0."""
    (tmp_path / "camera_extrinsics.json").write_text(json.dumps(RECAMMASTER))
    slid = read_path(tmp_path / "camera_extrinsics.json", (480, 832), camera="cam05")
    assert torch.allclose(slid.eye, torch.tensor([[0.0, 0, 0], [0.5, -1, 1], [0, 0, 0]]), atol=1e-5)
    turned = read_path(tmp_path / "camera_extrinsics.json", (480, 832), camera="cam01")
    assert torch.allclose(turned.cam_from_world[1, 2, :3], torch.tensor([0.6, 0, 0.8]), atol=1e-6)  # looks right
    assert torch.allclose(turned.cam_from_world[2, 2, :3], torch.tensor([0, -0.6, 0.8]), atol=1e-6)  # looks up
    with pytest.raises(ValueError, match="contains the cameras cam01, cam05; give the name of one"):
        read_path(tmp_path / "camera_extrinsics.json", (480, 832))
    with pytest.raises(ValueError, match="does not contain a camera cam02; choose one of cam01, cam05"):
        read_path(tmp_path / "camera_extrinsics.json", (480, 832), camera="cam02")


def test_trajectorycrafter_sample(tmp_path):
    """+theta rises, +phi goes right, +r goes forward, each around or towards the target."""
    for text, moves in (("0 30\n0 0 0\n0\n", "orbit:pitch=30"), ("0\n0 -40\n0 0 0.0\n", "orbit:yaw=-40"),
                        ("0\n0\n0 0.3\n", "dolly:distance=0.3")):
        (tmp_path / "loop.txt").write_text(text)
        path = read_path(tmp_path / "loop.txt", SIZE, frames=5, radius=2.74)
        assert distance(path, path_of(moves, 5)) < 1e-6, moves


def test_trajectorycrafter_turns_theta_first_and_moves_before_turning(tmp_path):
    (tmp_path / "loop.txt").write_text("0 20\n0 50\n0 0.25\n")
    path = read_path(tmp_path / "loop.txt", SIZE, frames=2, radius=2.0)
    cos, sin = np.cos(np.radians([20, 50])), np.sin(np.radians([20, 50]))
    about_x = np.array([[1, 0, 0], [0, cos[0], -sin[0]], [0, sin[0], cos[0]]])
    about_y = np.array([[cos[1], 0, sin[1]], [0, 1, 0], [-sin[1], 0, cos[1]]])
    turn, point = about_y @ about_x, np.array([0.3, -0.4, 5.0])
    expected = turn @ (point - [0, 0, 2] - [0, 0, 0.5]) + [0, 0, 2]
    seen = transform(path.cam_from_world[1], torch.from_numpy(point).float()[None])
    assert np.allclose(seen[0].numpy(), expected, atol=1e-5)


def test_trajectorycrafter_loops_run_smoothly_through_both_ends(tmp_path):
    (tmp_path / "loop.txt").write_text("0 2 10 15 12 6 0 -2 -5 -12 -8 -3 0\n0 -3 -10 -20 -30 -25 -17 -10 0\n"
                                       "0 -0.02 -0.09 -0.16 -0.25 -0.2 -0.09 0")
    path = read_path(tmp_path / "loop.txt", SIZE, radius=3.0)
    assert len(path) == 49
    assert torch.allclose(path.cam_from_world[[0, -1]], torch.eye(4).expand(2, 4, 4), atol=1e-5)
    assert path.eye[:, 0].min() < -0.8  # phi < 0: to the left
    assert (path.eye - torch.tensor([0, 0, 3.0])).norm(dim=-1).max() > 3.3  # r < 0: away from the target


def test_a_list_of_keyframes_is_a_path(tmp_path):
    (tmp_path / "keys.json").write_text('[{"frame": 0},\n {"frame": 8, "yaw": 50}]')
    lens = INTRINSICS * torch.tensor([[1.5], [1.5], [1]])
    path = read_path(tmp_path / "keys.json", SIZE, frames=9, radius=2.74, intrinsics=lens)
    assert distance(path, path_of("orbit:yaw=50")) < 1e-5 and torch.equal(path.intrinsics[8], lens)
    with pytest.raises(ValueError, match=r"keys.json: keyframe 1 \(line 2\): frame must be a number in 0..4"):
        read_path(tmp_path / "keys.json", SIZE, frames=5, radius=2.74)
    with pytest.raises(ValueError, match="give the number of frames"):
        read_path(tmp_path / "keys.json", SIZE, radius=2.74)


@pytest.mark.parametrize("name, text", [("a.txt", "0\n0 9\n0"), ("a.chan", "1 0 0 0 0 0 0"),
                                        ("a.json", '{"frame0": {"c": "[1 0 0 0] [0 1 0 0] [0 0 1 0] [0 0 0 1]"}}')])
def test_formats_without_a_lens_take_the_sources(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    lens = INTRINSICS * torch.tensor([[1.5], [1.4], [1]])
    assert torch.allclose(read_path(tmp_path / name, SIZE, radius=2.0, intrinsics=lens).intrinsics[0], lens)
    assert torch.allclose(read_path(tmp_path / name, SIZE, radius=2.0).intrinsics[0], INTRINSICS)


def broken_files():
    ours = json.loads(FORMATS["ex4d"].write(path_of("orbit"))[""])
    cameras = np.array(ours["cam_from_world"])
    mirrored, scaled, nan = cameras.copy(), cameras.copy(), cameras.copy()
    mirrored[:, 0] *= -1
    scaled[2, :3, :3] *= 3
    nan[1, 0, 0] = np.nan

    def changed(**fields):
        return json.dumps(ours | fields)

    broken_json = [
        ("", "line 1 is not JSON"), ("{", "line 1 is not JSON"), ("[" * 100000, "too deep"),
        ("[]", "must be a list of objects"), ("{}", "lacks cam_from_world"), ("3", "lacks cam_from_world"),
        ('{"frame0": 3}', "no cameras"), ('{"frame0": {"cam01": "[1 0 0]"}}', "four rows"),
        ('{"frame0": {"c": "[0 0 0 0] [0 0 0 0] [0 0 0 0] [0 0 0 1]"}}', "frame 0 is not rigid"),
        (changed(version=2), "version 2, but only version 1 can be read"), (changed(size=[0, 5]), "whole pixels"),
        (changed(size="big"), "size must be numbers"), (changed(source_frame=[1]), r"is \[1\], must be \[9\]"),
        (changed(source_frame=[-1] * 9), "negative"), (changed(source_frame=[10**400] * 9), "numbers"),
        (changed(cam_from_world=mirrored.tolist()), "mirrored"),
        (changed(cam_from_world=scaled.tolist()), "frame 2 is not rigid"),
        (changed(cam_from_world=nan.tolist()), "NaN"), (changed(cam_from_world=[]), r"is \[0\]"),
        (changed(cam_from_world=[[1], [2, 3]]), "must be numbers"),
        (changed(intrinsics=np.zeros((9, 3, 3)).tolist()), "focal lengths must be positive")]
    return [("a.json", text, message) for text, message in broken_json] + [
        ("a.npz", "", "cannot be read as npz"), ("a.npz", "PK\3\4 nothing", "cannot be read as npz"),
        ("a.txt", "", "is empty"),
        ("a.txt", "https://x\n1 2 3\n", "should read: time fx fy"), ("a.txt", "https://x\n", "does not contain a "
                                                                                             "camera"),
        ("a.txt", REALESTATE.replace(" 0.5 0.5 0 0", " 0.5 0.5 0.1 0"), "lens distortion"),
        ("a.txt", "1 2\n3\n4 x\n", "should read"), ("a.txt", "1\n2\nnan\n", "within"),
        ("a.chan", "1 2 3\n", "should read: frame tx"), ("a.chan", "1 0 0 0 0 0 0 180\n", "field of view"),
        ("a.chan", "1 0 0 0 nan 0 0 60\n", "NaN"), ("a.mp4", "x", "'.mp4' is not a camera path")]


@pytest.mark.parametrize("name, text, message", broken_files())
def test_bad_files_get_one_sentence_that_names_them(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=message) as error:
        read_path(tmp_path / name, SIZE, 9 if message.startswith("must be a list") else None, radius=2.0)
    assert str(error.value).startswith(str(tmp_path / name)) and "\n" not in str(error.value)


@pytest.mark.parametrize("cameras, images, message", [
    ("1 OPENCV 4 4 1 1 2 2 0 0 0 1", "1 1 0 0 0 0 0 0 1 a.png", "OPENCV is not a pinhole, because its dist.* is not 0"),
    ("1 FISHEYE 4 4 1 1 2 2", "1 1 0 0 0 0 0 0 1 a.png", "FISHEYE is not a pinhole; undistort"),
    ("1 PINHOLE 4 4 1 1 2", "1 1 0 0 0 0 0 0 1 a.png", "should read: CAMERA_ID PINHOLE"),
    ("1 PINHOLE 4 4 1 1 2 2", "1 1 0 0 0 0 0 0 2 a.png", "lacks camera 2"),
    ("1 PINHOLE 4 4 1 1 2 2", "1 0 0 0 0 0 0 0 1 a.png", "quaternion of length 0"),
    ("1 PINHOLE 4 4 1 1 2 2", "1 one 0 0 0 0 0 0 1 a.png", "should read: IMAGE_ID"),
    ("1 PINHOLE 4 4 1 1 2 2", "1 2 3", "does not contain an image"),
    ("1 PINHOLE 4 4 1 1 2 2\n2 PINHOLE 8 8 1 1 2 2", "1 1 0 0 0 0 0 0 1 a.png\n\n2 1 0 0 0 0 0 0 2 b.png", "2 sizes")])
def test_bad_colmap_folders_get_one_sentence(tmp_path, cameras, images, message):
    (tmp_path / "cameras.txt").write_text(cameras)
    (tmp_path / "images.txt").write_text(images)
    with pytest.raises(ValueError, match=message):
        read_path(tmp_path)


def test_missing_files_and_sizes_are_named(tmp_path):
    with pytest.raises(ValueError, match="cannot be read"):
        read_path(tmp_path / "none.npz")
    with pytest.raises(ValueError, match="cannot be read"):
        read_path(tmp_path)  # a folder without a model
    (tmp_path / "a.chan").write_text("1 0 0 0 0 0 0 60\n")
    with pytest.raises(ValueError, match="does not store a picture size"):
        read_path(tmp_path / "a.chan")
    with pytest.raises(ValueError, match="has 1 frames, but 49 are needed; choose the path length fit"):
        read_path(tmp_path / "a.chan", SIZE, frames=49)
    (tmp_path / "a.txt").write_text("0\n0\n0\n")
    with pytest.raises(ValueError, match="give the radius"):
        read_path(tmp_path / "a.txt", SIZE)
    with pytest.raises(ValueError, match="'abc' is not a path format; use one of ex4d"):
        read_path(tmp_path / "a.txt", SIZE, format="abc")


def test_paths_a_format_cannot_hold_are_refused_and_nothing_is_left(tmp_path):
    path = path_of("orbit")
    wide = type(path)(path.cam_from_world, path.intrinsics * torch.tensor([[2.0], [1], [1]]), path.size)
    with pytest.raises(ValueError, match="lens with square pixels"):
        write_path(tmp_path / "a.chan", wide)
    with pytest.raises(ValueError, match="is not written"):
        write_path(tmp_path / "a.txt", path, "trajectorycrafter")
    with pytest.raises(OSError, match="cannot be written"):
        write_path(tmp_path / "none" / "a.json", path)
    assert list(tmp_path.iterdir()) == []


def read_or_refuse(path, **options):
    """Read a path; a ValueError is the one thing that may go wrong."""
    try:
        cameras = read_path(path, SIZE, radius=2.0, **options)
    except ValueError as error:
        assert "\n" not in str(error)
        return
    check_rigid("path", cameras.cam_from_world)
    assert torch.isfinite(cameras.intrinsics).all()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


@settings(deadline=None, max_examples=150)
@given(st.binary(max_size=200), st.sampled_from([".json", ".npz", ".txt", ".chan"]))
def test_random_bytes_are_refused(folder, content, suffix):
    (folder / f"a{suffix}").write_bytes(content)
    read_or_refuse(folder / f"a{suffix}")


def whole_files() -> dict[str, bytes]:
    path = path_of("spiral+roll", 3)
    return {name: content for name in WRITTEN for content in FORMATS[name].write(path).values()
            if name != "colmap"} | {"trajectorycrafter": b"0 2 10 15 12\n0 -3 -10 -20\n0 -0.02 -0.1"}


WHOLE = whole_files()


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(list(WHOLE)), st.data())
def test_damaged_files_are_read_or_refused(folder, name, data):
    """Cut short, a byte changed, or a piece doubled."""
    content = WHOLE[name]
    at = data.draw(st.integers(0, len(content) - 1))
    cut, changed, doubled = content[:at], bytearray(content), content[:at] + content[at // 2:]
    changed[at] = data.draw(st.integers(0, 255))
    damaged = data.draw(st.sampled_from([cut, bytes(changed), doubled]))
    (folder / "b").write_bytes(damaged)
    read_or_refuse(folder / "b", format=name)


@settings(deadline=None, max_examples=100)
@given(st.sampled_from(["cameras.txt", "images.txt"]), st.data())
def test_damaged_colmap_models_are_read_or_refused(folder, name, data):
    files = FORMATS["colmap"].write(path_of("orbit", 3))
    at = data.draw(st.integers(0, len(files[name]) - 1))
    files[name] = files[name][:at] + data.draw(st.binary(max_size=3)) + files[name][at + data.draw(st.integers(0, 20)):]
    (folder / "model").mkdir(exist_ok=True)
    for file_name, content in files.items():
        (folder / "model" / file_name).write_bytes(content)
    read_or_refuse(folder / "model")


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3), max_leaves=8)


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(["version", "size", "source_frame", "intrinsics", "cam_from_world", "frame0", "frame1"]),
       json_values)
def test_json_of_any_shape_is_read_or_refused(folder, field, value):
    content = json.loads(WHOLE["recammaster" if field.startswith("frame") else "ex4d"]) | {field: value}
    (folder / "c.json").write_text(json.dumps(content))
    read_or_refuse(folder / "c.json")


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(["extrinsics", "intrinsics", "size", "source_frame"]),
       st.sampled_from(["float32", "int8", "complex64", "U3", "bool"]), st.lists(st.integers(0, 4), max_size=4))
def test_arrays_of_any_kind_are_read_or_refused(folder, field, kind, shape):
    arrays = dict(np.load(io.BytesIO(WHOLE["released"])))
    np.savez(folder / "d.npz", **arrays | {field: np.ones(shape).astype(kind)})
    read_or_refuse(folder / "d.npz")
