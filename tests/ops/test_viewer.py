"""The viewer's camera and ours see the same picture."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ex4d_ops.camera import check_rigid, default_intrinsics, project, transform
from ex4d_ops.trajectory import move_path, parse_moves
from ex4d_ops.trajectory.viewer import camera_from_load3d, load3d_from_camera

SIZE = (96, 128)


def path_of(text: str, frames: int = 5):
    return move_path(parse_moves(text), frames, 2.5, default_intrinsics(SIZE), SIZE)


def xyz(*values):
    return dict(zip("xyz", values))


@pytest.mark.parametrize("move", ["static", "orbit:yaw=-50,pitch=30", "spiral+roll", "orbit:pitch=90", "pan:angle=180"])
def test_cameras_come_back_from_the_viewer(move):
    path = path_of(move)
    for frame in range(len(path)):
        back = camera_from_load3d(load3d_from_camera(path, frame, 2.5), SIZE)
        assert torch.allclose(back.cam_from_world[0], path.cam_from_world[frame], atol=2e-6)
        assert torch.allclose(back.intrinsics[0], path.intrinsics[frame], rtol=1e-5)


def test_viewer_is_y_up_and_looks_down_minus_z():
    info = load3d_from_camera(path_of("pedestal:distance=0.4..0.4+truck:distance=0.2..0.2"), 0, 2.5)
    assert info["position"] == pytest.approx(xyz(0.5, 1, 0)) and info["target"] == pytest.approx(xyz(0.5, 1, -2.5))
    assert info["quaternion"] == pytest.approx(dict(w=1, x=0, y=0, z=0)) and info["aspect"] == 4 / 3


def test_without_a_quaternion_it_looks_at_its_target():
    info = {"position": xyz(1, 2, 3), "target": xyz(0, 0, -2), "fov": 90, "zoom": 2, "cameraType": "perspective"}
    camera = camera_from_load3d(info, SIZE)
    assert torch.allclose(camera.eye[0], torch.tensor([1.0, -2, -3]))
    seen = transform(camera.cam_from_world[0], torch.tensor([[0.0, 0, 2]]))
    assert torch.allclose(project(seen, camera.intrinsics[0]), torch.tensor([[64.0, 48]]), atol=1e-4)
    assert float(camera.intrinsics[0, 0, 0]) == pytest.approx(2 * 48)  # half the height at 90 degrees, twice by zoom


def test_a_fitted_model_is_seen_as_it_is():
    """The viewer moved, turned and scaled the mesh: its camera sees the same points at the same places."""
    half = math.radians(35) / 2
    model = {"position": xyz(1, -2, 0.5), "scale": xyz(2, 2, 2),
             "quaternion": dict(w=math.cos(half), x=0, y=math.sin(half), z=0)}
    cos, sin = math.cos(2 * half), math.sin(2 * half)
    turn = torch.tensor([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
    path = path_of("orbit:yaw=40,pitch=20", 2)
    plain = load3d_from_camera(path, 1, 2.5)
    in_viewer = {key: xyz(*(turn @ (2 * torch.tensor(list(plain[key].values()))) + torch.tensor([1, -2, 0.5])).tolist())
                 for key in ("position", "target")} | {"fov": plain["fov"], "cameraType": "perspective"}
    back = camera_from_load3d(in_viewer, SIZE, model)
    assert torch.allclose(back.cam_from_world[0], path.cam_from_world[1], atol=1e-5)


@pytest.mark.parametrize("change, message", [
    ({"cameraType": "orthographic"}, "orthographic"), ({"position": None}, "position must have the numbers x, y, z"),
    ({"position": xyz(0, float("nan"), 0)}, "position must"), ({"fov": 0}, "between 0 and 180"),
    ({"fov": "wide"}, "fov"), ({"zoom": math.inf}, "zoom=inf must be"), ({"fov": 1e-9}, "make a focal length of"),
    ({"zoom": 1e30}, "make a focal length of"), ({"position": xyz(0, 1e30, 0)}, "position must have the numbers x"),
    ({"quaternion": {"w": 1}}, "quaternion must have the numbers w, x, y, z"),
    ({"quaternion": dict(w=1e300, x=1e300, y=0, z=0)}, "quaternion must have the numbers w"),
    ({"quaternion": dict(w=0, x=0, y=0, z=0)}, "quaternion has length 0")])
def test_cameras_that_are_none_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        camera_from_load3d(load3d_from_camera(path_of("orbit"), 0, 1.0) | change, SIZE)


numbers = st.floats() | st.integers() | st.sampled_from([0, 1e-320, 1e308, -0.0])


@given(fov=numbers, zoom=numbers, place=st.lists(numbers, min_size=3, max_size=3),
       turn=st.lists(numbers, min_size=4, max_size=4), scale=numbers)
def test_every_viewer_makes_a_camera_of_finite_numbers_or_is_refused(fov, zoom, place, turn, scale):
    turned = dict(zip("wxyz", turn))
    info = {"position": xyz(*place), "quaternion": turned, "fov": fov, "zoom": zoom, "cameraType": "perspective"}
    model = {"position": xyz(*place), "quaternion": turned, "scale": xyz(scale, scale, scale)}
    try:
        path = camera_from_load3d(info, SIZE, model)
    except ValueError as error:
        assert "\n" not in str(error) and len(str(error)) < 300
    else:
        check_rigid("camera", path.cam_from_world)
        assert (path.intrinsics[:, [0, 1], [0, 1]] > 0).all()
