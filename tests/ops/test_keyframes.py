"""Laws of keyframes: the path passes through them, keeps to what they say in between, and errors name the place."""

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ex4d_ops.camera import check_rigid, default_intrinsics, project, transform
from ex4d_ops.trajectory import move_path, parse_moves
from ex4d_ops.trajectory.keyframes import FIELDS, check_keyframes, keyframe_path, parse_keyframes, parse_retime

SIZE = (96, 128)
INTRINSICS = default_intrinsics(SIZE)
RADIUS = 2.5
FRAMES = 25


def path_of(keyframes, frames: int = FRAMES, **options):
    text = keyframes if isinstance(keyframes, str) else json.dumps(keyframes)
    return keyframe_path(parse_keyframes(text, frames), frames, RADIUS, INTRINSICS, SIZE, **options)


def moved(text: str, frames: int = FRAMES):
    return move_path(parse_moves(text), frames, RADIUS, INTRINSICS, SIZE)


def same_cameras(first, second) -> bool:
    return (torch.allclose(first.cam_from_world, second.cam_from_world, atol=2e-5)
            and torch.allclose(first.intrinsics, second.intrinsics, rtol=1e-5))


@pytest.mark.parametrize("keyframes, move", [
    ([{"frame": 0}], "static"),
    ([{"frame": 0}, {"frame": 24, "yaw": 170, "pitch": -60}], "orbit:yaw=170,pitch=-60"),
    ([{"frame": 0}, {"time": 1, "yaw": 340}], "orbit:yaw=340"),
    ([{"frame": 0, "ease": "ease-in-out"}, {"frame": 24, "distance": 0.4}], "dolly:distance=0.6,ease=ease-in-out"),
    ([{"frame": 0, "pan": 0}, {"frame": 24, "position": [0.3, 0, 0], "pan": 0}], "truck:distance=0.3"),
    ([{"frame": 0, "position": [0, 0, 0], "tilt": 0}, {"frame": 24, "position": [0, -0.3, 0], "pan": 0}],
     "pedestal:distance=0.3"),
    ([{"frame": 0, "pan": 0}, {"frame": 24, "distance": 1, "pan": 50}], "pan:angle=50"),
    ([{"frame": 0, "pan": 0}, {"frame": 24, "tilt": 40}], "tilt:angle=40"),
    ([{"frame": 0}, {"frame": 24, "roll": 30}], "roll:angle=30")])
def test_keyframes_of_a_move_make_that_move(keyframes, move):
    assert same_cameras(path_of(keyframes, smooth=False), moved(move))


def test_the_path_passes_through_every_keyframe():
    keyframes = [{"frame": 0, "position": [0, 0, 0]}, {"frame": 7, "position": [0.5, -0.2, 0.1], "zoom": 2},
                 {"frame": 15, "yaw": -40, "pitch": 20, "distance": 1.5, "roll": 10},
                 {"time": 1, "position": [0, 0.3, -0.5], "look_at": [0.2, 0, 1], "focal": 100}]
    path = path_of(keyframes)
    assert torch.allclose(path.eye[7], RADIUS * torch.tensor([0.5, -0.2, 0.1]), atol=1e-5)
    assert torch.allclose(path.eye[24], RADIUS * torch.tensor([0, 0.3, -0.5]), atol=1e-5)
    orbited = moved("orbit:yaw=-40..-40,pitch=20..20+dolly:distance=-0.5..-0.5+roll:angle=10..10", 1)
    assert torch.allclose(path.cam_from_world[15], orbited.cam_from_world[0], atol=1e-5)
    assert torch.allclose(path.intrinsics[[0, 7, 24], 0, 0], torch.tensor([125.0, 250, 100]), rtol=1e-5)


def test_orbit_keyframes_keep_the_distance_between_them_too():
    path = path_of([{"frame": 0}, {"frame": 10, "yaw": 120}, {"frame": 24, "yaw": -30, "pitch": 80}])
    away = (path.eye - torch.tensor([0, 0, RADIUS])).norm(dim=-1)
    assert torch.allclose(away, torch.full_like(away, RADIUS), atol=1e-4)


@pytest.mark.parametrize("smooth", [True, False])
def test_the_point_looked_at_stays_in_the_centre(smooth):
    path = path_of([{"frame": 0, "position": [0, 0, 0]}, {"frame": 8, "position": [1, 0.3, 0]},
                    {"frame": 24, "position": [-0.5, -2, 1.0]}], smooth=smooth)
    target = torch.tensor([0, 0, RADIUS])
    seen = torch.stack([project(transform(camera, target[None]), INTRINSICS)[0] for camera in path.cam_from_world])
    assert torch.allclose(seen, torch.tensor([64.0, 48]).expand_as(seen), atol=0.01)


def test_smooth_paths_have_no_kinks_and_linear_ones_are_straight():
    keyframes = [{"frame": 0, "position": [0, 0, 0]}, {"frame": 8, "position": [1, 0, 0]},
                 {"frame": 16, "position": [1, 1, 0]}, {"frame": 24, "position": [0, 1, 0]}]
    smooth, straight = path_of(keyframes).eye.diff(dim=0), path_of(keyframes, smooth=False).eye.diff(dim=0)
    assert torch.allclose(straight[:8], straight[:1].expand(8, 3), atol=1e-5)
    assert smooth.diff(dim=0).norm(dim=-1).max() < 0.4 * straight.diff(dim=0).norm(dim=-1).max()


def test_even_keyframes_on_a_line_run_evenly():
    keyframes = [{"frame": frame, "position": [frame / 24, 0, 0], "pan": 0} for frame in (0, 6, 9, 24)]
    assert same_cameras(path_of(keyframes), moved("truck:distance=1"))


def test_turned_keyframes_take_the_shortest_arc():
    path = path_of([{"frame": 0, "pan": 170}, {"frame": 24, "pan": -170}])
    assert torch.allclose(path.cam_from_world[12, 2, :3], torch.tensor([0.0, 0, -1]), atol=1e-5)


def test_cameras_rest_before_the_first_and_after_the_last_keyframe():
    path = path_of([{"frame": 5, "yaw": 10}, {"frame": 15, "yaw": 30}])
    assert torch.equal(path.cam_from_world[0], path.cam_from_world[5])
    assert torch.equal(path.cam_from_world[15], path.cam_from_world[24])


def test_looking_straight_down_is_fine():
    path = path_of([{"frame": 0, "position": [0, -2, 1]}, {"frame": 24, "pitch": 90, "distance": 2}])
    assert same_cameras(path_of([{"frame": 0, "pitch": 90, "distance": 2}]), path)


WRONG = [
    ('[{"frame": 0},\n {"frame": 48,\n  "yaw": "far"}]', "keyframe 1 (line 3): yaw must be a number in -3600..3600"),
    ('[{"frame": 0},\n\n {"frame": 99}]', "keyframe 1 (line 3): frame must be a number in 0..48"),
    ('[{"frame": 0},\n {"yaw": 3}]', "keyframe 1 (line 2): frame is missing"),
    ('[{"frame": 5},\n {"frame": 5}]', "keyframe 1 (line 2): frame must come after"),
    ('[{"time": 0.5},\n {"time": 0.25}]', "keyframe 1 (line 2): time must come after"),
    ('[{"frame": 0,\n "speed": 3}]', "keyframe 0 (line 2): speed is unknown; use frame, time, position"),
    ('[{"frame": 0, "position": [0, 1]}]', "keyframe 0 (line 1): position must be three numbers"),
    ('[{"frame": 0, "position": [0, 1, NaN]}]', "keyframe 0 (line 1): position must be three numbers"),
    ('[{"frame": 0, "position": [0, 0, 0],\n "yaw": 3}]', "keyframe 0 (line 2): yaw cannot be used with position"),
    ('[{"frame": 0, "look_at": [0, 0, 1],\n "pan": 3}]', "keyframe 0 (line 2): pan cannot be used with look_at"),
    ('[{"frame": 0, "zoom": 2, "focal": 3}]', "focal cannot be used with zoom"),
    ('[{"frame": 0, "time": 0}]', "time cannot be used with frame"),
    ('[{"frame": 0, "position": [0, 0, 1]}]', "is at the point that it looks at"),
    ('[{"frame": 0, "ease": "there-and-back"}]', "ease must be one of linear, ease-in"),
    ('[{"frame": 0, "zoom": true}]', "zoom must be a number"),
    ('[{"frame": 0},\n 3]', "keyframe 1 (line 2): must be an object"),
    ('{"frame": 0}', "must be a list of objects"), ("[]", "must be a list of objects"), ("", "line 1 is not JSON"),
    ('[{"frame": 0},\n {"frame" 3}]', "line 2 is not JSON"), ("[" * 99999, "nested too deep"),
]


@pytest.mark.parametrize("text, message", WRONG)
def test_errors_name_keyframe_field_and_line(text, message):
    with pytest.raises(ValueError) as error:
        parse_keyframes(text, 49)
    assert message in str(error.value) and "\n" not in str(error.value)


values = st.none() | st.floats() | st.integers() | st.text(max_size=3) | st.lists(st.floats(-3, 3), max_size=3)
good_values = st.floats(0, 2) | st.lists(st.floats(-3, 3), min_size=3, max_size=3)
fields = st.sampled_from([field for field in FIELDS if field not in ("frame", "time")])
entries = st.lists(st.dictionaries(fields, good_values | values, max_size=3), max_size=3)


@settings(deadline=None, max_examples=200)
@given(entries.map(lambda some: [{"frame": 4 * index} | entry for index, entry in enumerate(some)]) | st.text())
def test_anything_is_a_rigid_path_or_one_error(content):
    try:
        path = path_of(content)
    except ValueError as error:
        assert "\n" not in str(error)
        return
    check_rigid("path", path.cam_from_world)
    assert torch.isfinite(path.intrinsics).all()


times = st.fixed_dictionaries({"frame": st.integers(0, 12)}) | st.fixed_dictionaries({"time": st.sampled_from(
    [0, 0.25, 0.5, 1, 1.5])})


def is_refused(check, *values) -> bool:
    try:
        check(*values)
    except ValueError:
        return True
    return False


@settings(deadline=None, max_examples=200)
@given(st.lists(times, min_size=1, max_size=3), st.booleans())
def test_every_text_that_is_right_for_some_length_passes_where_the_length_is_not_known(content, retimed):
    text = json.dumps(content)
    if retimed:
        text = json.dumps({"keys": [{"frame": 0}], "retime": [moment | {"source": 0} for moment in content]})
    fits = [not (is_refused(parse_keyframes, text, frames) or is_refused(parse_retime, text, frames))
            for frames in range(1, 60)]
    if any(fits):
        check_keyframes(text, 59)
    elif len({"time" in entry for entry in content}) == 1:
        assert is_refused(check_keyframes, text, 59)


@pytest.mark.parametrize("text, message", WRONG)
def test_what_is_wrong_for_every_length_is_refused_by_the_same_words(text, message):
    if "0..48" not in message:
        with pytest.raises(ValueError) as error:
            check_keyframes(text, 49)
        assert message in str(error.value)
