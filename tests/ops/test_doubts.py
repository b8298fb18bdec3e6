"""Laws of doubt: numbers of the other kind are called so, right ones never, and unclear ones are left alone."""

import numpy as np
import pytest
import torch

from ex4d_ops.depth import DepthUnits
from ex4d_ops.doubts import doubt_kind
from ex4d_ops.files import read_depth
from ex4d_ops.scene import SCENES, sample_clip

# Depth of each 24th of the height, the median over width and 49 frames, of the clip that EX-4D was released with: a
# flower before a wall, without ground or sky. What there is of a trend is the flower's own.
FLOWER = (16.06, 15.93, 10.59, 10.02, 10.32, 13.62, 13.82, 13.78, 11.88, 11.36, 12.13, 15.68, 15.35, 4.24, 16.44, 3.83,
          16.12, 16.56, 16.66, 16.69, 16.66, 16.52, 16.44, 16.53)


@pytest.mark.parametrize("name", SCENES)
@pytest.mark.parametrize("seed", range(2))
def test_right_numbers_are_not_doubted(name, seed):
    depth = sample_clip(name, 2, (60, 80), seed)[1].depth
    assert doubt_kind(depth, "depth") is None and doubt_kind(1 / depth, "disparity") is None
    disparity = 1 / depth
    relative = (disparity - disparity.min()) / (disparity.max() - disparity.min())
    assert doubt_kind(relative, "disparity") is None


@pytest.mark.parametrize("name", SCENES)
@pytest.mark.parametrize("seed", range(2))
def test_swapped_numbers_are_called_so(name, seed):
    depth = sample_clip(name, 2, (60, 80), seed)[1].depth
    assert "look like disparity (" in doubt_kind(1 / depth, "depth")
    assert "look like depth" in doubt_kind(depth, "disparity")
    if name in ("garden", "colonnade"):  # which have sky, and much of it
        assert "the top of the picture is exactly 0, like the disparity of sky" in doubt_kind(1 / depth, "depth")
    assert "towards the ground" in doubt_kind(depth.clamp(max=30) + torch.rand(depth.shape) * 1e-3, "disparity")


@pytest.mark.parametrize("name", SCENES)
def test_a_ground_shows_in_relative_disparity_of_eight_bits(name):
    disparity = 1 / sample_clip(name, 2, (60, 80))[1].depth + 0.1  # no zeros: nothing but the ground tells
    relative = ((disparity - disparity.min()) / (disparity.max() - disparity.min()) * 255).round() + 1
    assert doubt_kind(relative, "disparity") is None
    assert "look like disparity (they grow towards the ground)" in doubt_kind(relative, "depth")


def test_a_close_up_without_ground_is_left_alone():
    depth = torch.tensor(FLOWER)[:, None].expand(3, 24, 32)
    for kind in ("depth", "disparity"):
        assert doubt_kind(depth, kind) is None and doubt_kind(1 / depth, kind) is None


@pytest.mark.parametrize("values", [torch.ones(1, 9, 9), torch.full((2, 5, 5), torch.nan), torch.zeros(1, 1, 1),
                                    torch.rand(3, 40, 40, generator=torch.Generator().manual_seed(0))])
def test_unclear_numbers_are_left_alone(values):
    assert doubt_kind(values, "depth") is None and doubt_kind(values, "disparity") is None


@pytest.mark.parametrize("kind, doubted", [("depth", False), ("released", True), ("disparity", True)])
def test_files_read_as_the_other_kind_are_warned_of(tmp_path, caplog, kind, doubted):
    depth = sample_clip("garden", 2, (60, 80))[1].depth.clamp(max=1000)
    np.save(tmp_path / "depth.npy", depth)
    read_depth(tmp_path / "depth.npy", DepthUnits(kind))
    assert ("look like depth" in caplog.text) == doubted
