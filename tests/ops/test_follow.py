"""Laws of paths that follow: a source at rest is the world, smoothing 0 is the source, a subject stays in view."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ex4d_ops.camera import check_rigid, default_intrinsics, invert_rigid, lift, project, rigid, transform
from ex4d_ops.depth import make_video_depth
from ex4d_ops.rotation import rotate_about
from ex4d_ops.scene import sample_clip
from ex4d_ops.trajectory import (
    MOVES,
    automatic_radius,
    make_move,
    make_subject,
    move_path,
    parse_moves,
    source_path,
    subject_target,
    text_path,
)
from ex4d_ops.trajectory.follow import follow, smooth_evenly

SIZE, FRAMES, RADIUS = (48, 64), 9, 2.5
INTRINSICS = default_intrinsics(SIZE)
KEYS = '[{"frame": 0}, {"frame": 4, "yaw": 30, "pitch": -10}, {"time": 1, "yaw": 50, "distance": 0.7, "roll": 8}]'
MIDDLE = torch.tensor([32.0, 24])


def cameras_of(turns: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """world_from_cam [T, 4, 4] in the world of the first of cameras that turn by yaw and pitch [T, 2] at places."""
    cameras = rigid(rotate_about("y", turns[:, 0]) @ rotate_about("x", turns[:, 1]), places)
    return (invert_rigid(cameras[0]) @ cameras).float()


def walk(frames: int = FRAMES, seed: int = 0) -> torch.Tensor:
    """world_from_cam of a source camera carried by hand."""
    generator = torch.Generator().manual_seed(seed)
    steps = torch.randn(frames, 5, generator=generator, dtype=torch.float64).cumsum(0) * 0.05
    return cameras_of(steps[:, :2], steps[:, 2:])


def scene(world_from_cam: torch.Tensor | None = None, frames: int = FRAMES):
    generator = torch.Generator().manual_seed(1)
    depth = 2 + 3 * torch.rand(frames, *SIZE, generator=generator)
    return make_video_depth(depth, world_from_cam=world_from_cam)


def made(text: str, subject=None, radius: float = RADIUS, frames: int = FRAMES):
    """A path of moves or keyframes."""
    if text.startswith("["):
        return text_path(text, frames, radius, INTRINSICS, SIZE, subject=subject)
    return move_path(parse_moves(text), frames, radius, INTRINSICS, SIZE, subject)


def pixel_of(path, points: torch.Tensor) -> torch.Tensor:
    """Where every camera of a path sees its point of [T, 3]."""
    seen = [project(transform(camera, point[None]), lens)[0]
            for camera, lens, point in zip(path.cam_from_world, path.intrinsics, points)]
    return torch.stack(seen)


# ---- relative to the source ---------------------------------------------------------------------


@pytest.mark.parametrize("text", [*sorted(MOVES), KEYS])
def test_relative_to_a_source_at_rest_is_the_world(text):
    path = made(text)
    assert torch.equal(follow(path, scene(), "source").cam_from_world, path.cam_from_world)


@pytest.mark.parametrize("text", ["static", "orbit:yaw=40,pitch=10", KEYS])
def test_relative_to_the_source_every_camera_stands_to_its_source_camera_as_the_path_says(text):
    moving, path = scene(walk()), made(text)
    followed = follow(path, moving, "source")
    assert torch.allclose(followed.cam_from_world @ moving.world_from_cam, path.cam_from_world, atol=1e-5)
    assert torch.allclose(followed.cam_from_world[0], path.cam_from_world[0], atol=1e-6)


def test_a_still_path_relative_to_the_source_is_the_source():
    moving = scene(walk())
    assert torch.allclose(follow(made("static"), moving, "source").cam_from_world, source_path(moving).cam_from_world,
                          atol=1e-6)


def test_relative_follows_the_frame_that_is_shown():
    moving = scene(walk())
    text = '{"keys": [{"frame": 0}], "retime": [{"frame": 0, "source": 3}, {"time": 1, "source": 3}]}'
    held = text_path(text, FRAMES, RADIUS, INTRINSICS, SIZE, clip=FRAMES)
    followed = follow(held, moving, "source")
    expected = invert_rigid(moving.world_from_cam[3]).expand(FRAMES, 4, 4)
    assert torch.allclose(followed.cam_from_world, expected, atol=1e-6)


def test_relative_without_a_scene_or_beyond_its_frames_is_refused():
    with pytest.raises(ValueError, match="scene, which is not connected"):
        follow(made("static"), None, "source")
    with pytest.raises(ValueError, match="shows source frame 10, but the clip has 9 frames"):
        follow(made("static", frames=11), scene(walk()), "source")


# ---- the source's own path ----------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["all", "rotation"])
def test_smoothing_0_is_the_source(kind):
    moving = scene(walk())
    path = source_path(moving, 0, kind)
    assert torch.allclose(path.cam_from_world @ moving.world_from_cam, torch.eye(4).expand(FRAMES, 4, 4), atol=1e-6)
    assert torch.equal(path.intrinsics, moving.intrinsics) and path.size == moving.size


@given(st.integers(1, 40), st.integers(2, 30), st.floats(-0.1, 0.1), st.floats(-0.3, 0.3))
@settings(deadline=None, max_examples=30)
def test_even_motion_stays_whatever_the_smoothing(smoothing, frames, turn, step):
    at = torch.arange(frames, dtype=torch.float64)
    moving = scene(cameras_of(torch.stack([turn * at, 0 * at], -1), step * at[:, None].expand(frames, 3)), frames)
    assert torch.allclose(source_path(moving, smoothing).cam_from_world, source_path(moving).cam_from_world, atol=1e-4)


@given(st.integers(1, 60), st.integers(0, 9))
@settings(deadline=None, max_examples=20)
def test_every_smoothed_path_is_rigid_and_begins_and_ends_at_the_source(smoothing, seed):
    moving = scene(walk(seed=seed))
    path, filmed = source_path(moving, smoothing), source_path(moving)
    check_rigid("path", path.cam_from_world)
    assert torch.allclose(path.cam_from_world[[0, -1]], filmed.cam_from_world[[0, -1]], atol=1e-5)


def test_smoothing_calms_a_shaking_camera_the_more_the_wider():
    moving = scene(walk(49), 49)
    shake = [source_path(moving, reach).eye.diff(n=2, dim=0).norm(dim=-1).mean() for reach in (0, 2, 6, 12)]
    assert shake[0] > 2 * shake[1] > 2 * shake[2] > shake[3]


def test_smoothing_rotation_alone_leaves_the_places():
    moving = scene(walk(25), 25)
    turned, filmed = source_path(moving, 6, "rotation"), source_path(moving)
    assert torch.allclose(turned.eye, filmed.eye, atol=1e-5)
    assert not torch.allclose(turned.cam_from_world, filmed.cam_from_world, atol=1e-3)


def test_a_mean_of_equal_numbers_is_that_number():
    assert torch.allclose(smooth_evenly(torch.full((7, 2), 3.0, dtype=torch.float64), 5), torch.tensor(3.0).double())


# ---- a subject ----------------------------------------------------------------------------------


@given(st.integers(0, SIZE[1] - 1), st.integers(0, SIZE[0] - 1))
@settings(deadline=None, max_examples=40)
def test_the_target_of_a_mask_of_one_pixel_is_that_of_its_point_and_box(x, y):
    still = scene()
    mask = torch.zeros(SIZE)
    mask[y, x] = 1
    there = lift(still.depth[0], still.intrinsics[0])[y, x]
    for subject in (mask, mask[None], (x, y), (x + 0.5, y + 0.5), (x, y, x, y)):
        assert torch.allclose(subject_target(subject, still), there, atol=1e-5)


def test_the_depth_of_a_subject_is_the_median_of_what_is_seen_of_it():
    still = scene()
    still.depth[0, 10:20, 10:20] = 3.0
    still.depth[0, 10:12, 10:20] = math.inf
    still.depth[0, 12, 10:20] = 90.0
    assert subject_target((10, 10, 19, 19), still)[2] == pytest.approx(3.0)


def test_masks_per_frame_give_a_point_per_frame_in_the_world():
    moving, masks = scene(walk()), torch.zeros(FRAMES, *SIZE)
    for t in range(FRAMES):
        masks[t, 20, 5 + 6 * t] = 1
    points = subject_target(masks, moving)
    for t in range(FRAMES):
        seen = transform(invert_rigid(moving.world_from_cam[t]), points[t])
        pixel = project(seen[None], moving.intrinsics[t])[0]
        assert torch.allclose(pixel, torch.tensor([5.5 + 6 * t, 20.5]), atol=1e-2)
        assert seen[2] == pytest.approx(float(moving.depth[t, 20, 5 + 6 * t]), rel=1e-4)


def test_where_a_frame_shows_nothing_of_the_subject_the_point_runs_from_the_last_place_to_the_next():
    still, masks = scene(), torch.zeros(FRAMES, *SIZE)
    masks[2, 10, 10], masks[6, 30, 50] = 1, 1
    points = subject_target(masks, still)
    assert torch.equal(points[0], points[2]) and torch.equal(points[8], points[6])
    assert torch.allclose(points[4], (points[2] + points[6]) / 2, atol=1e-5)


WRONG = [
    ((64, 3), "is not within the picture of 64x48"), ((-1, 3), "is not within"), ((3, 3, 2, 9), "is not within"),
    ((math.nan, 3), "must be a point x,y"), ((1, 2, 3), "must be a point x,y"), (torch.zeros(SIZE), "shows nothing"),
    (torch.zeros(FRAMES, *SIZE), "no frame shows anything"), (torch.ones(4, *SIZE), "4 masks, but the scene has 9"),
    (torch.ones(9, 8), "8x9, but the scene is 64x48"),
]


@pytest.mark.parametrize("subject, message", WRONG)
def test_every_wrong_subject_is_named(subject, message):
    with pytest.raises(ValueError, match=message):
        subject_target(subject, scene())


STARTS = ["static", "orbit:yaw=50,pitch=20", "arc", "dolly", "spiral", "figure-eight", "dolly-zoom", KEYS]
PLACES = [(3, 4), (50, 40), (32, 24), (60, 2)]


@pytest.mark.parametrize("text", STARTS)
@pytest.mark.parametrize("place", PLACES)
def test_a_camera_that_circles_a_subject_has_it_in_the_centre(text, place):
    target = subject_target(place, scene())
    subject = make_subject(target)
    path = made(text, subject, subject.distance)
    assert torch.allclose(pixel_of(path, target.expand(FRAMES, 3)), MIDDLE.expand(FRAMES, 2), atol=0.02)
    check_rigid("path", path.cam_from_world)


@pytest.mark.parametrize("text", STARTS)
@pytest.mark.parametrize("place", PLACES)
def test_keep_aim_begins_at_the_source_camera(text, place):
    subject = make_subject(subject_target(place, scene()), keep_aim=True)
    path = made(text, subject, subject.distance)
    if "figure" not in text and "spiral" not in text:
        assert torch.allclose(path.cam_from_world[0], torch.eye(4), atol=1e-5)
    assert torch.allclose(made("static", subject, subject.distance).cam_from_world, torch.eye(4), atol=1e-5)


@pytest.mark.parametrize("text", ["orbit:yaw=50,pitch=20", "arc", '[{"frame": 0}, {"time": 1, "yaw": 60}]'])
@pytest.mark.parametrize("place", PLACES)
def test_keep_aim_leaves_the_subject_where_it_is_in_the_picture(text, place):
    still = scene()
    target = subject_target(place, still)
    path = made(text, make_subject(target, keep_aim=True), float(target.norm()))
    seen = pixel_of(path, target.expand(FRAMES, 3))
    assert torch.allclose(seen, seen[:1].expand(FRAMES, 2), atol=0.02)
    assert torch.allclose(seen[0], torch.tensor(place) + 0.5, atol=0.02)


@pytest.mark.parametrize("text", [*sorted(MOVES), KEYS])
def test_a_subject_straight_ahead_is_the_target(text):
    ahead = make_subject(torch.tensor([0.0, 0, RADIUS]))
    for keep_aim in (False, True):
        path = made(text, make_subject(ahead.points[0], keep_aim))
        assert torch.allclose(path.cam_from_world, made(text).cam_from_world, atol=1e-6)


def moving_subject() -> torch.Tensor:
    """Points [T, 3] of somebody who walks by."""
    at = torch.linspace(0, 1, FRAMES)
    return torch.stack([-0.5 + 1.2 * at, 0.2 - 0.3 * at, 2.5 + 0.8 * at], -1)


@pytest.mark.parametrize("text", [text for text in STARTS if text not in ("spiral", "figure-eight")])
@pytest.mark.parametrize("relative", ["world", "source"])
@pytest.mark.parametrize("moving", [False, True])
def test_the_aim_follows_a_subject_that_moves(text, relative, moving):
    filmed, points = scene(walk() if moving else None), moving_subject()
    subject = make_subject(points)
    path = follow(made(text, subject, subject.distance), filmed, relative, subject)
    assert torch.allclose(pixel_of(path, points), MIDDLE.expand(FRAMES, 2), atol=0.05)
    check_rigid("path", path.cam_from_world)


def test_keep_aim_leaves_a_moving_subject_where_frame_0_has_it():
    filmed, points = scene(), moving_subject()
    subject = make_subject(points, keep_aim=True)
    path = follow(made("orbit:yaw=30", subject, subject.distance), filmed, "world", subject)
    seen = pixel_of(path, points)
    assert torch.allclose(seen, seen[:1].expand_as(seen), atol=0.05)
    assert torch.allclose(path.cam_from_world[0], torch.eye(4), atol=1e-5)


@pytest.mark.parametrize("text", [*sorted(MOVES), KEYS])
@pytest.mark.parametrize("keep_aim", [False, True])
def test_following_a_subject_that_rests_changes_nothing(text, keep_aim):
    target = subject_target((50, 40), scene())
    subject = make_subject(target.expand(FRAMES, 3), keep_aim)
    path = made(text, subject, subject.distance)
    assert torch.allclose(follow(path, scene(), "world", subject).cam_from_world, path.cam_from_world, atol=1e-5)


def test_a_radius_of_ones_own_puts_the_subject_at_that_distance_on_its_ray():
    subject = make_subject(subject_target((50, 40), scene()))
    path = made("orbit:yaw=0..90", subject, 1.5)
    point = 1.5 * subject.direction.float()
    assert torch.allclose(pixel_of(path, point.expand(FRAMES, 3)), MIDDLE.expand(FRAMES, 2), atol=0.02)
    assert torch.allclose((path.eye - point).norm(dim=-1), torch.tensor(1.5), atol=1e-4)


def test_a_real_scene_is_followed():
    frames, depth = sample_clip("colonnade", 5, (32, 48))
    moving = float(depth.world_from_cam[-1, :3, 3].norm())
    path = follow(move_path([make_move("static")], 5, automatic_radius(depth), depth.intrinsics, depth.size), depth,
                  "source")
    assert moving > 0.01 and torch.allclose(path.eye, depth.world_from_cam[:, :3, 3], atol=1e-5)
