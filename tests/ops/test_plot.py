"""The path plot shows the path: right is right, up is up, at one scale."""

import torch

from ex4d_ops import VideoDepth
from ex4d_ops.camera import default_intrinsics
from ex4d_ops.plot import common_target, frustum_corners, plot_path
from ex4d_ops.trajectory import move_path, parse_moves

SIZE = (96, 128)


def path_of(text: str, frames: int = 9):
    return move_path(parse_moves(text), frames, 2.5, default_intrinsics(SIZE), SIZE)


def test_plot_is_a_picture():
    depth = VideoDepth(torch.full((2, 24, 32), 3.0), default_intrinsics((24, 32)).expand(2, 3, 3),
                       torch.eye(4).expand(2, 4, 4))
    for path, scene in ((path_of("orbit"), None), (path_of("static", 1), None), (path_of("pan"), depth)):
        picture = plot_path(path, scene)
        assert picture.shape == (600, 1200, 3) and picture.dtype == torch.float32
        assert 0 <= picture.min() < 0.5 and picture.max() == 1


def test_opposite_orbits_make_different_pictures():
    assert not torch.equal(plot_path(path_of("orbit:yaw=50")), plot_path(path_of("orbit:yaw=-50")))


def test_cameras_that_look_at_one_point_share_it():
    assert torch.allclose(common_target(path_of("orbit:yaw=-60..60,pitch=30")), torch.tensor([[0, 0, 2.5]]), atol=1e-3)
    for nowhere in ("static", "dolly", "truck", "pan", "orbit+truck:distance=3"):
        assert common_target(path_of(nowhere)).shape == (0, 3), nowhere


def test_frusta_open_forwards_around_the_axis():
    corners = frustum_corners(path_of("static", 1), reach=2.0)[0]
    assert torch.equal(corners[0], torch.zeros(3)) and (corners[1:, 2] == 2).all()
    assert torch.equal(corners[1:, :2].sign(), torch.tensor([[-1.0, -1], [1, -1], [1, 1], [-1, 1]]))
    assert torch.allclose(corners[1:].mean(0), torch.tensor([0, 0, 2.0]))
