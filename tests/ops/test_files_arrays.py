"""Laws of depth in npz and npy: the whole file decides what it means, only what is asked for is read, damage said."""

import io
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ex4d_ops.camera import invert_rigid, look_at, rigid
from ex4d_ops.depth import DepthUnits
from ex4d_ops.files import read_depth
from ex4d_ops.files.depth_arrays import MOTIONS
from ex4d_ops.rotation import rotate_about

Z = DepthUnits("depth")
MANY = settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
CLIP = np.linspace(1, 9, 5 * 6 * 8, dtype=np.float32).reshape(5, 6, 8)


def some_cameras(frames: int = 5) -> torch.Tensor:
    """cam_from_world [T, 4, 4] float64 of a camera that moves and turns, in the world of none of its frames."""
    eyes = torch.linspace(0, 1, frames)[:, None] * torch.tensor([0.4, -0.1, 0.2]) + torch.tensor([3.0, 1.0, -2.0])
    seen = look_at(eyes.double(), torch.tensor([5.0, 0.0, 9.0], dtype=torch.float64).expand(frames, 3))
    roll = rotate_about("z", torch.linspace(0, 0.3, frames, dtype=torch.float64))
    return rigid(roll, torch.zeros(frames, 3, dtype=torch.float64)) @ seen


# ---- what the numbers mean ----------------------------------------------------------------------


@MANY
@given(data=st.data(), frames=st.integers(2, 6), known=st.booleans())
def test_every_part_of_a_file_means_what_the_whole_file_means(tmp_path_factory, data, frames, known):
    """DepthCrafter's disparity spans 0..1 over the whole clip, wherever its ends lie."""
    low, high = data.draw(st.tuples(*[st.integers(0, frames * 6 - 1)] * 2).filter(lambda ends: ends[0] != ends[1]))
    values = np.linspace(0.2, 0.8, frames * 6, dtype=np.float32)
    values[low], values[high] = 0, 1 if known else 1.5
    values = values if known else values + 0.1  # else z in scene units
    path = tmp_path_factory.mktemp("part") / "depth.npz"
    np.savez(path, depth=values.reshape(frames, 2, 3))
    start = data.draw(st.integers(0, frames - 1))
    count = data.draw(st.integers(1, frames))
    if known:
        with pytest.raises(ValueError, match="does not say what its numbers mean; give the depth kind"):
            read_depth(path, start=start, frames=count)
    else:
        read = read_depth(path, start=start, frames=count).depth
        assert np.array_equal(read, values.reshape(frames, 2, 3)[start:start + count])


@pytest.mark.parametrize("low, high, asked", [(0, 1, True), (0, 1.0001, False), (0.0001, 1, False), (-0.1, 1, False)])
def test_only_a_span_of_exactly_0_to_1_is_asked_about(tmp_path, low, high, asked):
    values = CLIP / 10
    values[0, 0, 0], values[4, 5, 7], values[2, 2, 2] = low, high, np.nan
    np.savez(tmp_path / "depth.npz", depth=values)
    if asked:
        with pytest.raises(ValueError, match="give the depth kind"):
            read_depth(tmp_path / "depth.npz", fill=True)
    else:
        assert read_depth(tmp_path / "depth.npz", fill=True).depth.max() == np.float32(high)


@MANY
@given(data=st.data(), frames=st.integers(1, 4), height=st.integers(2, 4), width=st.integers(2, 4))
def test_every_axis_of_one_is_no_question(tmp_path_factory, data, frames, height, width):
    clip = np.arange(1, frames * height * width + 1, dtype=np.float32).reshape(frames, height, width)
    shape = list(clip.shape)
    for _ in range(data.draw(st.integers(1, 3))):
        shape.insert(data.draw(st.integers(0, len(shape))), 1)
    path = tmp_path_factory.mktemp("axes") / "depth.npz"
    np.savez(path, depth=clip.reshape(shape))
    assert np.array_equal(read_depth(path, Z).depth, clip)


@pytest.mark.parametrize("shape", [(6, 8), (1, 6, 8), (6, 8, 1), (1, 1, 6, 8), (1, 6, 8, 1)])
def test_one_picture_is_a_clip_of_one_frame(tmp_path, shape):
    np.save(tmp_path / "depth.npy", CLIP[0].reshape(shape))
    assert np.array_equal(read_depth(tmp_path / "depth.npy", Z).depth, CLIP[:1])


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f4", ">f8", "u1", "u2", ">u2", "i4", "u8"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed, lambda path, depth: np.save(path, depth)])
def test_every_kind_of_number_and_order_is_read_alike(tmp_path, dtype, order, save):
    values = np.asarray(np.arange(1, 241).reshape(5, 6, 8), dtype, order)
    path = tmp_path / "depth.npz"
    with open(path, "wb") as file:
        save(file, depth=values)
    read = read_depth(path, Z, start=1, frames=3).depth
    assert read.dtype == torch.float32 and np.array_equal(read, values[1:4].astype(np.float32))


def test_an_array_can_be_named(tmp_path):
    np.savez(tmp_path / "two.npz", near=CLIP, far=CLIP * 2)
    assert np.array_equal(read_depth(tmp_path / "two.npz", Z, channel="far").depth, CLIP * 2)
    with pytest.raises(ValueError, match="two.npz: contains near, far; there is no array 'depht' in it"):
        read_depth(tmp_path / "two.npz", Z, channel="depht")


# ---- cameras ------------------------------------------------------------------------------------

CAMERAS = some_cameras()
MOTION = (CAMERAS[0] @ invert_rigid(CAMERAS)).float()
LENS = np.array([[30, 0, 4.5], [0, 31, 3], [0, 0, 1]], np.float32)
BROUGHT = {
    "Depth Anything 3": {"extrinsics": CAMERAS[:, :3], "conf": CLIP, "intrinsics": np.tile(LENS, (5, 1, 1))},
    "VGGT": {"extrinsic": CAMERAS[None, :, :3], "intrinsic": np.tile(LENS, (1, 5, 1, 1))},
    "MegaSaM": {"cam_c2w": invert_rigid(CAMERAS), "intrinsic": LENS, "images": np.zeros((5, 6, 8, 3), np.uint8)},
    "pycolmap's word": {"cam_from_world": CAMERAS, "K": LENS},
    "ours": {"world_from_cam": MOTION, "intrinsics": LENS},
}


@pytest.mark.parametrize("program", BROUGHT)
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_every_known_program_brings_lens_and_motion(tmp_path, program, dtype, caplog):
    arrays = {name: np.asarray(array) for name, array in BROUGHT[program].items()}
    np.savez(tmp_path / "depth.npz", depth=CLIP,
             **{name: array.astype(dtype) if name in MOTIONS else array for name, array in arrays.items()})
    whole, part = read_depth(tmp_path / "depth.npz"), read_depth(tmp_path / "depth.npz", start=2, frames=2)
    assert torch.allclose(whole.world_from_cam, MOTION, atol=1e-2 if dtype == np.float16 else 1e-5)
    assert torch.allclose(whole.intrinsics, torch.from_numpy(LENS).expand(5, 3, 3))
    assert torch.equal(part.world_from_cam, whole.world_from_cam[2:4])
    assert not caplog.records


@pytest.mark.parametrize("name, cameras", [
    ("poses", CAMERAS), ("c2w", CAMERAS), ("w2c", CAMERAS), ("camera_poses", CAMERAS), ("extrinsics", CAMERAS),
    ("extrinsics", CAMERAS[:4, :3]), ("cam_c2w", CAMERAS[:, :3]), ("trajectory", CAMERAS[:, :3, 3])])
def test_every_camera_of_unknown_ways_is_said_and_left(tmp_path, name, cameras, caplog):
    np.savez(tmp_path / "depth.npz", depth=CLIP, **{name: np.asarray(cameras)})
    depth = read_depth(tmp_path / "depth.npz")
    assert torch.equal(depth.world_from_cam, torch.eye(4).expand(5, 4, 4))
    assert f"its cameras in {name} are not read" in caplog.text


@pytest.mark.parametrize("spoil, sentence", [
    (lambda cameras: cameras * 2, "is not rigid"),
    (lambda cameras: cameras * np.nan, "contains NaN or infinity"),
    (lambda cameras: cameras * np.array([[-1.0], [1], [1]]), "is mirrored")])
def test_known_cameras_that_are_none_are_refused(tmp_path, spoil, sentence):
    np.savez(tmp_path / "depth.npz", depth=CLIP, extrinsics=spoil(np.asarray(CAMERAS[:, :3])))
    with pytest.raises(ValueError, match=f"depth.npz: extrinsics: .*{sentence}"):
        read_depth(tmp_path / "depth.npz")


def test_a_lens_in_shares_of_the_picture_is_one_in_pixels(tmp_path):
    shares = LENS / np.array([[8], [6], [1]], np.float32)
    np.savez(tmp_path / "moge.npz", depth=CLIP, intrinsics=shares)
    assert torch.allclose(read_depth(tmp_path / "moge.npz").intrinsics[3], torch.from_numpy(LENS))


# ---- what is read, and what is claimed ----------------------------------------------------------


def peak_of(call) -> float:
    """Megabytes that numpy and Python hold at most while call runs."""
    tracemalloc.start()
    try:
        call()
    except ValueError:
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return peak / 2**20


def npy(shape: tuple, content: bytes = b"", descr: str = "<f4") -> bytes:
    """An npy that claims a shape, whatever it holds."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})
    return file.getvalue() + content


def zipped(path, compression=zipfile.ZIP_DEFLATED, **members: bytes):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return path


def test_an_array_that_is_not_asked_for_is_not_read(tmp_path):
    np.savez_compressed(tmp_path / "depth.npz", depth=CLIP, features=np.zeros(16_000_000, np.float64))
    assert peak_of(lambda: read_depth(tmp_path / "depth.npz")) < 8
    assert np.array_equal(read_depth(tmp_path / "depth.npz").depth, CLIP)


def test_of_a_long_clip_only_the_frames_asked_for_are_held(tmp_path):
    clip = np.arange(1, 401, dtype=np.float32)[:, None, None] + np.arange(90_000, dtype=np.float32).reshape(300, 300)
    np.savez_compressed(tmp_path / "depth.npz", depth=clip)
    assert peak_of(lambda: read_depth(tmp_path / "depth.npz", start=300, frames=4)) < 0.1 * clip.nbytes / 2**20


def test_a_clip_is_held_once(tmp_path):
    clip = np.random.default_rng(0).uniform(1, 9, (60, 200, 300)).astype(np.float32)
    np.savez(tmp_path / "depth.npz", depth=clip)
    assert peak_of(lambda: read_depth(tmp_path / "depth.npz", Z)) < 1.3 * clip.nbytes / 2**20


@pytest.mark.parametrize("shape, descr", [((10**6, 10**6, 10**6), "<f4"), ((1, 10**5, 10**5), "<f8"),
                                          ((10**9, 2, 2), "<u2"), ((3, 4, 5), "<f4"), ((-1, 4, 5), "<f4")])
@pytest.mark.parametrize("pack", [lambda path, content: path.with_suffix(".npy").write_bytes(content),
                                  lambda path, content: zipped(path, depth=content),
                                  lambda path, content: zipped(path, zipfile.ZIP_STORED, depth=content)])
def test_every_claim_to_hold_more_than_there_is_is_refused(tmp_path, shape, descr, pack):
    pack(tmp_path / "depth.npz", npy(shape, b"\0" * 64, descr))
    path = next(tmp_path.iterdir())
    assert peak_of(lambda: read_depth(path, Z)) < 8
    with pytest.raises(ValueError, match=r"depth.np[yz]: .*(damaged or cut short|not numbers)"):
        read_depth(path, Z)


def test_gigabytes_packed_into_little_are_refused_unread(tmp_path):
    path = tmp_path / "depth.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("depth.npy", "w") as member:
        member.write(npy((300, 1000, 500)))
        for _ in range(300):
            member.write(bytes(2_000_000))
    assert peak_of(lambda: read_depth(path, Z)) < 8
    with pytest.raises(ValueError, match="packed into .* bytes; that cannot be depth"):
        read_depth(path, Z)


# ---- damage -------------------------------------------------------------------------------------


def encrypt(content: bytes) -> bytes:
    """A zip whose first member claims to be encrypted."""
    changed = bytearray(content)
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        changed[changed.find(mark) + flags] |= 1
    return bytes(changed)


def another_method(content: bytes) -> bytes:
    """A zip whose first member claims to be packed in a way nobody knows."""
    changed = bytearray(content)
    for mark, place in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        changed[changed.find(mark) + place] = 97
    return bytes(changed)


def whole_npz(save=np.savez) -> bytes:
    file = io.BytesIO()
    save(file, depth=CLIP, intrinsics=np.tile(LENS, (5, 1, 1)), extrinsics=np.asarray(CAMERAS[:, :3]))
    return file.getvalue()


BROKEN = {
    "encrypted": encrypt(whole_npz()), "of an unknown method": another_method(whole_npz()), "empty": b"",
    "cut short": whole_npz()[:-40], "text": b"depth", "a zip of nothing": b"PK\5\6" + bytes(18),
    "a pickle": b"\x80\x04K\x01.", "an npy without a header": b"\x93NUMPY\x01\0",
    "an npy with a header of nonsense": b"\x93NUMPY\x01\0" + struct.pack("<H", 20) + b"{'descr': import os}",
    "an npy of a newer version": b"\x93NUMPY\x09\0" + bytes(80),
}


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.parametrize("suffix", ["npz", "npy"])
def test_every_broken_archive_is_said_to_be_in_one_line(tmp_path, kind, suffix):
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(BROKEN[kind])
    with pytest.raises(ValueError) as refused:
        read_depth(path, Z)
    assert str(refused.value).startswith(str(path)) and "\n" not in str(refused.value)


@pytest.mark.parametrize("content", [b"not an npy at all", b"", npy((2, 2), b"", "|O"),
                                     npy((2,), bytes(16), [("a", "<f4"), ("b", "<f4")])])
@pytest.mark.parametrize("name", ["depth", "intrinsics", "extrinsics", "metric"])
def test_every_member_that_is_no_array_of_numbers_is_refused(tmp_path, name, content):
    good = io.BytesIO()
    np.save(good, CLIP)
    path = zipped(tmp_path / "a.npz", **{"depth": good.getvalue(), name: content})
    with pytest.raises(ValueError, match="a.npz: ") as refused:
        read_depth(path)
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 400


@MANY
@given(places=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=6), keep=st.floats(0, 1),
       packed=st.booleans())
def test_damaged_archives_are_read_or_refused_in_one_line(tmp_path_factory, places, keep, packed):
    data = bytearray(whole_npz(np.savez_compressed if packed else np.savez))
    for place, value in places:
        data[int(place * (len(data) - 1))] = value
    path = tmp_path_factory.mktemp("damage") / "a.npz"
    path.write_bytes(data[:int(keep * len(data)) + 1])
    try:
        assert (read_depth(path, Z, fill=True).depth > 0).all()
    except ValueError as error:
        assert "\n" not in str(error) and len(str(error)) < 1000
