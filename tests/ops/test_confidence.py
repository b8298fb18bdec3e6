"""Laws of confidence: of what the depth's source is unsure is hidden, and nothing else."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ex4d_ops import files
from ex4d_ops.depth import EDGE_RATIO, fit_depth, resize_depth
from ex4d_ops.mesh import MeshRules, build_dw_mesh
from ex4d_ops.motion import add_confidence, widen
from ex4d_ops.scene import sample_clip


@pytest.fixture(scope="module")
def take():
    frames, depth = sample_clip("gallery", 2, (32, 48))
    return frames, replace(depth, confidence=torch.rand(2, 32, 48, generator=torch.Generator().manual_seed(0)))


@given(st.floats(0.01, 1.0), st.floats(0.01, 1.0))
@settings(max_examples=25, deadline=None)
def test_every_face_with_an_unsure_vertex_is_hidden_and_no_other_more_than_before(take, first, second):
    frames, depth = take
    before = build_dw_mesh(frames, depth).occluded
    low, high = (build_dw_mesh(frames, depth, MeshRules(min_confidence=least)).occluded
                 for least in sorted((first, second)))
    assert (before <= low).all() and (low <= high).all(), "a higher least confidence hides no less"
    sure = depth.confidence >= max(first, second)
    a, b, c, d = sure[:, :-1, :-1], sure[:, :-1, 1:], sure[:, 1:, :-1], sure[:, 1:, 1:]
    assert torch.equal(high, before | ~torch.stack([a & b & c, b & c & d], -1))


def test_depth_that_says_nothing_of_its_confidence_is_refused_in_a_sentence(take):
    frames, depth = take
    with pytest.raises(ValueError, match="min_confidence: this depth does not say how sure it is; use .*"):
        build_dw_mesh(frames, replace(depth, confidence=None), MeshRules(min_confidence=0.5))


def test_confidence_stays_with_its_pixels(take, tmp_path):
    _, depth = take
    files.write_depth(tmp_path / "depth.npz", depth)
    assert torch.equal(files.read_depth(tmp_path / "depth.npz").confidence, depth.confidence)
    assert torch.equal(files.read_depth(tmp_path / "depth.npz", start=1).confidence, depth.confidence[1:])
    cropped = fit_depth(depth, (32, 32), "crop").confidence
    assert torch.equal(cropped, depth.confidence[:, :, 8:40])
    padded = fit_depth(depth, (48, 48), "pad").confidence
    assert torch.equal(padded[:, 8:40], depth.confidence) and not padded[:, :8].any() and not padded[:, 40:].any()
    larger = resize_depth(depth, (64, 96)).confidence
    assert torch.equal(larger[:, ::2, ::2], depth.confidence)


@pytest.mark.parametrize("scene", ["gallery", "colonnade"])
def test_frames_that_agree_are_sure_and_what_only_one_shows_is_not(scene):
    frames, depth = sample_clip(scene, 5, (96, 96))
    assert add_confidence(frames, depth).confidence.mean() > 0.9
    wrong = depth.depth.clone()
    wrong[2, 40:60, 20:50] *= 1.3
    confidence = add_confidence(frames, replace(depth, depth=wrong)).confidence
    # Beside an edge of the depth, where flow may lead to either side, any depth in between fits.
    flat = widen(wrong[2]) < EDGE_RATIO * -widen(-wrong[2])
    inside = torch.zeros_like(flat)
    inside[43:57, 23:47] = True
    assert (flat & inside).sum() > 0.3 * inside.sum()
    assert confidence[2][flat & inside].mean() < 0.1 and confidence[[0, 4]].mean() > 0.9


def test_what_a_source_says_of_its_confidence_stays_and_one_frame_has_nothing_to_agree_with(take):
    frames, depth = take
    assert add_confidence(frames, depth) is depth
    one = replace(depth, depth=depth.depth[:1], intrinsics=depth.intrinsics[:1],
                  world_from_cam=depth.world_from_cam[:1], confidence=None)
    assert add_confidence(frames[:1], one).confidence is None
