"""Laws of the retime curve in keyframes: play, hold, resume as one setting, and one path with and without it."""

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ex4d_ops import files
from ex4d_ops.camera import default_intrinsics
from ex4d_ops.trajectory import parse_keyframes, text_path
from ex4d_ops.trajectory.editing import freeze, retime
from ex4d_ops.trajectory.keyframes import parse_retime
from ex4d_ops.trajectory.retiming import played_frames

SIZE, FRAMES = (48, 64), 49
KEYS = [{"frame": 0}, {"frame": 24, "yaw": 40, "ease": "ease-in"}, {"frame": 48, "yaw": -20, "zoom": 1.5}]


def shown(moments: list, frames: int = FRAMES, clip: int | None = FRAMES) -> list[int]:
    text = json.dumps({"keys": KEYS[:1], "retime": moments})
    return played_frames(parse_retime(text, frames), frames, clip).tolist()


def path_of(content, clip: int | None = FRAMES, frames: int = FRAMES):
    return text_path(json.dumps(content), frames, 2.0, default_intrinsics(SIZE), SIZE, clip=clip)


def test_two_moments_of_one_frame_play_hold_and_resume():
    held = shown([{"frame": 20, "source": 20}, {"frame": 40, "source": 20}])
    assert held == [*range(20), *[20] * 21, *range(21, 29)]


@pytest.mark.parametrize("moments, expected", [
    ([{"frame": 0, "source": 5}], [5, 6, 7, 8, 8]), ([{"frame": 0, "source": 8}], [8, 8, 8, 8, 8]),
    ([{"frame": 4, "source": 2}], [0, 0, 0, 1, 2]),
    ([{"frame": 0, "source": 4}, {"time": 1, "source": 0}], [4, 3, 2, 1, 0]),
    ([{"frame": 0, "source": 0}, {"frame": 4, "source": 2}], [0, 1, 1, 2, 2]),
    ([{"frame": 0, "source": 0}, {"frame": 4, "source": 8}], [0, 2, 4, 6, 8]),
    ([{"time": 0.5, "source": 7}], [5, 6, 7, 8, 8]),
    ([{"frame": 0, "source": 0, "ease": "ease-in"}, {"frame": 4, "source": 8}], [0, 1, 2, 5, 8])])
def test_time_runs_through_the_moments_and_at_its_own_speed_outside(moments, expected):
    assert shown(moments, 5, 9) == expected


def test_without_a_known_clip_time_plays_on():
    assert shown([{"frame": 0, "source": 5}], 5, None) == [5, 6, 7, 8, 9]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 48), st.floats(0, 30), st.sampled_from(["linear", "ease-in", "ease-in-out"])),
                min_size=1, max_size=5, unique_by=lambda moment: moment[0]))
def test_every_curve_stays_within_the_clip_and_passes_through_its_moments(moments):
    moments = sorted(moments)
    frames = shown([{"frame": at, "source": source, "ease": ease} for at, source, ease in moments], clip=31)
    assert len(frames) == FRAMES and 0 <= min(frames) and max(frames) <= 30
    for at, source, _ in moments:
        assert abs(frames[at] - source) <= 0.5 + 1e-5


def test_a_list_and_an_object_of_it_are_one_path():
    alone, wrapped = path_of(KEYS), path_of({"keys": KEYS})
    assert torch.equal(alone.cam_from_world, wrapped.cam_from_world)
    assert torch.equal(alone.intrinsics, wrapped.intrinsics) and torch.equal(alone.source_frame, wrapped.source_frame)
    assert alone.source_frame.tolist() == list(range(FRAMES))


def test_the_curve_does_what_chained_edits_do():
    plain = path_of(KEYS)
    held = path_of({"keys": KEYS, "retime": [{"frame": 0, "source": 7}, {"time": 1, "source": 7}]})
    assert torch.equal(held.source_frame, freeze(plain, 7).source_frame)
    curve = [{"frame": 0, "source": 0, "ease": "ease-in-out"}, {"time": 1, "source": 48}]
    eased = path_of({"keys": KEYS, "retime": curve})
    assert torch.equal(eased.source_frame, retime(plain, speed="ease-in-out", what="source").source_frame)
    assert torch.equal(eased.cam_from_world, plain.cam_from_world)


WRONG = [
    ('{"keys": [{"frame": 0}],\n "retime": [{"frame": 0}]}', "retime 0 (line 2): source is missing"),
    ('{"keys": [{"frame": 0}],\n "retime": [{"frame": 0,\n "source": -1}]}', "retime 0 (line 3): source must be a"),
    ('{"keys": [{"frame": 0}], "retime": [{"frame": 0, "source": NaN}]}', "source must be a number"),
    ('{"keys": [{"frame": 0}], "retime": [{"frame": 0, "source": 0}, {"time": 0, "source": 1}]}', "must come after"),
    ('{"keys": [{"frame": 0}], "retime": [{"frame": 0, "source": 0, "yaw": 3}]}', "yaw is unknown; use frame, time"),
    ('{"keys": [{"frame": 0}], "retime": [3]}', "retime 0 (line 1): must be an object"),
    ('{"keys": [{"frame": 0}], "retime": []}', "retime must be a list of objects"),
    ('{"keys": [{"frame": 0}], "retime": 3}', "retime must be a list of objects"),
    ('{"keys": []}', "keys must be a list of objects"), ('{"retime": []}', "must be a list of objects"),
    ('{"keys": [{"frame": 0}], "hold": 3}', "hold is unknown; use keys and retime"),
    ('{"keys": [{"frame": 0}], "retime": [{"frame": 0, "source": 0, "ease": "fast"}]}', "ease must be one of"),
]


@pytest.mark.parametrize("text, message", WRONG)
def test_errors_name_the_moment_the_field_and_the_line(text, message):
    with pytest.raises(ValueError) as error:
        parse_keyframes(text, FRAMES), parse_retime(text, FRAMES)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_lines_of_keys_are_those_of_the_whole_text():
    text = '{\n"re\\u0074ime": [{"frame": 0, "source": 1}],\n\n"keys": [\n{"yaw": 3}]}'
    with pytest.raises(ValueError, match=r"keyframe 0 \(line 5\): frame is missing"):
        parse_keyframes(text, FRAMES)


def test_a_frame_that_the_clip_lacks_is_named():
    with pytest.raises(ValueError, match=r"source frame 60 is not in the clip; use 0\.\.48"):
        shown([{"frame": 0, "source": 60}])


def test_a_file_of_keyframes_with_a_curve_is_read(tmp_path):
    file = tmp_path / "path.json"
    file.write_text(json.dumps({"keys": KEYS, "retime": [{"frame": 0, "source": 3}, {"time": 1, "source": 3}]}))
    path = files.read_path(file, SIZE, FRAMES, radius=2.0)
    assert path.source_frame.tolist() == [3] * FRAMES
    assert torch.equal(path.cam_from_world, path_of(KEYS).cam_from_world)


@pytest.mark.parametrize("extra", [{"yaw": 20}, {"distance": 0.8}])
def test_what_circles_a_point_may_head_elsewhere(extra):
    aimed = path_of([{"frame": 0, "look_at": [0.2, 0, 1]} | extra])
    turned = path_of([{"frame": 0, "look_at": [0.2, 0, 1], "pan": 10, "tilt": -5} | extra])
    assert torch.allclose(aimed.eye, turned.eye, atol=1e-5)
    headed = path_of([{"frame": 0, "pan": 10, "tilt": -5}])
    assert torch.allclose(turned.cam_from_world[:, :3, :3], headed.cam_from_world[:, :3, :3], atol=1e-6)
