"""Laws of depth in EXR: the depth pass is found among all others or named, and stands where its window says."""

import struct
import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ex4d_ops.depth import DepthUnits
from ex4d_ops.files import read_depth

OpenEXR = pytest.importorskip("OpenEXR")
Z = DepthUnits("depth")
DEPTH = np.linspace(1, 9, 6 * 8, dtype=np.float32).reshape(6, 8)
OTHER = 20 + np.sin(DEPTH)
MANY = settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
PLAIN = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}


def write(path, channels: dict, **header):
    planes = {name: np.ascontiguousarray(plane) for name, plane in channels.items()}
    OpenEXR.File(PLAIN | header, planes).write(str(path))
    return path


def write_parts(path, **parts: dict):
    OpenEXR.File([OpenEXR.Part(PLAIN | {"name": name.replace("__", ".")}, channels)
                  for name, channels in parts.items()]).write(str(path))
    return path


def layer(name: str, last: str, plane=OTHER) -> dict:
    return {f"{name}.{letter}" if name else letter: plane for letter in last}


# ---- which channel ------------------------------------------------------------------------------

RGB = {"R": OTHER, "G": OTHER, "B": OTHER * 2, "A": OTHER * 0 + 1}
FOUND = {
    "only Z": {"Z": DEPTH},
    "any only channel": {"V": DEPTH},
    "gray": {"R": DEPTH, "G": DEPTH, "B": DEPTH},
    "gray with alpha": {"R": DEPTH, "G": DEPTH, "B": DEPTH, "A": OTHER},
    "Arnold": RGB | {"Z": DEPTH} | layer("N", "XYZ") | layer("P", "XYZ"),
    "Blender": layer("ViewLayer.Combined", "RGBA") | {"ViewLayer.Depth.Z": DEPTH} | layer("ViewLayer.Normal", "XYZ"),
    "Blender with motion": {"ViewLayer.Depth.Z": DEPTH} | layer("ViewLayer.Vector", "XYZW"),
    "Blender with mist": {"ViewLayer.Depth.Z": DEPTH, "ViewLayer.Mist.Z": OTHER},
    "Blender's other letter": {"ViewLayer.Depth.V": DEPTH} | layer("ViewLayer.Normal", "XYZ"),
    "Blender denoising": {"ViewLayer.Depth.Z": DEPTH, "ViewLayer.Denoising Depth.Z": OTHER},
    "V-Ray": RGB | {"VRayZDepth.Z": DEPTH} | layer("normals", "XYZ"),
    "Houdini": RGB | {"Pz": DEPTH} | layer("N", "xyz"),
    "Nuke": RGB | {"depth.Z": DEPTH} | layer("forward", "uv"),
    "lower case": RGB | {"depth": DEPTH},
    "both eyes": {"Z": DEPTH, "right.Z": OTHER},
    "Z of an unknown layer": RGB | {"rays.Z": DEPTH},
    "gray in a layer of depth": layer("", "RGB") | {"Depth.Y": DEPTH} | layer("N", "XYZ"),
    "X in a layer of depth": layer("", "RGB") | {"depth.X": DEPTH},
}


@pytest.mark.parametrize("program", FOUND)
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_the_depth_pass_of_every_program_is_found(tmp_path, program, dtype):
    write(tmp_path / "a.exr", {name: plane.astype(dtype) for name, plane in FOUND[program].items()})
    assert np.array_equal(read_depth(tmp_path / "a.exr", Z).depth[0], DEPTH.astype(dtype).astype(np.float32))


@pytest.mark.parametrize("channels", [
    layer("N", "XYZ"), layer("", "XYZ"), RGB | layer("Position", "XYZ"), RGB, layer("Combined", "RG"),
    {"N.x": OTHER, "N.z": OTHER}])
def test_no_other_pass_is_taken_for_depth(tmp_path, channels):
    write(tmp_path / "a.exr", channels)
    with pytest.raises(ValueError, match="a.exr: contains the channels .*, and it is not clear which of them is "
                                         "the depth; give the name of the depth channel"):
        read_depth(tmp_path / "a.exr", Z)


@pytest.mark.parametrize("channels", [
    {"left.Z": DEPTH, "right.Z": OTHER}, {"Front.Depth.Z": DEPTH, "Back.Depth.Z": OTHER}, {"a.Z": DEPTH, "b.Z": OTHER}])
def test_of_several_depths_one_must_be_named(tmp_path, channels):
    write(tmp_path / "a.exr", channels)
    with pytest.raises(ValueError, match=f"contains more than one depth, {', '.join(sorted(channels))}; give the name "
                                         "of the depth"):
        read_depth(tmp_path / "a.exr", Z)
    assert np.array_equal(read_depth(tmp_path / "a.exr", Z, channel=next(iter(channels))).depth[0], DEPTH)


@pytest.mark.parametrize("wanted, plane", [
    ("N.Z", OTHER), ("n.z", OTHER), ("ViewLayer.Depth.Z", DEPTH), ("ViewLayer.Depth", DEPTH), ("World", DEPTH),
    ("Z", OTHER * 3), ("z", DEPTH * 2)])
def test_a_channel_or_a_layer_can_be_named(tmp_path, wanted, plane):
    write(tmp_path / "a.exr", layer("N", "XYZ") | {"ViewLayer.Depth.Z": DEPTH, "Z": OTHER * 3, "z": DEPTH * 2}
          | layer("World", "RGB", DEPTH))
    assert np.array_equal(read_depth(tmp_path / "a.exr", Z, channel=wanted).depth[0], plane)


@pytest.mark.parametrize("wanted", ["Y", "ViewLayer", "", "N", "x" * 5000])
def test_a_name_that_is_none_lists_what_there_is(tmp_path, wanted):
    write(tmp_path / "a.exr", layer("N", "XYZ") | {"ViewLayer.Depth.Z": DEPTH, "ViewLayer.Depth.A": DEPTH})
    with pytest.raises(ValueError, match="a.exr: has no channel '.*', or more than one; it contains N.X, "
                                         "N.Y") as refused:
        read_depth(tmp_path / "a.exr", Z, channel=wanted)
    assert len(str(refused.value)) < 500


def test_a_name_is_of_no_use_to_pictures_without_channels(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(ValueError, match="only EXR and npz files have named channels"):
        read_depth(tmp_path / "a.png", Z, channel="Z")


# ---- several parts ------------------------------------------------------------------------------


def test_the_depth_of_several_parts_is_found_by_its_parts_name(tmp_path):
    write_parts(tmp_path / "a.exr", beauty=RGB, depth={"V": DEPTH}, normals=layer("", "XYZ"))
    assert np.array_equal(read_depth(tmp_path / "a.exr", Z).depth[0], DEPTH)
    write_parts(tmp_path / "b.exr", beauty=RGB | {"Z": DEPTH}, normals=layer("", "XYZ"))
    assert np.array_equal(read_depth(tmp_path / "b.exr", Z).depth[0], DEPTH)


@pytest.mark.parametrize("last", ["Y", "X", "Z", "V", "R"])
def test_a_part_named_depth_is_depth_beside_one_of_gray_colors(tmp_path, last):
    gray = dict.fromkeys("RGB", OTHER)
    write_parts(tmp_path / "a.exr", beauty=gray, Depth={last: DEPTH})
    assert np.array_equal(read_depth(tmp_path / "a.exr", Z).depth[0], DEPTH)


@pytest.mark.parametrize("suffix", [".exr", ".EXR", ".Exr"])
def test_every_case_of_the_suffix_is_an_exr_in_a_folder_too(tmp_path, suffix):
    for t in range(3):
        write(tmp_path / f"{t}.exr", {"Z": DEPTH + t}).rename(tmp_path / f"{t}{suffix}")
    (tmp_path / "._0.exr").write_bytes(b"of a Mac")
    assert torch.equal(read_depth(tmp_path, Z).depth[:, 0, 0], torch.tensor([1.0, 2.0, 3.0]))


def test_parts_that_repeat_their_name_are_named_once(tmp_path):
    """As Blender writes them."""
    write_parts(tmp_path / "a.exr", View__Combined=layer("View.Combined", "RGBA"), View__Depth={"View.Depth.Z": DEPTH})
    assert np.array_equal(read_depth(tmp_path / "a.exr", Z, channel="View.Depth.Z").depth[0], DEPTH)
    assert np.array_equal(read_depth(tmp_path / "a.exr", Z).depth[0], DEPTH)


def test_the_eyes_of_a_stereo_file_are_told_apart(tmp_path):
    write_parts(tmp_path / "a.exr", left={"Z": DEPTH}, right={"Z": DEPTH * 2})
    with pytest.raises(ValueError, match="contains more than one depth, left.Z, right.Z"):
        read_depth(tmp_path / "a.exr", Z)
    assert np.array_equal(read_depth(tmp_path / "a.exr", Z, channel="right.Z").depth[0], DEPTH * 2)
    write(tmp_path / "b.exr", {"Z": DEPTH, "right.Z": DEPTH * 2}, multiView=["left", "right"])
    assert np.array_equal(read_depth(tmp_path / "b.exr", Z).depth[0], DEPTH)


def test_every_file_of_a_folder_is_read_from_the_channel_of_the_first(tmp_path):
    write(tmp_path / "0.exr", {"Z": DEPTH})
    write(tmp_path / "1.exr", {"Z": DEPTH * 2, "ViewLayer.Depth.Z": DEPTH * 3})
    assert np.array_equal(read_depth(tmp_path, Z).depth, np.stack([DEPTH, DEPTH * 2]))
    assert np.array_equal(read_depth(tmp_path, Z, start=1).depth[0], DEPTH * 2)
    write(tmp_path / "2.exr", {"depth.Z": DEPTH})
    with pytest.raises(ValueError, match="2.exr: has no channel Z, which the clip's first file has"):
        read_depth(tmp_path, Z)


# ---- windows ------------------------------------------------------------------------------------

PLACES = st.tuples(st.integers(-6, 6), st.integers(-6, 6), st.integers(2, 9), st.integers(2, 9))


def window(left: int, top: int, width: int, height: int) -> tuple:
    return np.array([left, top], np.int32), np.array([left + width - 1, top + height - 1], np.int32)


@MANY
@given(data=PLACES, display=PLACES, kind=st.sampled_from(["depth", "disparity"]))
def test_every_pixel_stands_where_the_windows_say(tmp_path_factory, data, display, kind):
    stored = 1 + np.arange(data[2] * data[3], dtype=np.float32).reshape(data[3], data[2])
    path = write(tmp_path_factory.mktemp("windows") / "a.exr", {"Z": stored}, dataWindow=window(*data),
                 displayWindow=window(*display))
    expected = np.full((display[3], display[2]), np.inf if kind == "depth" else 0, np.float32)
    for y in range(display[3]):
        for x in range(display[2]):
            row, column = y + display[1] - data[1], x + display[0] - data[0]
            if 0 <= row < data[3] and 0 <= column < data[2]:
                expected[y, x] = stored[row, column]
    held = np.isfinite(expected) if kind == "depth" else expected > 0
    if not held.any():
        with pytest.raises(ValueError, match="its data window is outside its display window"):
            read_depth(path, DepthUnits(kind))
    else:
        with np.errstate(divide="ignore"):
            assert np.array_equal(read_depth(path, DepthUnits(kind)).depth[0], expected if kind == "depth"
                                  else np.float32(1) / expected)


@pytest.mark.parametrize("units", [DepthUnits("released"), DepthUnits("normalized-depth", near=1, far=9),
                                   DepthUnits("normalized-disparity", near=1, far=9), DepthUnits("disparity", shift=1)])
def test_where_nothing_stands_for_nothing_a_part_of_a_picture_is_refused(tmp_path, units):
    write(tmp_path / "a.exr", {"Z": DEPTH / 9}, dataWindow=window(2, 2, 8, 6), displayWindow=window(0, 0, 12, 9))
    with pytest.raises(ValueError, match="a.exr: contains only 8x6 of its 12x9 pixels .*its data window is smaller"):
        read_depth(tmp_path / "a.exr", units)


# ---- damage -------------------------------------------------------------------------------------


@MANY
@given(places=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=5), keep=st.floats(0, 1),
       parts=st.booleans())
def test_damaged_files_are_read_or_refused_in_one_line(tmp_path_factory, places, keep, parts):
    path = tmp_path_factory.mktemp("damage") / "a.exr"
    (write_parts(path, rgb=RGB, depth={"Z": DEPTH}) if parts else write(path, FOUND["Blender"]))
    data = bytearray(path.read_bytes())
    for place, value in places:
        data[int(place * (len(data) - 1))] = value
    path.write_bytes(data[:int(keep * len(data)) + 1])
    try:
        assert (read_depth(path, Z, fill=True).depth > 0).all()
    except ValueError as error:
        assert "\n" not in str(error) and len(str(error)) < 1000


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.9])
def test_every_file_cut_short_is_called_so(tmp_path, share):
    noise = np.random.default_rng(0).uniform(1, 9, (64, 64)).astype(np.float32)
    content = write(tmp_path / "a.exr", {"Z": noise}).read_bytes()
    (tmp_path / "a.exr").write_bytes(content[:int(share * len(content))])
    with pytest.raises(ValueError, match="a.exr: cannot be read as EXR"):
        read_depth(tmp_path / "a.exr", Z)


@pytest.mark.parametrize("name, box", [("dataWindow", (0, 0, 2**20, 2**20)), ("displayWindow", (0, 0, 2**31 - 1, 3)),
                                       ("dataWindow", (5, 5, 4, 4)), ("displayWindow", (-2**31, 0, 2**31 - 1, 0))])
def test_windows_that_claim_gigabytes_or_nothing_are_refused_unread(tmp_path, name, box):
    path = write(tmp_path / "a.exr", {"Z": DEPTH})
    content = bytearray(path.read_bytes())
    place = content.index(name.encode()) + len(name) + 1 + len("box2i") + 1 + 4
    content[place:place + 16] = struct.pack("<4i", *box)
    path.write_bytes(content)
    tracemalloc.start()
    with pytest.raises(ValueError, match="a.exr: cannot be read as EXR .it claims "):
        read_depth(path, Z)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20


def test_deep_files_are_called_deep(tmp_path):
    path = write(tmp_path / "a.exr", {"Z": DEPTH})
    content = bytearray(path.read_bytes())
    content[5] |= 8
    path.write_bytes(content)
    with pytest.raises(ValueError, match="it is deep, with several numbers a pixel; flatten it"):
        read_depth(path, Z)


def test_a_clip_of_files_is_float32_whatever_they_hold(tmp_path):
    for t, dtype in enumerate((np.float16, np.float32, np.uint32)):
        write(tmp_path / f"{t}.exr", {"Z": np.round(DEPTH).astype(dtype)})
    assert torch.equal(read_depth(tmp_path, Z).depth, torch.from_numpy(np.round(DEPTH)).expand(3, -1, -1))
