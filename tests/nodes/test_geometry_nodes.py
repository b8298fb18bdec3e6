"""Packets of Depth Anything 3 and MoGe, in the form that core documents, become depth that means the same."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ex4d_ops.camera import default_intrinsics, invert_rigid, lift, project, transform
from ex4d_ops.trajectory import move_path, parse_moves

SIZE = (60, 80)
WORKED = (42, 56)  # where DA3 worked: multiples of 14
GENERATOR = torch.Generator().manual_seed(2)
DEPTH = 1 + torch.rand(3, *SIZE, generator=GENERATOR)
MOTION = move_path(parse_moves("orbit:yaw=20,pitch=5+truck:distance=0.2"), 3, 2.0, default_intrinsics(SIZE), SIZE)


def da3(**more) -> dict:
    """A DA3_GEOMETRY packet as multiview makes it: cameras in pixels of WORKED, their world that of the second."""
    lens = torch.tensor([[50.0, 0, WORKED[1] / 2], [0, 49.0, WORKED[0] / 2], [0, 0, 1]])
    cam_from_anchor = MOTION.cam_from_world @ invert_rigid(MOTION.cam_from_world[1])
    return {"mode": "multiview", "depth": DEPTH.clone(), "image": torch.zeros(3, *SIZE, 3),
            "confidence": torch.ones(3, *SIZE), "extrinsics": cam_from_anchor[None, :, :3],
            "intrinsics": lens.expand(1, 3, 3, 3).clone()} | more


def moge(**more) -> dict:
    """A MOGE_GEOMETRY packet: intrinsics as shares of width and height, inf where masked."""
    lens = torch.tensor([[0.8, 0, 0.5], [0, 0.8 * SIZE[1] / SIZE[0], 0.5], [0, 0, 1]])
    depth = DEPTH.clone()
    depth[:, :10] = math.inf
    return {"depth": depth, "intrinsics": lens.expand(3, 3, 3), "mask": torch.isfinite(depth),
            "image": torch.zeros(3, *SIZE, 3)} | more


def read(nodes, geometry: dict, **widgets):
    return nodes.run("EX4DDepthFromGeometry", geometry=geometry, **widgets)[0]


def test_da3_multiview_brings_depth_lens_and_motion(nodes):
    depth = read(nodes, da3())
    assert torch.equal(depth.depth, DEPTH) and not depth.metric
    scale = torch.tensor([[SIZE[1] / WORKED[1]], [SIZE[0] / WORKED[0]], [1.0]])
    assert torch.allclose(depth.intrinsics, da3()["intrinsics"][0] * scale)
    assert torch.allclose(depth.world_from_cam[0], torch.eye(4), atol=1e-7)
    assert torch.allclose(depth.world_from_cam, invert_rigid(MOTION.cam_from_world), atol=1e-6)


def test_a_point_seen_by_two_of_da3_s_cameras_is_one_point_in_our_world(nodes):
    packet = da3()
    depth = read(nodes, packet)
    pixel = (30, 40)
    point = transform(depth.world_from_cam[0], lift(depth.depth[0], depth.intrinsics[0])[pixel])
    seen = project(transform(invert_rigid(depth.world_from_cam[2]), point), depth.intrinsics[2])
    # The same by DA3's own matrices, at the size it worked at.
    extrinsics = torch.cat([packet["extrinsics"][0], torch.tensor([[[0.0, 0, 0, 1]]]).expand(3, 1, 4)], 1)
    share = torch.tensor([WORKED[1] / SIZE[1], WORKED[0] / SIZE[0]])
    ray = torch.linalg.inv(packet["intrinsics"][0, 0]) @ torch.cat([share * torch.tensor([40.5, 30.5]), torch.ones(1)])
    anchored = transform(invert_rigid(extrinsics[0]), ray * DEPTH[0][pixel])
    by_da3 = project(transform(extrinsics[2], anchored), packet["intrinsics"][0, 2])
    assert torch.allclose(seen, by_da3 / share, atol=1e-3)


def test_a_principal_point_beside_the_middle_stays_there(nodes):
    off = da3()
    off["intrinsics"][0, :, 0, 2] += torch.tensor([1.5, -1.0, 2.0])  # as ray_pose finds them
    depth = read(nodes, off)
    assert torch.allclose(depth.intrinsics[:, 0, 0], torch.tensor(50.0 * 80 / 56))
    assert torch.allclose(depth.intrinsics[:, 0, 2], 40 + torch.tensor([1.5, -1.0, 2.0]) * 80 / 56)


def test_motion_can_be_left_out_and_stays_rigid_in_half_precision(nodes):
    assert torch.equal(read(nodes, da3(), source_cameras=False).world_from_cam, torch.eye(4).expand(3, 4, 4))
    depth = read(nodes, da3(extrinsics=da3()["extrinsics"].half(), intrinsics=da3()["intrinsics"].half()))
    rotation = depth.world_from_cam[:, :3, :3]
    assert torch.allclose(rotation @ rotation.mT, torch.eye(3).expand(3, 3, 3), atol=1e-6)
    assert torch.allclose(depth.world_from_cam, invert_rigid(MOTION.cam_from_world), atol=2e-3)


@pytest.mark.parametrize("cameras", [{}, {"extrinsics": torch.eye(4).expand(1, 1, 4, 4),
                                          "intrinsics": torch.eye(3).expand(1, 1, 3, 3)}])
def test_without_cameras_the_lens_is_the_released_one_and_the_camera_rests(nodes, cameras):
    packet = {"mode": "mono", "depth": DEPTH[:1], "image": torch.zeros(1, *SIZE, 3), **cameras}
    depth = read(nodes, packet)
    assert torch.equal(depth.intrinsics, default_intrinsics(SIZE)[None])
    assert torch.equal(depth.world_from_cam, torch.eye(4)[None])


def test_sky_and_holes_stay_infinitely_far(nodes):
    sky, holed = torch.zeros(3, *SIZE), DEPTH.clone()
    sky[:, :20], sky[:, 20:30] = 0.9, 0.4
    holed[:, 50:, :10], holed[:, 50:, 10:20], holed[:, 50:, 20:30] = 0.0, -1.0, math.nan
    depth = read(nodes, {"mode": "mono", "depth": holed, "image": None, "sky": sky}).depth
    assert torch.isinf(depth[:, :20]).all() and torch.isinf(depth[:, 50:, :30]).all()
    assert torch.equal(depth[:, 20:50], DEPTH[:, 20:50])
    nearer = read(nodes, {"mode": "mono", "depth": holed, "image": None, "sky": sky}, sky_threshold=0.3).depth
    assert torch.isinf(nearer[:, :30]).all()


def test_da3_metric_becomes_metres_by_its_rule(nodes):
    packet = {"mode": "mono", "depth": DEPTH, "image": torch.zeros(3, *SIZE, 3)}
    lens = {"lens": "field of view", "fov": 60.0}
    depth = read(nodes, packet, scale={"scale": "DA3-Metric", "resolution": 504}, lens=lens)
    focal_where_it_worked = 504 / 2 / math.tan(math.radians(30))
    assert depth.metric and torch.allclose(depth.depth, DEPTH * focal_where_it_worked / 300, rtol=1e-5)


def test_a_factor_scales_depth_and_motion_alike(nodes):
    one, two = (read(nodes, da3(), scale={"scale": "multiply", "factor": factor}) for factor in (1.0, 2.0))
    assert torch.allclose(two.depth, 2 * one.depth)
    assert torch.allclose(two.world_from_cam[:, :3, 3], 2 * one.world_from_cam[:, :3, 3])
    assert torch.equal(two.world_from_cam[:, :3, :3], one.world_from_cam[:, :3, :3])


def test_moge_brings_depth_lens_and_holes(nodes):
    depth = read(nodes, moge())
    assert torch.equal(depth.depth, moge()["depth"])
    focal = 0.8 * SIZE[1]
    assert torch.allclose(depth.intrinsics, torch.tensor([[focal, 0, 40], [0, focal, 30], [0, 0, 1]]).expand(3, 3, 3))


def test_a_lens_that_is_known_overrules_the_packet_s(nodes):
    depth = read(nodes, da3(), lens={"lens": "focal", "focal": 77.0})
    assert torch.equal(depth.intrinsics[:, 0, 0], torch.full((3,), 77.0))
    assert not torch.equal(depth.world_from_cam[2], torch.eye(4))


@pytest.mark.parametrize("packet, message", [
    (da3(extrinsics=torch.full((1, 3, 3, 4), math.nan)), "geometry: the camera motion .* NaN; turn source_cameras off"),
    (da3(intrinsics=torch.full((1, 3, 3, 3), -5.0)), "geometry: .* did not find a focal length; .* pose_method"),
    (da3(intrinsics=torch.full((1, 3, 3, 3), math.nan)), "geometry: .* did not find a focal length; .* pose_method"),
    (da3(depth=torch.full((3, *SIZE), math.nan)), "geometry: depth: inf everywhere"),
    (da3(depth=torch.ones(3, *SIZE)), "geometry: depth: 1 everywhere"),
    ({"depth": DEPTH, "image": None, "mask": None}, "geometry: a MoGe panorama"),
])
def test_packets_of_no_use_are_refused_in_a_sentence(nodes, packet, message):
    with pytest.raises(ValueError, match=message):
        read(nodes, packet)


# ---- packets of others, or cut short -------------------------------------------------------------

FOREIGN = [None, 3, "depth", [], {}, torch.zeros(3), torch.zeros(3, *SIZE, dtype=torch.bool), torch.zeros(0, *SIZE),
           torch.zeros(3, 1, *SIZE), torch.zeros(3, *SIZE, dtype=torch.complex64), torch.ones(3, 1, 1),
           torch.zeros(3, 3, 3), torch.full((1, 3, 3, 3), math.inf), torch.rand(1, 3, 4, 4), torch.eye(3),
           torch.zeros(()), torch.ones(2, *SIZE), torch.ones(3, *SIZE[::-1]), torch.full((3, *SIZE), math.nan)]


@pytest.mark.parametrize("make", [da3, moge])
@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_every_packet_is_read_or_refused_in_a_sentence_about_it(nodes, make, data):
    packet = make()
    packet = {key: packet[key] for key in packet if data.draw(st.integers(0, 5)) > 0}
    for key in data.draw(st.lists(st.sampled_from(["depth", "intrinsics", "extrinsics", "sky", "mode", "mask"]),
                                  max_size=2)):
        packet[key] = data.draw(st.sampled_from(FOREIGN))
    try:
        depth = read(nodes, packet, source_cameras=data.draw(st.booleans()))
    except ValueError as error:
        assert str(error).startswith("geometry: ") and "\n" not in str(error) and len(str(error)) < 300
    else:
        assert (depth.depth > 0).all() and torch.isfinite(depth.intrinsics).all()


@pytest.mark.parametrize("packet, sentence", [
    ([], "it is a list; connect Run Depth Anything 3 or Run MoGe Inference"),
    ({"mode": "mono"}, "its depth is missing; connect the output of Run Depth Anything 3"),
    (da3(depth=DEPTH[0]), r"its depth is \[60, 80\] float32; .* numbers of shape \[any, any, any\]"),
    (da3(depth=[[1.0]]), "its depth is a list; connect"),
    (da3(intrinsics=da3()["intrinsics"][:, :2]), r"its intrinsics is \[1, 2, 3, 3\] float32; connect"),
    (da3(extrinsics=None), "its extrinsics is missing"),
    (da3(extrinsics=2 * da3()["extrinsics"]), "extrinsics: frame . is not rigid"),
    (da3(sky=torch.zeros(3, 5, 5)), r"its sky is \[3, 5, 5\] float32; .* numbers of shape \[3, 60, 80\]"),
    (moge(intrinsics=torch.zeros(3, 3, 3)), "intrinsics: a focal length is zero or negative"),
])
def test_a_packet_that_lacks_something_is_told_what(nodes, packet, sentence):
    with pytest.raises(ValueError, match=f"geometry: {sentence}"):
        read(nodes, packet)
