"""Laws of doubt: numbers of the other kind are called so, right ones never, and unclear ones are left alone."""

import numpy as np
import pytest
import torch

from ex4d_ops.depth import DepthUnits
from ex4d_ops.files import read_depth
from ex4d_ops.plausibility import doubt_kind
from ex4d_ops.scene import SCENES, sample_clip


@pytest.mark.parametrize("name", SCENES)
@pytest.mark.parametrize("seed", range(2))
def test_right_numbers_are_not_doubted(name, seed):
    depth = sample_clip(name, 2, (60, 80), seed)[1].depth
    assert doubt_kind(depth, "depth") is None and doubt_kind(1 / depth, "disparity") is None
    disparity = 1 / depth
    relative = (disparity - disparity.min()) / (disparity.max() - disparity.min())
    assert doubt_kind(relative, "disparity") is None


@pytest.mark.parametrize("name", ["garden", "street", "colonnade"])
def test_swapped_numbers_are_called_so(name):
    depth = sample_clip(name, 2, (60, 80))[1].depth
    assert "look like disparity (" in doubt_kind(1 / depth, "depth")
    assert "look like depth" in doubt_kind(depth, "disparity")
    if name != "street":  # whose sky is small
        assert "its top is exactly 0, as the disparity of sky" in doubt_kind(1 / depth, "depth")
    assert "towards the ground" in doubt_kind(depth.clamp(max=30) + torch.rand(depth.shape) * 1e-3, "disparity")


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
