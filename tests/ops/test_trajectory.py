"""Laws of camera moves, their signs, and the released presets."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ex4d_ops import VideoDepth
from ex4d_ops.camera import check_rigid, default_intrinsics, project, transform
from ex4d_ops.trajectory import (
    EASES,
    MOVES,
    automatic_radius,
    make_move,
    move_path,
    parse_move,
    parse_moves,
    released_path,
)

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "cameras.npz")
SIZE = (96, 128)
INTRINSICS = default_intrinsics(SIZE)
RADIUS = 2.5
angles = st.floats(-180, 180)
laws = settings(deadline=None, max_examples=40)


def path_of(text: str, frames: int = 13):
    return move_path(parse_moves(text), frames, RADIUS, INTRINSICS, SIZE)


def target_seen(path) -> torch.Tensor:
    """Where every camera has the target, in its own axes, [T, 3]."""
    return transform_each(path, torch.tensor([0.0, 0, RADIUS]))


def transform_each(path, point: torch.Tensor) -> torch.Tensor:
    return torch.stack([transform(camera, point[None])[0] for camera in path.cam_from_world])


def same_path(first, second, tolerance: float = 2e-5) -> bool:
    return (torch.allclose(first.cam_from_world, second.cam_from_world, atol=tolerance)
            and torch.allclose(first.intrinsics, second.intrinsics, rtol=1e-5))


@pytest.mark.parametrize("name", list(GOLDEN))
def test_presets_are_the_released_ones(name):
    preset, frames, radius = name[3:].split("_")
    cameras = torch.from_numpy(GOLDEN[name].copy())
    cameras[:, 0] *= -1  # recorded with right pointing left
    path = released_path(preset, int(frames[1:]), float(radius[1:]), INTRINSICS, SIZE)
    assert (path.cam_from_world - cameras).abs().max() < 1e-5


def test_unknown_preset_is_refused_with_the_choices():
    with pytest.raises(ValueError, match="'45' is not a preset; use 30, 60, 90 or 180"):
        released_path("45", 49, 2.0, INTRINSICS, SIZE)


def test_automatic_radius_is_the_nearest_point_of_frame_0_and_a_margin():
    depth = torch.stack([torch.full((4, 5), 3.0), torch.full((4, 5), 1.0)])
    depth[0, 2, 2] = 2.59
    clip = VideoDepth(depth, INTRINSICS.expand(2, 3, 3), torch.eye(4).expand(2, 4, 4))
    assert automatic_radius(clip) == pytest.approx(2.74)


@pytest.mark.parametrize("name", MOVES)
@pytest.mark.parametrize("frames", [1, 2, 49])
def test_every_move_makes_finite_rigid_cameras(name, frames):
    path = path_of(name, frames)
    check_rigid(name, path.cam_from_world)
    assert len(path) == frames and path.source_frame.tolist() == list(range(frames))
    assert (path.intrinsics[:, 0, 0] > 0).all()


@pytest.mark.parametrize("name", MOVES)
def test_every_move_starts_at_the_source_camera(name):
    start = path_of(name)
    assert torch.allclose(start.cam_from_world[0], torch.eye(4), atol=1e-6)
    assert torch.allclose(start.intrinsics[0], INTRINSICS)


@laws
@given(angles, angles, angles, angles)
def test_orbit_keeps_the_distance_and_centres_the_target(yaw, yaw_end, pitch, pitch_end):
    seen = target_seen(path_of(f"orbit:yaw={yaw}..{yaw_end},pitch={pitch}..{pitch_end}"))
    assert torch.allclose(seen, torch.tensor([0.0, 0, RADIUS]).expand_as(seen), atol=2e-5)


def test_full_circle_over_the_poles_is_continuous_and_closed():
    path = path_of("orbit:pitch=-180..180", 361)
    steps = (path.eye[1:] - path.eye[:-1]).norm(dim=-1)
    turns = (path.cam_from_world[1:] - path.cam_from_world[:-1]).flatten(1).norm(dim=-1)
    assert torch.allclose(steps, torch.full_like(steps, 2 * RADIUS * math.sin(math.radians(0.5))), atol=1e-5)
    assert turns.max() < 0.1
    assert torch.allclose(path.cam_from_world[0], path.cam_from_world[-1], atol=1e-5)
    assert torch.allclose(path.eye[270], torch.tensor([0, -RADIUS, RADIUS]), atol=1e-5)  # pitch 90: above the target


@laws
@given(angles, st.floats(-90, 90))
def test_opposite_orbits_mirror_each_other(yaw, pitch):
    right, left = path_of(f"orbit:yaw={yaw},pitch={pitch}"), path_of(f"orbit:yaw={-yaw},pitch={pitch}")
    mirror = torch.diag(torch.tensor([-1.0, 1, 1, 1]))
    assert torch.allclose(mirror @ right.cam_from_world @ mirror, left.cam_from_world, atol=1e-5)


@laws
@given(angles, st.floats(-5, 5), st.floats(-5, 5))
def test_opposite_moves_cancel(angle, distance, slide):
    there = f"orbit:yaw={angle}+dolly:distance={distance}+truck:distance={slide}+roll:angle={angle}"
    back = f"orbit:yaw={-angle}+dolly:distance={-distance}+truck:distance={-slide}+roll:angle={-angle}"
    assert same_path(path_of(f"{there}+{back}"), path_of("static"))


def test_order_of_moves_does_not_matter():
    moves = ["orbit:yaw=50,pitch=20", "dolly:distance=0.3", "pan:angle=20", "zoom:factor=2", "truck", "preset-60"]
    assert same_path(path_of("+".join(moves)), path_of("+".join(moves[::-1])))


@pytest.mark.parametrize("move, last_eye", [
    ("orbit:yaw=90", [RADIUS, 0, RADIUS]), ("orbit:pitch=90", [0, -RADIUS, RADIUS]), ("dolly:distance=0.4", [0, 0, 1]),
    ("truck:distance=0.4", [1, 0, 0]), ("pedestal:distance=0.4", [0, -1, 0]), ("pan", [0, 0, 0]), ("zoom", [0, 0, 0]),
    ("arc", [0, 0, 0]), ("figure-eight", [0, 0, 0])])
def test_positive_is_right_up_and_forward(move, last_eye):
    assert torch.allclose(path_of(move).eye[-1], torch.tensor(last_eye, dtype=torch.float32), atol=1e-5)


@pytest.mark.parametrize("move, seen", [
    ("pan:angle=10", [-1, 0]), ("tilt:angle=10", [0, 1]), ("truck:distance=0.2", [-1, 0]),
    ("pedestal:distance=0.2", [0, 1])])
def test_the_target_leaves_the_picture_the_other_way(move, seen):
    at = project(target_seen(path_of(move))[-1], INTRINSICS) - torch.tensor([64.0, 48])
    assert torch.equal(at.round().sign(), torch.tensor(seen, dtype=torch.float32))


def test_positive_roll_turns_the_picture_counter_clockwise():
    right_of_target = transform_each(path_of("roll:angle=90"), torch.tensor([1.0, 0, RADIUS]))[-1]
    assert torch.allclose(right_of_target, torch.tensor([0.0, -1, RADIUS]), atol=1e-5)  # now above it


def test_arc_swings_out_and_returns():
    path = path_of("arc:yaw=40", 25)
    assert torch.allclose(path.cam_from_world, path.cam_from_world.flip(0), atol=1e-5)
    assert torch.allclose(path.cam_from_world[12], path_of("orbit:yaw=40").cam_from_world[-1], atol=1e-5)


@pytest.mark.parametrize("distance", [-2, 0.2, 0.9])
def test_dolly_zoom_keeps_the_size_of_the_target(distance):
    path = path_of(f"dolly-zoom:distance={distance}")
    size = path.intrinsics[:, 0, 0] / target_seen(path)[:, 2]
    assert torch.allclose(size, size[:1].expand_as(size), rtol=1e-4)


def test_zoom_multiplies_the_focal_length_and_keeps_the_centre():
    path = path_of("zoom:factor=3+zoom:factor=0.5")
    assert torch.allclose(path.intrinsics[-1, :2, :2], 1.5 * INTRINSICS[:2, :2])
    assert torch.equal(path.intrinsics[:, :, 2], INTRINSICS[:, 2].expand(13, 3))


def test_spiral_and_figure_eight_go_around_the_start():
    for move in ("spiral:angle=20", "figure-eight:yaw=20,pitch=10"):
        eye = path_of(move, 97).eye
        assert eye[:, 0].min() < -0.1 and eye[:, 0].max() > 0.1 and eye[:, 1].min() < -0.1 and eye[:, 1].max() > 0.1
        assert torch.allclose((eye - torch.tensor([0, 0, RADIUS])).norm(dim=-1), torch.tensor(RADIUS), atol=1e-4)


@pytest.mark.parametrize("ease", EASES)
def test_eases_keep_to_the_way(ease):
    """Only there-and-back returns; all stay within start and end, and begin at the start."""
    progress = EASES[ease](torch.linspace(0, 1, 101, dtype=torch.float64))
    assert progress[0] == 0 and progress.min() >= 0 and progress.max() <= 1
    assert float(progress[-1]) == pytest.approx(0 if ease == "there-and-back" else 1, abs=1e-12)
    assert progress.max() == 1


def test_ease_changes_when_not_where():
    eased, even = path_of("orbit:yaw=60,ease=ease-in", 5), path_of("orbit:yaw=60", 17)
    assert torch.allclose(eased.cam_from_world, even.cam_from_world[[0, 1, 4, 9, 16]], atol=1e-6)


def test_a_named_setting_leaves_the_others_at_rest():
    assert parse_move("orbit:pitch=30").values == {"yaw": (0, 0), "pitch": (0, 30)}
    assert parse_move("orbit").values == {"yaw": (0, 60), "pitch": (0, 0)}
    assert parse_move("spiral:angle=5").values["turns"] == (0, 1)


def test_text_and_values_make_the_same_moves():
    parsed = parse_moves("orbit:yaw=-60..60, pitch=1e+1 + dolly:distance=-.5,ease=ease-in")
    orbit = make_move("orbit", {"yaw": (-60, 60), "pitch": 10})
    assert parsed == (orbit, make_move("dolly", {"distance": -0.5}, "ease-in"))


@pytest.mark.parametrize("text, message", [
    ("", "use one of static"), ("swoop", "'swoop' is not a move; use one of static, preset-30"),
    ("orbit:foo=1", "'foo' is not a setting; use yaw, pitch, ease"), ("orbit:yaw", "write name=value"),
    ("orbit:yaw=wide", "'wide' is not a number"), ("orbit:yaw=1..2..3", "is not a number"),
    ("orbit:yaw=nan", "out of range; use -360..360"), ("orbit:yaw=400", "yaw=400 is out of range"),
    ("zoom:factor=0", "use 0.1..10"), ("orbit:ease=bouncy", "use one of linear"),
    ("figure-eight:yaw=1..2", "cannot change along the path")])
def test_bad_moves_are_refused_in_one_sentence_with_the_choices(text, message):
    with pytest.raises(ValueError, match=message) as error:
        parse_moves(text)
    assert "\n" not in str(error.value)


@settings(deadline=None, max_examples=200)
@given(st.text(alphabet=":+=,.-0123456789aeinortyw ", max_size=40) | st.text(max_size=20))
def test_any_text_is_moves_or_one_error(text):
    try:
        moves = parse_moves(text)
    except ValueError:
        return
    check_rigid("path", move_path(moves, 3, RADIUS, INTRINSICS, SIZE).cam_from_world)


def test_the_table_of_moves_is_fit_to_show():
    for name, kind in MOVES.items():
        assert kind.help.endswith(".") and kind.ease in EASES, name
        for parameter in kind.parameters:
            assert parameter.help.endswith(".") and parameter.low <= parameter.default <= parameter.high, name
            assert parameter.start is None or parameter.low <= parameter.start <= parameter.high, name


def test_per_frame_intrinsics_are_kept():
    intrinsics = INTRINSICS.repeat(4, 1, 1)
    intrinsics[:, 0, 0] = torch.arange(4) + 100.0
    assert torch.equal(move_path([make_move("static")], 4, RADIUS, intrinsics, SIZE).intrinsics, intrinsics)
    with pytest.raises(ValueError, match="4 matrices, but the path has 5"):
        move_path([make_move("static")], 5, RADIUS, intrinsics, SIZE)


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["zoom:factor={}", "zoom:factor={}..1", "dolly-zoom:distance=-10"]),
                          st.floats(0.1, 10)), max_size=60))
def test_every_number_of_zooms_makes_finite_lenses_or_is_refused(moves):
    text = "+".join(["static", *[move.format(factor) for move, factor in moves]])
    try:
        path = path_of(text)
    except ValueError as error:
        assert "keep it within 0.001..1000" in str(error) and "\n" not in str(error)
    else:
        assert torch.isfinite(path.intrinsics).all() and (path.intrinsics[:, [0, 1], [0, 1]] > 0).all()
