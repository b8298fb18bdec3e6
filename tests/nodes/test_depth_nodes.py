"""The depth nodes make what the library makes of the same numbers."""

import math

import pytest
import torch

from ex4d_ops.camera import intrinsics_from_focal
from ex4d_ops.depth import DepthUnits, depth_from, fill_invalid, make_video_depth
from ex4d_ops.files import read_depth
from ex4d_ops.plot import draw_depth
from ex4d_ops.scene import SCENES, sample_clip

GRAY = torch.rand(3, 12, 16, 1, generator=torch.Generator().manual_seed(1)).clamp(min=0.01).repeat(1, 1, 1, 3)
CONVENTIONS = {
    "released": {},
    "disparity": {"scale": 0.4, "shift": 0.02},
    "depth": {"scale": 65.5, "metric": True},
    "normalized-disparity": {"near": 0.7, "far": 30.0},
    "normalized-depth": {"near": 0.7, "far": 30.0},
}


@pytest.mark.parametrize("scene", SCENES)
def test_a_sample_scene_is_the_librarys(nodes, same, scene):
    images, depth, fps = nodes.run("EX4DSampleScene", scene=scene, frames=2, width=48, height=32, seed=7)
    wanted, wanted_depth = sample_clip(scene, 2, (32, 48), seed=7)
    assert same(images, wanted) and same(depth, wanted_depth) and fps == 15.0


@pytest.mark.parametrize("kind", CONVENTIONS)
def test_pictures_become_the_depth_that_their_convention_says(nodes, same, kind):
    (depth,) = nodes.run("EX4DDepthFromImages", images=GRAY, convention={"convention": kind, **CONVENTIONS[kind]})
    units = DepthUnits(kind, **CONVENTIONS[kind])
    assert same(depth, make_video_depth(depth_from(GRAY[..., 0], units), metric=units.metric))


@pytest.mark.parametrize("lens, focal", [
    ({"lens": "released"}, 500 * 16 / 512),
    ({"lens": "focal", "focal": 12.5}, 12.5),
    ({"lens": "field of view", "fov": 60.0}, 8 / math.tan(math.radians(30))),
])
def test_the_lens_chosen_is_the_lens_of_every_frame(nodes, lens, focal):
    (depth,) = nodes.run("EX4DDepthFromImages", images=GRAY, lens=lens)
    assert torch.allclose(depth.intrinsics, intrinsics_from_focal(focal, (12, 16)).expand(3, 3, 3))


def test_holes_are_filled_as_the_library_fills_them_or_refused(nodes, same):
    holed = GRAY.clone()
    holed[1, 3:6, 4:9] = math.nan
    with pytest.raises(ValueError, match=r"images: depth: 15 of 576 pixels .* fill"):
        nodes.run("EX4DDepthFromImages", images=holed, convention={"convention": "depth"})
    (depth,) = nodes.run("EX4DDepthFromImages", images=holed, convention={"convention": "depth"}, fill=True)
    assert same(depth.depth, fill_invalid(holed[..., 0]))


@pytest.mark.parametrize("colors", ["turbo", "viridis", "magma", "gray"])
def test_depth_is_drawn_as_the_library_draws_it(nodes, take, same, colors):
    images, near, far = nodes.run("EX4DDepthToImages", depth=take.depth, colors=colors)
    assert same(images, draw_depth(take.depth.depth, None if colors == "gray" else colors))
    assert near == take.depth.depth.min() and far == take.depth.depth.max()


def test_gray_pictures_are_read_back_with_the_near_and_far_they_come_with(nodes, take):
    images, near, far = nodes.run("EX4DDepthToImages", depth=take.depth, colors="gray")
    convention = {"convention": "normalized-disparity", "near": near, "far": far}
    (depth,) = nodes.run("EX4DDepthFromImages", images=images, convention=convention)
    assert torch.allclose(1 / depth.depth, 1 / take.depth.depth, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("form", ["npz", "exr", "png", "video"])
def test_saved_depth_is_loaded_as_the_library_reads_it(nodes, take, same, folders, form):
    said = nodes.ui("EX4DSaveDepth", depth=take.depth, filename_prefix="takes/depth", format=form)["files"][0]
    name = f"{said['subfolder']}/{said['filename']} [output]"
    (depth,) = nodes.run("EX4DLoadDepth", file=name)
    assert same(depth, read_depth(folders / "output" / said["subfolder"] / said["filename"]))
    assert torch.equal(depth.intrinsics, take.depth.intrinsics) and depth.metric
    assert torch.equal(depth.world_from_cam, take.depth.world_from_cam)
    if form in ("npz", "exr"):
        assert torch.equal(depth.depth, take.depth.depth)
    else:
        step = 1 / (65535 * take.depth.depth.min())  # of 1 / z, which is 0 in the sky
        assert (1 / depth.depth - 1 / take.depth.depth).abs().max() <= 0.51 * step


def test_only_the_frames_asked_for_are_loaded(nodes, take, folders):
    nodes.run("EX4DSaveDepth", depth=take.depth, filename_prefix="depth")
    (depth,) = nodes.run("EX4DLoadDepth", file="depth_00001_.npz [output]", start=1, frames=2)
    assert torch.equal(depth.depth, take.depth.depth[1:3])
    assert torch.equal(depth.world_from_cam, take.depth.world_from_cam[1:3])


def test_a_second_save_takes_a_new_name(nodes, take, folders):
    for form in ("npz", "png", "video", "png"):
        nodes.run("EX4DSaveDepth", depth=take.depth, filename_prefix="depth", format=form)
    names = {file.name for file in (folders / "output").iterdir()}
    assert names == {"depth_00001_.npz", "depth_00002_", "depth_00003_.mkv", "depth_00003_.json", "depth_00004_"}


def test_files_of_both_folders_are_offered_and_nothing_else(nodes, take, folders):
    (folders / "input" / "exr").mkdir()
    for name in ("a.npz", "exr/0.exr", "exr/1.exr", "clip.MP4", "notes.txt", "light.hdr"):
        (folders / "input" / name).touch()
    nodes.run("EX4DSaveDepth", depth=take.depth, filename_prefix="ex4d/depth", format="png")
    file = nodes.by_id["EX4DLoadDepth"].define_schema().inputs[0]
    saved = [f"ex4d/depth_00001_/{t:06d}.png [output]" for t in range(len(take.depth))]
    assert file.options == ["a.npz", "clip.MP4", "ex4d/depth_00001_ [output]", *saved, "exr", "exr/0.exr", "exr/1.exr"]


def test_every_file_that_is_read_is_offered(nodes, folders):
    """But Radiance pictures, which are refused, and such as only FFmpeg knows."""
    from ex4d_ops.files.depth import ARRAYS
    from ex4d_ops.files.footage import PICTURE_SUFFIXES

    pictures = PICTURE_SUFFIXES - {".hdr"}
    suffixes = [*ARRAYS, ".exr", *pictures, ".mkv", ".mp4", ".mov", ".webm", ".avi"]
    for suffix in suffixes:
        (folders / "input" / f"a{suffix}").touch()
    for suffix in [".exr", *pictures]:
        (folders / "input" / suffix[1:]).mkdir()
        (folders / "input" / suffix[1:] / f"0{suffix}").touch()
    offered = set(nodes.by_id["EX4DLoadDepth"].define_schema().inputs[0].options)
    assert {f"a{suffix}" for suffix in suffixes} <= offered
    assert {suffix[1:] for suffix in [".exr", *pictures]} <= offered


@pytest.mark.parametrize("convention, doubted", [("released", False), ("normalized-depth", True)])
def test_pictures_of_the_other_kind_are_warned_of(nodes, caplog, convention, doubted):
    disparity = 1 / sample_clip("garden", 2, (48, 64))[1].depth
    images = (disparity / disparity.max())[..., None].expand(-1, -1, -1, 3)
    nodes.run("EX4DDepthFromImages", images=images, convention={"convention": convention} | CONVENTIONS[convention],
              fill=True)
    assert ("look like disparity" in caplog.text) == doubted
