"""The path plot shows the path: right is right, up is up, at one scale."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ex4d_ops import Prior, VideoDepth
from ex4d_ops.camera import default_intrinsics
from ex4d_ops.plot import (
    SHEET_GAP,
    SHEET_TITLE,
    STRIP,
    common_target,
    describe_angle,
    draw_depth,
    draw_figure,
    draw_sheet,
    frustum_corners,
    path_figure,
    plot_path,
    prior_loop,
    sheet_moments,
    stitch,
)
from ex4d_ops.trajectory import move_path, parse_moves

SIZE = (96, 128)


def path_of(text: str, frames: int = 9):
    return move_path(parse_moves(text), frames, 2.5, default_intrinsics(SIZE), SIZE)


def test_plot_is_a_picture():
    depth = VideoDepth(torch.full((2, 24, 32), 3.0), default_intrinsics((24, 32)).expand(2, 3, 3),
                       torch.eye(4).expand(2, 4, 4))
    for path, scene in ((path_of("orbit"), None), (path_of("static", 1), None), (path_of("pan"), depth)):
        picture = plot_path(path, scene)
        assert picture.shape == (540, 880, 3) and picture.dtype == torch.float32
        assert 0 <= picture.min() < 0.5 and picture.max() == 1


def test_opposite_orbits_make_different_pictures():
    assert not torch.equal(plot_path(path_of("orbit:yaw=50")), plot_path(path_of("orbit:yaw=-50")))


def test_right_is_right_and_left_is_left():
    for side, sign in (("0.6", 1), ("-0.6", -1)):
        above, _ = way_in_pixels(f"truck:distance={side}")
        assert sign * above[0] > 50 and abs(above[1]) < 3, above


def test_forward_is_up_from_above_and_right_from_the_side():
    above, beside = way_in_pixels("dolly:distance=0.6")
    assert above[1] < -50 and abs(above[0]) < 3, above
    assert beside[0] > 50 and abs(beside[1]) < 3, beside


def test_up_is_up_and_down_is_down():
    for height, sign in (("0.6", -1), ("-0.6", 1)):  # rows of a picture run down
        _, beside = way_in_pixels(f"pedestal:distance={height}")
        assert sign * beside[1] > 50 and abs(beside[0]) < 3, beside


def test_both_views_share_one_scale():
    above, beside = way_in_pixels("dolly:distance=0.6")
    assert abs(-above[1] - beside[0]) <= 2, (above, beside)  # the same way forward
    above, beside = way_in_pixels("truck:distance=0.5+pedestal:distance=0.5")
    assert abs(above[0] + beside[1]) <= 2, (above, beside)  # as far right as up


def way_in_pixels(text: str) -> list[tuple[float, float]]:
    """How far right and down the last camera is drawn of the first, in pixels, in both views of the plot."""
    figure = path_figure(path_of(text))
    height = draw_figure(figure).shape[0]  # lays the axes out
    ways = []
    for axes in figure.axes:
        first, last = (apex(axes, label) for label in ("first frame", "last frame"))
        ways.append((last[0] - first[0], (height - last[1]) - (height - first[1])))  # matplotlib counts rows upwards
    return ways


def apex(axes, label: str) -> tuple[float, float]:
    """Where the camera with this label is drawn."""
    line = next(line for line in axes.lines if line.get_label() == label)
    return tuple(axes.transData.transform(line.get_xydata()[0]))


def test_cameras_that_look_at_one_point_share_it():
    assert torch.allclose(common_target(path_of("orbit:yaw=-60..60,pitch=30")), torch.tensor([[0, 0, 2.5]]), atol=1e-3)
    for nowhere in ("static", "dolly", "truck", "pan", "orbit+truck:distance=3"):
        assert common_target(path_of(nowhere)).shape == (0, 3), nowhere


def test_frusta_open_forwards_around_the_axis():
    corners = frustum_corners(path_of("static", 1), reach=2.0)[0]
    assert torch.equal(corners[0], torch.zeros(3)) and (corners[1:, 2] == 2).all()
    assert torch.equal(corners[1:, :2].sign(), torch.tensor([[-1.0, -1], [1, -1], [1, 1], [-1, 1]]))
    assert torch.allclose(corners[1:].mean(0), torch.tensor([0, 0, 2.0]))


ANGLES = {
    "orbit:yaw=30": "Circles 30° to the right at most, in frame 8",
    "orbit:yaw=-60..40,pitch=0": "Circles 60° to the left at most, in frame 0",
    "orbit:yaw=0,pitch=-25": "Circles 25° down at most, in frame 8",
    "orbit:yaw=120,pitch=10": "Circles 120° to the right, 10° up at most, in frame 8",
    "arc:yaw=-45,pitch=15": "Circles 45° to the left, 15° up at most, in frame 4",
    "pan:angle=20": "Turns 20° to the right at most, in frame 8",
    "pan:angle=-20+tilt:angle=-5": "Turns 20° to the left, 5° down at most, in frame 8",
    "tilt:angle=15": "Turns 15° up at most, in frame 8",
    **{text: "The camera does not turn" for text in ("static", "dolly", "truck", "pedestal", "zoom", "roll",
                                                     "dolly-zoom")},
}


def angles(most: int):
    """Whole degrees: none, or enough that the cameras are seen to look at one point."""
    return st.just(0) | st.integers(5, most) | st.integers(-most, -5)


@pytest.mark.parametrize("text", ANGLES)
def test_every_largest_angle_is_said_in_words(text):
    assert describe_angle(path_of(text)) == ANGLES[text]


@given(yaw=angles(170), pitch=angles(60))
@settings(max_examples=30, deadline=None)
def test_every_orbit_is_said_to_go_as_far_as_it_goes(yaw, pitch):
    said = describe_angle(path_of(f"orbit:yaw={yaw},pitch={pitch}"))
    assert (f"{abs(yaw)}° to the {'right' if yaw > 0 else 'left'}" in said) == (yaw != 0)
    assert (f"{abs(pitch)}° {'up' if pitch > 0 else 'down'}" in said) == (pitch != 0)


@pytest.mark.parametrize("text, names", [("orbit", {"start", "end", "target"}), ("arc", {"start, end", "target"}),
                                         ("truck", {"start", "end"}), ("static", {"start, end"})])
def test_a_plot_names_where_the_path_starts_and_ends(text, names):
    above, beside = path_figure(path_of(text)).axes
    assert {words.get_text() for words in above.texts} == names and not beside.texts


def test_a_loop_shows_source_color_mask_and_how_much_of_every_frame_was_seen():
    visible = torch.zeros(4, 100, 120, dtype=torch.bool)
    for t in range(4):
        visible[t, :, : 120 - 30 * t] = True
    source = torch.rand(4, 100, 120, 3)
    loop = prior_loop(source, Prior(source * visible[..., None], visible))
    assert loop.shape == (4, 100 + STRIP, 360, 3) and loop.min() >= 0 and loop.max() <= 1
    for t, picture in enumerate(loop):
        shown, color, mask = picture[:100].split(120, 1)
        assert torch.equal(mask[..., 0] > 0.5, visible[t]) and torch.equal(color, source[t] * visible[t, ..., None])
        assert torch.equal(shown, source[t])
        below = picture[100:, [0, -1]].std((0, 2))  # the curve: high at the first frame, low at the last
        assert below.shape == (2,)
    marks = [(picture[-1].amin(-1) > 0.9).nonzero().float().mean() for picture in loop]
    assert marks == sorted(marks) and marks[0] < 5 and marks[-1] > 355


def test_a_long_loop_is_thinned_and_a_large_one_shrunk():
    visible = torch.ones(120, 90, 400, dtype=torch.bool)
    loop = prior_loop(torch.rand(120, 90, 400, 3), Prior(torch.rand(120, 90, 400, 3), visible), moments=7)
    assert loop.shape == (7, 72 + STRIP, 3 * 320, 3)


def test_stitched_frames_show_source_color_and_mask_side_by_side():
    source, prior = make_prior()
    frames = list(stitch(source, prior))
    assert len(frames) == 3 and frames[0].shape == (8, 30, 3)
    left, middle, right = frames[1].split(10, 1)
    assert torch.equal(middle, prior.color[1]) and torch.equal(right[..., 0] > 0.5, prior.visible[1])
    assert (left - source[1]).abs().max() < 1e-6


def make_prior() -> tuple[torch.Tensor, Prior]:
    source, visible = torch.rand(3, 8, 10, 3), torch.rand(3, 8, 10) > 0.3
    return source, Prior(source * visible[..., None], visible)


@pytest.mark.parametrize("size", [(8, 10), (64, 36), (300, 700)])
@pytest.mark.parametrize("count", [1, 2, 6])
def test_a_contact_sheet_shows_every_picture_in_its_place(size, count):
    shades = [[(40 * k + 20 * row) % 256 for row in range(3)] for k in range(count)]
    columns = [(f"frame {k}", [torch.full((*size, 3) if row < 2 else size, shade, dtype=torch.uint8)
                               for row, shade in enumerate(column)]) for k, column in enumerate(shades)]
    sheet = draw_sheet(columns)
    cell = (sheet.shape[0] - SHEET_TITLE) / 3, (sheet.shape[1] - SHEET_GAP) / count
    for k, column in enumerate(shades):
        for row, shade in enumerate(column):
            y, x = int(SHEET_TITLE + (row + 0.4) * cell[0]), int(SHEET_GAP + (k + 0.4) * cell[1])
            assert sheet[y, x].eq(shade).all()


@given(st.integers(1, 400))
def test_a_contact_sheet_shows_moments_from_first_to_last(count):
    moments = sheet_moments(count)
    assert moments[0] == 0 and moments[-1] == count - 1 and moments == sorted(set(moments)) and len(moments) <= 6


def test_depth_pictures_are_bright_where_near_and_dark_in_the_sky():
    depth = torch.tensor([[[2.0, 4.0, torch.inf]]])
    assert torch.allclose(draw_depth(depth, None)[0, 0], torch.tensor([[1.0], [0.5], [0.0]]).expand(3, 3))
    turbo = draw_depth(depth)
    assert turbo.shape == (1, 1, 3, 3) and turbo[0, 0].unique(dim=0).shape[0] == 3
