"""The motion, coverage and background nodes make what the library makes of the same clip."""

import math

import pytest
import torch

from ex4d_ops.background import find_motion, make_background
from ex4d_ops.mesh import MeshRules, build_dw_mesh
from ex4d_ops.preflight import angles_around, coverage_map, widest_angles
from ex4d_ops.prior import RenderRules, describe_origin, render_prior

PLAIN = {"erosion": {"erosion": "none"}}


@pytest.fixture(scope="module")
def bounded(take):
    return build_dw_mesh(take.images, take.depth, MeshRules(hidden_reach=0.1))


def test_the_motion_mask_is_the_librarys_and_shows_it(nodes, take, same):
    ran = nodes.execute("EX4DMotionMask", {"images": take.images, "depth": take.depth})
    assert same(ran.result[0], find_motion(take.images, take.depth).float())
    assert len(ran.ui.as_dict()["images"]) == len(take.images)


@pytest.mark.parametrize("moving", ["found", "none"])
def test_the_filled_prior_is_the_librarys_and_shows_where_it_comes_from(nodes, take, bounded, same, moving):
    mask = find_motion(take.images, take.depth) & (moving == "found")
    ran = nodes.execute("RenderDWMesh", {"mesh": bounded, "cameras": take.path, "moving": mask.float(), **PLAIN})
    prior = render_prior(bounded, take.path, RenderRules(erosion=0), background=make_background(bounded, mask))
    color, visible, coverage = ran.result
    assert same(color, prior.color) and same(visible, prior.visible.float())
    assert coverage == describe_origin(prior, take.path)
    assert ran.ui.as_dict()["images"]


def test_nothing_is_filled_without_a_mask(nodes, take, bounded, same):
    ran = nodes.execute("RenderDWMesh", {"mesh": bounded, "cameras": take.path, **PLAIN})
    assert same(ran.result[0], render_prior(bounded, take.path, RenderRules(erosion=0)).color)
    assert len(ran.ui.as_dict()["images"]) == 1, "the prior, and no sheet of what was filled"


@pytest.mark.parametrize("shape", [(4, 32, 48), (5, 16, 24), (5, 32, 48, 3)])
def test_masks_of_another_clip_are_refused_in_a_sentence(nodes, take, bounded, shape):
    with pytest.raises(ValueError, match="^moving: .* (use the mask of this clip|is not one mask per frame)"):
        nodes.run("RenderDWMesh", mesh=bounded, cameras=take.path, moving=torch.zeros(shape))


def test_the_coverage_map_is_the_librarys(nodes, take):
    picture, text, left, right, down, up = nodes.run("EX4DCoverageMap", mesh=take.mesh, share=0.5, step=30.0, frame=2)
    yaw, pitch = angles_around(math.radians(90), math.radians(30)), angles_around(math.radians(45), math.radians(30))
    widest = widest_angles(coverage_map(take.mesh, yaw, pitch, 2), yaw, pitch, 0.5)
    assert (text, left, right, down, up) == (str(widest), widest.left, widest.right, widest.down, widest.up)
    assert picture.ndim == 4 and picture.shape[-1] == 3


def test_a_frame_there_is_none_of_has_no_coverage(nodes, take):
    with pytest.raises(ValueError, match=r"frame: there is no frame 5; the mesh has 0..4"):
        nodes.run("EX4DCoverageMap", mesh=take.mesh, frame=5)


def test_depth_anything_s_confidence_hides_faces(nodes, take):
    raw = 1 + 4 * torch.rand(take.depth.depth.shape, generator=torch.Generator().manual_seed(0))
    packet = {"mode": "multiview", "image": take.images, "depth": take.depth.depth, "confidence": raw,
              "extrinsics": take.path.cam_from_world[None, :, :3], "intrinsics": take.path.intrinsics[None]}
    (depth,) = nodes.run("EX4DDepthFromGeometry", geometry=packet)
    assert torch.allclose(depth.confidence, (raw - raw.min()) / (raw.max() - raw.min()))
    plain, sure = (nodes.run("BuildDWMesh", images=take.images, depth=depth, min_confidence=least)[0]
                   for least in (0.0, 0.5))
    assert sure.occluded.float().mean() > plain.occluded.float().mean() + 0.3
