"""Laws of depth files: what is written comes back, others' files are understood, damage gets one sentence."""

import json
import shutil
from contextlib import suppress

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from ex4d_ops import VideoDepth
from ex4d_ops.camera import default_intrinsics, intrinsics_from_focal, look_at
from ex4d_ops.depth import DepthUnits
from ex4d_ops.files import read_depth, write_depth, write_video

TARGETS = {"npz": "depth.npz", "exr": "exrs", "png": "pngs", "video": "depth.mkv"}
EVERY_FORM = pytest.mark.parametrize("form", TARGETS)
Z = DepthUnits("depth")
ONE_FILE = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


def make_depth(frames: int = 3, size: tuple[int, int] = (9, 14), seed: int = 0) -> VideoDepth:
    """Random surfaces from 2 to 60 with a sky, seen by a camera that moves."""
    generator = torch.Generator().manual_seed(seed)
    depth = 2 * (torch.rand(frames, *size, generator=generator) * 3.4).exp()
    depth[:, 0, : size[1] // 2] = torch.inf
    eyes = torch.linspace(0, 0.5, frames)[:, None] * torch.tensor([1.0, 0.2, 0.3])
    world_from_cam = torch.linalg.inv(look_at(eyes, torch.tensor([0.0, 0.0, 5.0]).expand(frames, 3)))
    intrinsics = torch.stack([intrinsics_from_focal(11.0 + t, size) for t in range(frames)])
    return VideoDepth(depth, intrinsics, world_from_cam, metric=True)


# ---- round trips --------------------------------------------------------------------------------


@EVERY_FORM
def test_cameras_and_units_come_back_with_every_form(tmp_path, form):
    depth = make_depth()
    write_depth(tmp_path / TARGETS[form], depth, form)
    back = read_depth(tmp_path / TARGETS[form])
    assert torch.equal(back.intrinsics, depth.intrinsics) and torch.equal(back.world_from_cam, depth.world_from_cam)
    assert back.metric and torch.equal(back.depth.isinf(), depth.depth.isinf())


@pytest.mark.parametrize("form", ["npz", "exr"])
@ONE_FILE
@given(seed=st.integers(0, 2**31), frames=st.integers(1, 3), height=st.integers(1, 9), width=st.integers(2, 9))
def test_floats_come_back_bit_for_bit(tmp_path_factory, form, seed, frames, height, width):
    path, depth = tmp_path_factory.mktemp("depth") / TARGETS[form], make_depth(frames, (height, width), seed)
    write_depth(path, depth, form)
    assert torch.equal(read_depth(path).depth, depth.depth)


@pytest.mark.parametrize("form", ["png", "video"])
def test_whole_numbers_are_off_by_no_more_than_they_promise(tmp_path, form):
    depth = make_depth()
    write_depth(tmp_path / TARGETS[form], depth, form)
    back, solid = read_depth(tmp_path / TARGETS[form]).depth, depth.depth.isfinite()
    z, nearest = depth.depth[solid].double(), float(depth.depth.min())
    assert ((back[solid] - z).abs() <= z**2 / (131070 * nearest) * 1.01).all()


@EVERY_FORM
def test_start_and_frames_cut_out_what_they_say(tmp_path, form):
    depth = make_depth(5)
    write_depth(tmp_path / TARGETS[form], depth, form)
    whole, part = read_depth(tmp_path / TARGETS[form]), read_depth(tmp_path / TARGETS[form], start=1, frames=3)
    assert torch.equal(part.depth, whole.depth[1:4]) and torch.equal(part.intrinsics, whole.intrinsics[1:4])
    assert torch.equal(part.world_from_cam, whole.world_from_cam[1:4])


# ---- what others write --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["depth", "depths", "disparity", "anything"])
def test_an_array_of_another_tool_is_found_by_name_or_alone(tmp_path, name):
    values = make_depth().depth.numpy()
    np.savez(tmp_path / "other.npz", **{name: values})
    read = read_depth(tmp_path / "other.npz", Z)
    assert torch.equal(read.depth, torch.from_numpy(values))
    assert torch.allclose(read.intrinsics[0], default_intrinsics((9, 14)))
    assert torch.equal(read.world_from_cam, torch.eye(4).repeat(3, 1, 1))


def test_an_array_named_depth_is_z(tmp_path):
    np.savez_compressed(tmp_path / "other.npz", depth=make_depth().depth.numpy().astype(np.float16))
    assert read_depth(tmp_path / "other.npz").depth.min() >= 2


def test_depthcrafters_disparity_is_never_taken_for_depth(tmp_path):
    """Its npz holds an array `depth` that spans 0..1 and is disparity: what it means must be said."""
    values = np.linspace(0, 1, 60, dtype=np.float32).reshape(2, 5, 6)
    np.savez(tmp_path / "crafter.npz", depth=values)
    with pytest.raises(ValueError, match="does not say what its numbers mean; give the depth kind, one of depth"):
        read_depth(tmp_path / "crafter.npz")
    read = read_depth(tmp_path / "crafter.npz", DepthUnits("released"))
    assert float(read.depth.min()) == pytest.approx(10000 / 3900)


def test_npy_and_single_pictures_are_clips_of_one_frame(tmp_path):
    values = make_depth(1).depth[0]
    np.save(tmp_path / "depth.npy", values.numpy())
    assert torch.equal(read_depth(tmp_path / "depth.npy", Z).depth[0], values)
    steps = (torch.arange(54).reshape(6, 9) * 1000 + 1).numpy().astype(np.uint16)
    Image.fromarray(steps).save(tmp_path / "depth.png")
    read = read_depth(tmp_path / "depth.png", DepthUnits("depth", scale=0.001))
    assert torch.allclose(read.depth[0], torch.from_numpy(steps.astype(np.float32)) * 0.001)


@pytest.mark.parametrize("white, dtype", [(255, np.uint8), (65535, np.uint16)])
def test_normalised_pictures_count_white_as_one(tmp_path, white, dtype):
    (tmp_path / "frames").mkdir()
    for t in range(2):
        ramp = np.linspace(0, white, 12).round().astype(dtype).reshape(3, 4)
        Image.fromarray(ramp).save(tmp_path / "frames" / f"{t}.png")
    read = read_depth(tmp_path / "frames", DepthUnits("normalized-disparity", near=2.0, far=50.0))
    assert float(read.depth.min()) == pytest.approx(2) and float(read.depth.max()) == pytest.approx(50)


def test_gray_videos_are_read_and_colored_ones_refused(tmp_path):
    ramp = torch.linspace(0, 1, 32 * 32).reshape(1, 32, 32).repeat(2, 1, 1)
    write_video(tmp_path / "gray.mp4", ramp, 10)
    read = read_depth(tmp_path / "gray.mp4", DepthUnits("normalized-depth", near=1.0, far=9.0))
    assert (read.depth - (1 + 8 * ramp)).abs().max() < 0.15
    write_video(tmp_path / "turbo.mp4", torch.stack([ramp, 1 - ramp, ramp * 0], -1), 10)
    with pytest.raises(ValueError, match="turbo.mp4: is in color, and depth cannot be read"):
        read_depth(tmp_path / "turbo.mp4", DepthUnits("released"))


@pytest.mark.parametrize("channels", [{"Z": 1}, {"depth.Z": 1, "R": 5, "G": 6, "B": 7}, {"V": 1},
                                      {"R": 1, "G": 1, "B": 1}])
def test_the_depth_channel_of_an_exr_is_found(tmp_path, channels):
    import OpenEXR

    values = make_depth(1).depth[0].numpy()
    planes = {name: values * factor for name, factor in channels.items()}
    OpenEXR.File({"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}, planes).write(
        str(tmp_path / "depth.exr"))
    assert torch.equal(read_depth(tmp_path / "depth.exr", Z).depth[0], torch.from_numpy(values))


def test_an_exr_of_colors_is_refused(tmp_path):
    import OpenEXR

    planes = {name: make_depth(1, seed=k).depth[0].numpy() for k, name in enumerate("RGB")}
    OpenEXR.File({"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}, planes).write(
        str(tmp_path / "color.exr"))
    with pytest.raises(ValueError, match="contains the channels .*not clear which of them is the depth"):
        read_depth(tmp_path / "color.exr", Z)


def test_named_units_overrule_the_file(tmp_path):
    write_depth(tmp_path / "depth.npz", make_depth())
    read = read_depth(tmp_path / "depth.npz", DepthUnits("depth", scale=2.0))
    assert torch.equal(read.depth, 2 * make_depth().depth) and not read.metric


# ---- what is wrong ------------------------------------------------------------------------------


@pytest.mark.parametrize("spoil, sentence", [
    (lambda depth: depth.fill_(3.0), "3 everywhere"),
    (lambda depth: depth[1].fill_(torch.nan), "pixels are NaN, zero or negative, first in frame 1; fill them"),
    (lambda depth: depth.neg_(), "no pixel is a positive number"),
])
def test_depth_without_shape_or_with_holes_gets_one_sentence(tmp_path, spoil, sentence):
    depth = make_depth(2).depth.nan_to_num(posinf=70.0)
    spoil(depth)
    np.savez(tmp_path / "depth.npz", depth=depth.numpy())
    with pytest.raises(ValueError, match=f"depth.npz: depth: .*{sentence}"):
        read_depth(tmp_path / "depth.npz", Z)


def test_holes_are_filled_when_asked(tmp_path):
    depth = make_depth(1).depth.nan_to_num(posinf=70.0)
    depth[0, 2, 3:6] = torch.nan
    np.savez(tmp_path / "depth.npz", depth=depth.numpy())
    assert (read_depth(tmp_path / "depth.npz", Z, fill=True).depth > 0).all()


@pytest.mark.parametrize("arrays, sentence", [
    ({"left": np.ones((2, 3)), "right": np.ones((2, 3))}, "contains left, right; the depth must be named depth"),
    ({"depth": np.ones((2, 3, 4, 3))}, "must be numbers \\[frames, height, width\\]"),
    ({"depth": np.array(["a"])}, "must be numbers"),
    ({"depth": np.ones((0, 3, 4))}, "must be numbers"),
    ({"depth": np.array([{}], dtype=object)}, "cannot be read as npz"),
    ({"depth": np.arange(1, 25.0).reshape(2, 3, 4), "intrinsics": np.zeros((2, 3, 3))}, "intrinsics"),
    ({"depth": np.arange(1, 25.0).reshape(2, 3, 4), "world_from_cam": 2 * np.stack([np.eye(4)] * 2)}, "world_from_cam"),
    ({"depth": np.arange(1, 25.0).reshape(2, 3, 4), "world_from_cam": np.eye(4)[None]}, "world_from_cam"),
])
def test_arrays_that_are_no_depth_get_one_sentence(tmp_path, arrays, sentence):
    np.savez(tmp_path / "depth.npz", **arrays)
    with pytest.raises(ValueError, match=f"depth.npz: .*{sentence}"):
        read_depth(tmp_path / "depth.npz", Z)


@pytest.mark.parametrize("name, content", [("empty.npz", b""), ("text.npz", b"hello"), ("text.npy", b"hello"),
                                           ("text.exr", b"hello"), ("text.png", b"hello"), ("text.mkv", b"hello")])
def test_files_that_are_no_depth_are_refused_by_name(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=name):
        read_depth(tmp_path / name, Z)


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(ValueError, match="none.npz: there is no such file or folder"):
        read_depth(tmp_path / "none.npz")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ValueError, match="folder: does not contain"):
        read_depth(tmp_path / "folder", Z)


def test_a_start_behind_the_end_is_refused(tmp_path):
    write_depth(tmp_path / "depth.npz", make_depth())
    with pytest.raises(ValueError, match="has only 3 frames, so frame 9 is past its end; start earlier"):
        read_depth(tmp_path / "depth.npz", start=9)


def test_frames_of_several_sizes_are_refused(tmp_path):
    write_depth(tmp_path / "exrs", make_depth(2), "exr")
    write_depth(tmp_path / "other", make_depth(1, (5, 5)), "exr")
    shutil.copy(tmp_path / "other" / "000000.exr", tmp_path / "exrs" / "000009.exr")
    with pytest.raises(ValueError, match="is 5x5, but those before it are 14x9; all must be of one size"):
        read_depth(tmp_path / "exrs")


@pytest.mark.parametrize("content", [b"{", b'{"depth_units": {"kind": "feet"}}', b'{"depth_units": 3}',
                                     b'{"depth_units": {"kind": "depth"}, "intrinsics": "no", "world_from_cam": 1}'])
def test_a_damaged_sidecar_is_named(tmp_path, content):
    write_depth(tmp_path / "pngs", make_depth(), "png")
    (tmp_path / "pngs" / "depth.json").write_bytes(content)
    with pytest.raises(ValueError, match="depth.json: cannot be read as the description of a depth file"):
        read_depth(tmp_path / "pngs")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_description_is_read_in_every_encoding_of_windows(tmp_path, encoding):
    write_depth(tmp_path / "d.mkv", make_depth(), "video")
    said = (tmp_path / "d.json").read_text()
    exact = read_depth(tmp_path / "d.mkv")
    (tmp_path / "d.json").write_bytes(said.encode(encoding))
    assert torch.equal(read_depth(tmp_path / "d.mkv").depth, exact.depth)


def test_anothers_json_beside_a_video_says_nothing(tmp_path):
    write_video(tmp_path / "depth.mkv", torch.linspace(0, 1, 24).reshape(1, 4, 6), 10)
    (tmp_path / "depth.json").write_text(json.dumps({"prompt": "a flower"}))
    with pytest.raises(ValueError, match="does not say what its numbers mean"):
        read_depth(tmp_path / "depth.mkv")


@EVERY_FORM
@ONE_FILE
@given(places=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=8), keep=st.floats(0, 1))
def test_damaged_files_are_read_or_refused_in_one_sentence(tmp_path_factory, form, places, keep):
    folder = tmp_path_factory.mktemp("damage")
    write_depth(folder / TARGETS[form], make_depth(2), form)
    target = folder / TARGETS[form]
    file = target if target.is_file() else sorted(target.iterdir())[0]
    data = bytearray(file.read_bytes())
    for place, value in places:
        data[int(place * (len(data) - 1))] = value
    file.write_bytes(data[: int(keep * len(data)) + 1])
    with suppress(ValueError):
        read = read_depth(target)
        assert (read.depth > 0).all()


# ---- writing ------------------------------------------------------------------------------------


@EVERY_FORM
def test_a_missing_folder_is_one_sentence_and_leaves_nothing(tmp_path, form):
    with pytest.raises(OSError, match="cannot be written .*; check that the folder exists"):
        write_depth(tmp_path / "no" / TARGETS[form], make_depth(), form)
    assert list(tmp_path.iterdir()) == []


def test_a_suffix_without_a_format_is_refused(tmp_path):
    with pytest.raises(ValueError, match="is not a depth file name; use .npz or .mkv, or choose exr or png for a "
                                         "folder"):
        write_depth(tmp_path / "depth.tif", make_depth())


@pytest.mark.parametrize("form", ["exr", "png", "video"])
def test_pictures_are_counted_both_ways_and_either_can_be_cancelled(tmp_path, form):
    target, seen = tmp_path / TARGETS[form], []
    write_depth(target, make_depth(), form, lambda done, total: seen.append((done, total)))
    read_depth(target, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)] * 2

    def cancel(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        read_depth(target, progress=cancel)
    before = set(tmp_path.iterdir())
    with pytest.raises(KeyboardInterrupt):
        write_depth(tmp_path / f"again{target.suffix}", make_depth(), form, cancel)
    assert set(tmp_path.iterdir()) == before
