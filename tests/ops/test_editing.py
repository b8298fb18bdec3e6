"""Laws of editing paths: what is joined goes on, what is reversed returns, and time bends only where asked."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ex4d_ops import CameraPath
from ex4d_ops.camera import check_rigid, default_intrinsics
from ex4d_ops.trajectory import EASES, move_path, parse_moves
from ex4d_ops.trajectory.editing import arrive, blend, chain, fit, freeze, ping_pong, retime, reverse

SIZE = (96, 128)
MOVES = ["orbit:yaw=-60..60,pitch=20", "preset-180", "spiral+roll+zoom", "dolly-zoom", "static"]
laws = settings(deadline=None, max_examples=25)


def path_of(text: str, frames: int = 13, size=SIZE) -> CameraPath:
    return move_path(parse_moves(text), frames, 2.5, default_intrinsics(size), size)


def same_cameras(first: CameraPath, second: CameraPath, tolerance: float = 2e-5) -> bool:
    return (torch.allclose(first.cam_from_world, second.cam_from_world, atol=tolerance)
            and torch.allclose(first.intrinsics, second.intrinsics, rtol=1e-5))


@pytest.mark.parametrize("move", MOVES)
def test_reversing_twice_changes_nothing(move):
    path = path_of(move)
    twice = reverse(reverse(path))
    assert torch.equal(path.cam_from_world, twice.cam_from_world) and torch.equal(path.intrinsics, twice.intrinsics)
    assert torch.equal(reverse(path).source_frame, path.source_frame)  # the clip still plays forwards


@pytest.mark.parametrize("move", MOVES)
def test_ping_pong_goes_there_and_back_while_the_clip_plays_on(move):
    path = path_of(move)
    both = ping_pong(path)
    assert len(both) == 25 and both.source_frame.tolist() == list(range(25))
    assert same_cameras(both, reverse(both))
    assert torch.equal(both.cam_from_world[:13], path.cam_from_world)


@pytest.mark.parametrize("first", MOVES)
@pytest.mark.parametrize("second", MOVES)
def test_joined_paths_go_on_from_the_last_frame(first, second):
    first, second = path_of(first), path_of(second, 5)
    joined = chain([first, second])
    check_rigid("joined", joined.cam_from_world)
    assert len(joined) == 17 and joined.source_frame.tolist() == list(range(17))
    # The second makes the moves it makes alone, seen from where the first ended.
    alone = second.cam_from_world @ torch.linalg.inv(second.cam_from_world[0])
    there = joined.cam_from_world[12:] @ torch.linalg.inv(joined.cam_from_world[12])
    assert torch.allclose(alone, there, atol=5e-5)
    zoom = joined.intrinsics[12:, 0, 0] / joined.intrinsics[12, 0, 0]
    assert torch.allclose(zoom, second.intrinsics[:, 0, 0] / second.intrinsics[0, 0, 0], rtol=1e-5)


def test_a_path_of_one_camera_joins_without_a_frame_of_its_own():
    one, path = path_of("orbit:yaw=30..30", 1), path_of("truck")
    assert same_cameras(chain([path, one]), path)
    assert same_cameras(chain([path, one, path]), chain([path, path]))
    assert len(chain([one, one])) == 1 and len(ping_pong(one)) == 1


def test_joining_halves_of_a_truck_makes_the_whole():
    half, whole = path_of("truck:distance=0.2", 7), path_of("truck:distance=0.4", 13)
    assert same_cameras(chain([half, half]), whole)


def test_cut_paths_keep_what_they_are():
    first, second = path_of("orbit"), path_of("orbit:yaw=-60..60", 5)
    cut = chain([first, second], join=False)
    assert torch.equal(cut.cam_from_world, torch.cat([first.cam_from_world, second.cam_from_world]))
    assert cut.source_frame.tolist() == [*range(13), *range(5)]


def test_bullet_time_is_play_freeze_play():
    parts = [path_of("static", 4), freeze(path_of("orbit", 5)), path_of("static", 4)]
    assert chain(parts).source_frame.tolist() == [0, 1, 2, 3, 3, 3, 3, 3, 4, 5, 6]
    assert freeze(path_of("orbit", 3), 7).source_frame.tolist() == [7, 7, 7]


@pytest.mark.parametrize("first", MOVES)
@pytest.mark.parametrize("second", MOVES)
def test_blend_runs_from_one_path_to_the_other(first, second):
    first, second = path_of(first), path_of(second)
    assert same_cameras(blend(first, second, 0), first) and same_cameras(blend(first, second, 1.0), second)
    half = blend(first, second, 0.5)
    check_rigid("half", half.cam_from_world)
    assert torch.allclose(half.eye, (first.eye + second.eye) / 2, atol=1e-5)
    assert same_cameras(half, blend(second, first, 0.5))


def test_blend_weights_may_change_over_time():
    first, second = path_of("static"), path_of("truck:distance=2..2")
    eye = blend(first, second, torch.linspace(0, 1, 13)).eye[:, 0]
    assert torch.allclose(eye, torch.linspace(0, 5, 13), atol=1e-5)


def test_blend_takes_the_shortest_arc():
    left, right = path_of("pan:angle=-170..-170", 1), path_of("pan:angle=170..170", 1)
    forward = blend(left, right, 0.5).cam_from_world[0, 2, :3]
    assert torch.allclose(forward, torch.tensor([0.0, 0, -1]), atol=1e-5)  # through the back, not the front


@pytest.mark.parametrize("move", MOVES)
def test_retiming_to_the_same_pace_changes_nothing(move):
    path = path_of(move)
    same = retime(path)
    assert same_cameras(same, path) and torch.equal(same.source_frame, path.source_frame)
    uniform = retime(path, 13, [2, 2, 2])
    assert same_cameras(uniform, path)


@pytest.mark.parametrize("ease", EASES)
def test_an_ease_of_speed_is_the_ease_of_the_move(ease):
    eased, bent = path_of(f"truck:ease={ease}", 21), retime(path_of("truck:ease=linear", 201), 21, ease, "cameras")
    assert torch.allclose(eased.eye, bent.eye, atol=1e-5)


def test_twice_as_many_frames_show_each_source_frame_twice():
    slow = retime(path_of("orbit", 13), 25)
    assert slow.source_frame.tolist() == [(t + 1) // 2 for t in range(25)]
    assert torch.allclose(slow.cam_from_world[::2], path_of("orbit", 13).cam_from_world, atol=2e-5)


@pytest.mark.parametrize("frames", [25, 49, 81])
def test_a_fitted_path_goes_the_same_way_over_a_clip_of_any_length(frames):
    path = reverse(path_of("orbit:yaw=50"))
    fitted = fit(path, frames)
    assert fitted.source_frame.tolist() == list(range(frames))
    for end in (0, -1):
        assert torch.allclose(fitted.cam_from_world[end], path.cam_from_world[end], atol=1e-6)


def test_time_bends_only_where_asked():
    path = path_of("truck", 13)
    cameras, source = retime(path, speed="ease-in", what="cameras"), retime(path, speed="ease-in", what="source")
    assert cameras.source_frame.tolist() == path.source_frame.tolist()
    assert same_cameras(source, path) and source.source_frame[6] < 6
    assert cameras.eye[6, 0] < path.eye[6, 0]


@laws
@given(st.lists(st.floats(0, 10), min_size=2, max_size=6).filter(lambda speeds: sum(speeds) > 0.1), st.integers(2, 60))
def test_any_speeds_run_forwards_over_the_whole_way(speeds, frames):
    eye = retime(path_of("truck:distance=1"), frames, speeds).eye[:, 0]
    assert abs(float(eye[0])) < 1e-5 and abs(float(eye[-1]) - 2.5) < 1e-4
    assert (eye[1:] - eye[:-1] > -1e-5).all()


def test_speeds_are_relative_speeds():
    steps = retime(path_of("truck"), 41, [1, 3]).eye[:, 0].diff()
    assert float(steps[-1] / steps[0]) == pytest.approx(2.975 / 1.025, rel=1e-3)  # speeds in the middle of both


def test_arriving_paths_leave_reach_and_rest():
    path, camera = path_of("static", 9), path_of("orbit:yaw=40..40", 1)
    there = arrive(path, camera, 6)
    assert torch.allclose(there.cam_from_world[0], torch.eye(4), atol=1e-6)
    assert torch.allclose(there.cam_from_world[6:], camera.cam_from_world.expand(3, 4, 4), atol=2e-6)
    assert there.source_frame.tolist() == list(range(9))


def test_misfits_are_refused_in_one_sentence():
    path, other = path_of("orbit"), path_of("orbit", size=(64, 64))
    for message, edit in (("sizes are 128x96 and 64x64", lambda: chain([path, other])),
                          ("sizes are 128x96 and 64x64", lambda: blend(path, other, 0.5)),
                          ("13 and 5 frames; fit", lambda: blend(path, path_of("orbit", 5), 0.5)),
                          ("'fast' is not a speed", lambda: retime(path, speed="fast")),
                          ("not all 0", lambda: retime(path, speed=[0, 0])),
                          ("not all 0", lambda: retime(path, speed=[1, float("nan")])),
                          ("use both, cameras or source", lambda: retime(path, what="time")),
                          ("use 1..12", lambda: arrive(path, path_of("static", 1), 13))):
        with pytest.raises(ValueError, match=message):
            edit()
