"""Laws of cameras: transforms compose and cancel, lifting undoes projecting, look-at centres its target."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ex4d_ops import CameraPath
from ex4d_ops.camera import (
    check_rigid,
    cover_intrinsics,
    default_intrinsics,
    intrinsics_from_focal,
    invert_rigid,
    lift,
    look_at,
    pixel_centers,
    project,
    resize_intrinsics,
    rigid,
    transform,
)
from ex4d_ops.rotation import rotation_of

seeds = st.integers(0, 2**31 - 1)
laws = settings(deadline=None, max_examples=30)


def random_rigid(seed: int, count: int = 4) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    rotation = rotation_of(torch.randn(count, 4, generator=generator, dtype=torch.float64))
    return rigid(rotation, 5 * torch.randn(count, 3, generator=generator, dtype=torch.float64))


def random_points(seed: int, count: int = 50) -> torch.Tensor:
    return torch.randn(count, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@laws
@given(seeds)
def test_inverting_twice_changes_nothing(seed):
    cameras = random_rigid(seed)
    assert torch.allclose(invert_rigid(invert_rigid(cameras)), cameras, atol=1e-12)


@laws
@given(seeds)
def test_inverse_is_the_matrix_inverse(seed):
    cameras = random_rigid(seed)
    assert torch.allclose(invert_rigid(cameras), torch.linalg.inv(cameras), atol=1e-10)


@laws
@given(seeds)
def test_composed_names_cancel(seed):
    """a_from_c = a_from_b @ b_from_c moves points as the two do in turn, and c_from_a brings them back."""
    a_from_b, b_from_c = random_rigid(seed, 2)
    points = random_points(seed)
    in_a = transform(a_from_b @ b_from_c, points)
    assert torch.allclose(in_a, transform(a_from_b, transform(b_from_c, points)), atol=1e-10)
    assert torch.allclose(transform(invert_rigid(a_from_b @ b_from_c), in_a), points, atol=1e-10)


@laws
@given(seeds)
def test_rigid_transforms_keep_distances(seed):
    points = random_points(seed, 10)
    moved = transform(random_rigid(seed, 1)[0], points)
    assert torch.allclose(torch.cdist(moved, moved), torch.cdist(points, points), atol=1e-9)


@laws
@given(seeds, st.integers(1, 40), st.integers(1, 40))
def test_projecting_lifted_depth_returns_pixel_centers(seed, height, width):
    depth = 0.1 + 10 * torch.rand(height, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    intrinsics = default_intrinsics((height, width)).double()
    points = lift(depth, intrinsics)
    assert torch.equal(points[..., 2], depth)
    assert torch.allclose(project(points, intrinsics), pixel_centers((height, width), dtype=torch.float64), atol=1e-9)


def test_pixel_centers_are_half_a_pixel_in():
    assert pixel_centers((2, 2)).tolist() == [[[0.5, 0.5], [1.5, 0.5]], [[0.5, 1.5], [1.5, 1.5]]]


def test_axis_goes_through_the_middle_of_the_picture():
    assert project(torch.tensor([0.0, 0, 7]), intrinsics_from_focal(300, (48, 64))).tolist() == [32, 24]


def test_default_focal_length_is_the_released_one():
    assert default_intrinsics((512, 512)).tolist() == [[500, 0, 256], [0, 500, 256], [0, 0, 1]]
    assert float(default_intrinsics((480, 1024))[0, 0]) == 1000


@laws
@given(seeds)
def test_resized_intrinsics_see_the_same_share_of_the_picture(seed):
    points = random_points(seed) + torch.tensor([0, 0, 8.0])
    size, new_size = (480, 640), (256, 832)
    before = default_intrinsics(size).double()
    share = project(points, before) / torch.tensor([640.0, 480])
    new_share = project(points, resize_intrinsics(before, size, new_size)) / torch.tensor([832.0, 256])
    assert torch.allclose(share, new_share, atol=1e-12)


@pytest.mark.parametrize("new_size", [(480, 640), (240, 320), (960, 640), (256, 832)])
def test_covering_intrinsics_crop_and_never_stretch(new_size):
    size = (480, 640)
    before = default_intrinsics(size)
    after = cover_intrinsics(before, size, new_size)
    assert after[0, 0] == after[1, 1] and torch.allclose(after[:2, 2], torch.tensor([new_size[1] / 2, new_size[0] / 2]))
    corners = torch.tensor([[0.0, 0, 1], [new_size[1], new_size[0], 1]]) @ torch.linalg.inv(after).T
    seen = project(corners, before)
    assert (seen > -1e-3).all() and (seen < torch.tensor([640.001, 480.001])).all()
    assert torch.isclose(seen[0], torch.zeros(2), atol=1e-3).any(), "one side is seen whole"


@laws
@given(seeds)
def test_look_at_puts_the_target_in_the_centre_and_stays_level(seed):
    eye, target = random_points(seed, 2)
    camera = look_at(eye, target)
    seen = transform(camera, target[None])[0]
    assert torch.allclose(seen, torch.stack([seen[0] * 0, seen[1] * 0, (target - eye).norm()]), atol=1e-9)
    assert torch.allclose(transform(camera, eye[None])[0], torch.zeros(3, dtype=torch.float64), atol=1e-9)
    assert abs(float(camera[0, 1])) < 1e-12 and float(camera[1, 1]) > 0  # right is level, down is down
    check_rigid("camera", camera[None])


def test_look_at_refuses_straight_down():
    with pytest.raises(ValueError, match="straight up or down"):
        look_at(torch.tensor([0.0, -3, 0]), torch.zeros(3))


def test_eye_is_where_the_camera_maps_to_its_origin():
    cameras = random_rigid(3)
    path = CameraPath(cameras.float(), default_intrinsics((8, 8)).expand(4, 3, 3), (8, 8))
    seen = (cameras @ torch.cat([path.eye.double(), torch.ones(4, 1)], 1)[..., None])[:, :3, 0]
    assert seen.abs().max() < 1e-5


def broken_cameras():
    eye = torch.eye(4).repeat(3, 1, 1)
    scaled, mirrored, singular, nan, tilted = (eye.clone() for _ in range(5))
    scaled[1, :3, :3] *= 2
    mirrored[2, 0, 0] = -1
    singular[1, 0, 0] = 0
    nan[0, 1, 2] = float("nan")
    tilted[1, 3, 0] = 0.5
    return {"frame 1 is not rigid": scaled, "frame 2 is mirrored": mirrored, "1 is not rigid": singular, "NaN": nan,
            "last row": tilted}


@pytest.mark.parametrize("message, cameras", broken_cameras().items())
def test_matrices_that_are_no_cameras_are_refused(message, cameras):
    with pytest.raises(ValueError, match=message):
        check_rigid("path", cameras)


def test_paths_of_another_shape_or_type_are_refused():
    cameras, intrinsics = torch.eye(4).repeat(3, 1, 1), torch.eye(3).repeat(3, 1, 1)
    with pytest.raises(ValueError, match=r"intrinsics: got \[2, 3, 3\] float32, needs \[3, 3, 3\]"):
        CameraPath(cameras, intrinsics[:2], (8, 8))
    with pytest.raises(ValueError, match="float64, needs .* float32"):
        CameraPath(cameras.double(), intrinsics, (8, 8))
    with pytest.raises(ValueError, match="source_frame"):
        CameraPath(cameras, intrinsics, (8, 8), torch.arange(4))


@pytest.mark.parametrize("field", ["cam_from_world", "intrinsics"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_every_number_of_a_path_is_finite(field, value):
    fields = {"cam_from_world": torch.eye(4).repeat(3, 1, 1), "intrinsics": default_intrinsics((8, 8)).repeat(3, 1, 1)}
    for entry in range(fields[field].numel()):
        broken = fields[field].clone()
        broken.view(-1)[entry] = value
        with pytest.raises(ValueError, match=f"{field}: contains NaN or infinity"):
            CameraPath(**fields | {field: broken}, size=(8, 8))


def test_a_path_has_a_camera():
    with pytest.raises(ValueError, match="does not contain a camera; give it one per frame"):
        CameraPath(torch.zeros(0, 4, 4), torch.zeros(0, 3, 3), (8, 8))
