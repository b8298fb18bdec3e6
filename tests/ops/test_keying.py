"""Laws of paths turned into keyframes: few, that make the same path again, and that people can edit."""

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ex4d_ops.camera import CameraPath, default_intrinsics
from ex4d_ops.trajectory import MOVES, move_path, parse_moves, text_path
from ex4d_ops.trajectory.editing import retime
from ex4d_ops.trajectory.keying import FittedTo, keyframe_of, keyframes_of, preset_keyframes

SIZE, RADIUS = (48, 64), 2.5
LENS = default_intrinsics(SIZE)
COMBINED = ["orbit:yaw=40+dolly:distance=-0.3", "truck+zoom", "orbit:pitch=170", "orbit:yaw=60+roll:angle=200",
            "pan:angle=50+tilt:angle=20", "orbit:yaw=360", "dolly:distance=1.5"]


def moved(text: str, frames: int, radius: float = RADIUS) -> CameraPath:
    return move_path(parse_moves(text), frames, radius, LENS, SIZE)


def worst(first: CameraPath, second: CameraPath, radius: float = RADIUS) -> tuple[float, float, float]:
    """How far two paths are apart: places in radii, rotations in radians, logarithms of focal lengths."""
    turned = (first.cam_from_world - second.cam_from_world)[:, :3, :3].norm(dim=(1, 2)).max() / 2**0.5
    zoomed = (first.intrinsics / second.intrinsics)[:, 0, 0].log().abs().max()
    return float((first.eye - second.eye).norm(dim=-1).max()) / radius, float(turned), float(zoomed)


def made(keys: str, frames: int, smooth: bool = True, radius: float = RADIUS) -> CameraPath:
    return text_path(keys, frames, radius, LENS, SIZE, smooth)


@pytest.mark.parametrize("smooth", [True, False])
@pytest.mark.parametrize("frames", [1, 2, 49, 81])
@pytest.mark.parametrize("move", [*MOVES, *COMBINED])
def test_every_move_is_made_again_by_its_keyframes(move, frames, smooth):
    keys = preset_keyframes(move, frames, smooth)
    place, turn, zoom = worst(made(keys, frames, smooth), moved(move, frames))
    assert place < 0.005 and turn < 0.005 and zoom < 0.005, keys


@pytest.mark.parametrize("move, count", [
    ("static", 1), ("orbit", 2), ("dolly", 2), ("truck", 2), ("pan", 2), ("roll", 2), ("preset-30", 3), ("zoom", 4),
    ("orbit:yaw=60,ease=ease-in-out", 2)])
def test_simple_moves_need_few_keyframes(move, count):
    assert len(json.loads(preset_keyframes(move, 49))) <= count


def test_an_orbit_circles_and_says_no_more_than_it_must():
    assert json.loads(preset_keyframes("orbit:yaw=60", 49)) == [{"frame": 0}, {"frame": 48, "yaw": 60}]


@given(st.integers(0, 30), st.integers(2, 60))
@settings(deadline=None, max_examples=25)
def test_a_path_through_any_keyframes_is_met_again(seed, frames):
    generator = torch.Generator().manual_seed(seed)
    count = min(4, frames)
    at = torch.linspace(0, frames - 1, count).round().int().tolist()
    keys = []
    for frame in at:
        x, y, z, pan, tilt, roll = torch.randn(6, generator=generator).tolist()
        keys.append({"frame": frame, "position": [0.3 * x, 0.3 * y, 0.3 * z], "pan": 40 * pan, "tilt": 20 * tilt,
                     "roll": 30 * roll})
    path = made(json.dumps(keys), frames)
    again = made(keyframes_of(path, FittedTo(RADIUS, LENS)), frames)
    assert max(worst(again, path)) < 0.005


def test_a_long_path_is_followed_with_few_keyframes():
    path = moved("orbit:yaw=90+dolly:distance=0.3", 2000)
    keys = keyframes_of(path, FittedTo(RADIUS, LENS))
    assert len(json.loads(keys)) <= 3 and max(worst(made(keys, 2000), path)) < 0.005


@pytest.mark.parametrize("shown", [
    [5] * 9, [0, 1, 2, 3, 3, 3, 3, 4, 5], [8, 7, 6, 5, 4, 3, 2, 1, 0], [3, 4, 5, 6, 7, 8, 9, 10, 11],
    [0, 0, 1, 1, 2, 2, 3, 3, 4]])
def test_the_frames_that_a_path_shows_become_its_retime_curve(shown):
    plain = moved("orbit:yaw=30", 9)
    path = CameraPath(plain.cam_from_world, plain.intrinsics, SIZE, torch.tensor(shown))
    keys = keyframes_of(path, FittedTo(RADIUS, LENS))
    assert made(keys, 9).source_frame.tolist() == shown
    assert "retime" not in keyframes_of(plain, FittedTo(RADIUS, LENS))


def test_a_retimed_path_comes_back_whole():
    path = retime(moved("orbit:yaw=30+zoom", 25), speed="ease-in-out")
    again = made(keyframes_of(path, FittedTo(RADIUS, LENS)), 25)
    assert max(worst(again, path)) < 0.005 and torch.equal(again.source_frame, path.source_frame)


@pytest.mark.parametrize("move", ["orbit:yaw=150,pitch=40", "truck", "roll:angle=170", "dolly-zoom"])
def test_one_camera_is_one_keyframe(move):
    path = moved(move, 9)
    last = CameraPath(path.cam_from_world[8:], path.intrinsics[8:], SIZE)
    key = {"frame": 0} | keyframe_of(path, 8, FittedTo(RADIUS, LENS))
    assert max(worst(made(json.dumps([key]), 1), last)) < 0.001


def test_around_a_subject_keyframes_name_places():
    keys = json.loads(keyframes_of(moved("orbit:yaw=60", 25), FittedTo(RADIUS, LENS, circles=False)))
    assert all("position" in key and "pan" in key for key in keys)
