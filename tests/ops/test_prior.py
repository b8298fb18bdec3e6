"""Laws of the prior: what a camera sees of a mesh sequence, and what it must not claim to have seen."""

from dataclasses import replace
from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ex4d_ops import CameraPath, VideoDepth
from ex4d_ops.camera import default_intrinsics, invert_rigid, look_at
from ex4d_ops.clip import Fit, fit_frame
from ex4d_ops.mesh import MeshRules, build_dw_mesh
from ex4d_ops.prior import Prior, RenderRules, anchor_pictures, erode, erosion_sizes, render_prior
from ex4d_ops.rules import LAST

SIZE = (48, 64)
PLAIN = RenderRules(anchor_first=False, erosion=0)


def two_planes(frames: int = 3, size: tuple[int, int] = SIZE):
    """A textured wall at 8 and a square in front of it at 3 that moves a pixel a frame; world_from_cam all identity."""
    height, width = size
    depth = torch.full((frames, height, width), 8.0)
    y, x = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    colors = torch.stack([x, y, 0.5 + 0.5 * torch.sin(9 * x + 5 * y)], -1).repeat(frames, 1, 1, 1)
    for t in range(frames):
        square = (slice(height // 3, 2 * height // 3), slice(width // 3 + t, width // 2 + t))
        depth[t][square] = 3.0
        colors[t][square] = torch.tensor([0.9, 0.2, 0.1])
    intrinsics = default_intrinsics(size).expand(frames, 3, 3)
    return colors, VideoDepth(depth, intrinsics, torch.eye(4).repeat(frames, 1, 1))


def two_plane_mesh(frames: int = 3, rules: MeshRules = MeshRules()):
    return build_dw_mesh(*two_planes(frames), rules)


def path(cam_from_world: torch.Tensor, size: tuple[int, int] = SIZE, source_frame=None) -> CameraPath:
    intrinsics = default_intrinsics(size).expand(len(cam_from_world), 3, 3)
    return CameraPath(cam_from_world, intrinsics, size, source_frame)


def still(frames: int = 3) -> CameraPath:
    return path(torch.eye(4).repeat(frames, 1, 1))


def turned(frames: int = 3, degrees: float = 30.0) -> CameraPath:
    angles = torch.deg2rad(torch.linspace(0, degrees, frames))
    target = torch.tensor([0.0, 0.0, 3.0])
    eyes = target - 3 * torch.stack([-angles.sin(), torch.zeros(frames), angles.cos()], -1)
    return path(look_at(eyes, target.expand(frames, 3)))


def test_identity_camera_reproduces_source():
    mesh = two_plane_mesh()
    prior = render_prior(mesh, still(), PLAIN)
    assert prior.coverage.min() > 0.8
    error = (prior.color - mesh.colors).abs().amax(-1)
    edges = ~torch.stack([mesh.vertex_visible(t) for t in range(3)])
    away = torch.nn.functional.max_pool2d(edges.float(), 3, 1, 1) == 0
    assert prior.visible[away].all()
    assert error[away].max() <= 1 / 255


def test_moving_source_camera_seen_from_itself_reproduces_source():
    colors, depth = two_planes(2)
    eyes = torch.tensor([[0.0, 0.0, 0.0], [0.7, 0.2, -0.3]])
    world_from_cam = invert_rigid(look_at(eyes, torch.tensor([0.0, 0.0, 5.0]).expand(2, 3)))
    mesh = build_dw_mesh(colors, VideoDepth(depth.depth, depth.intrinsics, world_from_cam))
    prior = render_prior(mesh, path(invert_rigid(world_from_cam)), PLAIN)
    still_prior = render_prior(two_plane_mesh(2), still(2), PLAIN)
    inside = torch.stack([erode(visible, 3) for visible in still_prior.visible])
    assert prior.visible[inside].all()
    assert (prior.color - colors)[inside].abs().max() <= 2 / 255


def test_first_frame_is_the_source_frame_when_anchored():
    mesh = two_plane_mesh()
    prior = render_prior(mesh, turned(), RenderRules())
    assert torch.equal(prior.color[0], mesh.colors[0]) and prior.visible[0].all()
    assert not render_prior(mesh, turned(), RenderRules(anchor_first=False)).visible[0].all()


def test_a_path_that_begins_elsewhere_is_not_anchored():
    mesh = two_plane_mesh()
    backwards = path(turned().cam_from_world.flip(0))
    anchored = render_prior(mesh, backwards, RenderRules(erosion=0))
    assert torch.equal(anchored.color, render_prior(mesh, backwards, PLAIN).color)


@pytest.mark.parametrize("rules", [RenderRules(), PLAIN, RenderRules(texture="face")])
def test_color_is_black_where_nothing_was_seen(rules):
    prior = render_prior(two_plane_mesh(), turned(), rules)
    assert (prior.color[~prior.visible] == 0).all()
    assert 0.02 < (~prior.visible[1:]).float().mean() < 0.9


def test_background_behind_an_object_is_not_seen_from_the_side():
    """The camera goes to the right, so the wall just to the right of the square was hidden from the source."""
    prior = render_prior(two_plane_mesh(1), path(turned(2).cam_from_world[1:]), PLAIN)
    square = (prior.color[0] - torch.tensor([0.9, 0.2, 0.1])).abs().amax(-1) < 0.02
    rows, columns = square.nonzero().unbind(1)
    middle, right = int(rows.float().mean()), int(columns.max())
    assert not prior.visible[0, middle, right + 2 : right + 15].any()
    assert prior.visible[0, int(rows.min()) - 8, right + 2 : right + 15].all()


def test_sky_never_mixes_with_the_back_that_closes_the_mesh():
    """The back takes its colors from the four corners, so those may not show in what is seen of the sky."""
    colors, depth = two_planes(1)
    sky = VideoDepth(torch.where(depth.depth > 5, torch.inf, depth.depth), depth.intrinsics, depth.world_from_cam)
    painted = colors.clone()
    painted[:, ::47, ::63] = 1 - painted[:, ::47, ::63]
    plain, other = (render_prior(build_dw_mesh(c, sky), path(turned(2).cam_from_world[1:]), PLAIN)
                    for c in (colors, painted))
    inside = torch.stack([erode(visible, 7) for visible in plain.visible])
    assert inside.float().mean() > 0.1 and torch.equal(plain.color[inside], other.color[inside])


def test_visible_vertices_show_no_more_than_visible_faces():
    mesh = two_plane_mesh()
    by_vertex = render_prior(mesh, turned(), PLAIN).visible
    by_face = render_prior(mesh, turned(), RenderRules("face", False, 0)).visible
    assert not (by_vertex & ~by_face).any() and by_face.sum() > by_vertex.sum()


@pytest.mark.parametrize("kernel", range(2, 9))
def test_erosion_keeps_a_pixel_whose_whole_square_is_set(kernel):
    mask = torch.rand(40, 53, generator=torch.Generator().manual_seed(kernel)) > 0.1
    before, after = kernel // 2, kernel - 1 - kernel // 2
    around = torch.nn.functional.pad(mask, (before, after, before, after), value=True)
    squares = around.unfold(0, kernel, 1).unfold(1, kernel, 1)
    assert torch.equal(erode(mask, kernel), squares.all(-1).all(-1))


@given(st.integers(0, 2**31))
@settings(max_examples=20, deadline=None)
def test_random_erosion_is_seeded_and_within_the_released_sizes(seed):
    sizes = erosion_sizes("released", seed, 60)
    assert sizes == erosion_sizes("released", seed, 60)
    assert sizes[:20] == erosion_sizes("released", seed, 20), "a longer clip must not change its beginning"
    assert min(sizes) >= 2 and max(sizes) <= 8 and len(set(sizes)) > 3


def test_a_seed_changes_only_the_erosion():
    mesh = two_plane_mesh(6)
    first, same, other = (render_prior(mesh, turned(6), RenderRules(seed=seed)) for seed in (1, 1, 2))
    assert torch.equal(first.visible, same.visible) and torch.equal(first.color, same.color)
    assert not torch.equal(first.visible, other.visible)
    both = first.visible & other.visible
    assert torch.equal(first.color[both], other.color[both])


def test_source_frame_chooses_what_each_output_frame_shows():
    mesh = two_plane_mesh(3)
    frozen = path(turned(3).cam_from_world, source_frame=torch.tensor([2, 2, 2]))
    prior = render_prior(mesh, frozen, PLAIN)
    alone = render_prior(two_plane_mesh(3), path(turned(3).cam_from_world, source_frame=torch.tensor([2, 0, 2])), PLAIN)
    assert torch.equal(prior.color[[0, 2]], alone.color[[0, 2]])
    assert not torch.equal(prior.color[1], alone.color[1])


def test_target_size_is_free():
    mesh = two_plane_mesh(2)
    prior = render_prior(mesh, path(turned(2).cam_from_world, (96, 128)), PLAIN)
    assert prior.color.shape == (2, 96, 128, 3)
    small = render_prior(mesh, turned(2), PLAIN)
    assert (prior.coverage - small.coverage).abs().max() < 0.02


def test_progress_counts_every_frame_in_order():
    seen = []
    render_prior(two_plane_mesh(5), still(5), PLAIN, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(t, 5) for t in range(1, 6)]


def test_progress_cancels_by_raising():
    class Cancelled(Exception):
        pass

    def stop(done, total):
        if done == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        render_prior(two_plane_mesh(5), still(5), PLAIN, progress=stop)


def test_result_does_not_depend_on_threads():
    mesh = two_plane_mesh(4)
    before = torch.get_num_threads()
    one = render_prior(mesh, turned(4), RenderRules())
    try:
        torch.set_num_threads(1)
        other = render_prior(mesh, turned(4), RenderRules())
    finally:
        torch.set_num_threads(before)
    assert torch.equal(one.color, other.color) and torch.equal(one.visible, other.visible)


def test_paths_that_need_missing_frames_are_refused():
    with pytest.raises(ValueError, match="output frame 3 shows source frame 3, but the mesh has frames 0..2"):
        render_prior(two_plane_mesh(3), still(4))


@pytest.mark.parametrize("shown", [[0, 1, 2, 3], [5, 5, 5, 5], [3, 2, 1, 0]])
def test_a_mesh_of_one_frame_is_held_along_every_path(shown):
    mesh, cameras = two_plane_mesh(1), turned(4)
    path = replace(cameras, source_frame=torch.tensor(shown))
    held = render_prior(mesh, replace(cameras, source_frame=torch.zeros(4, dtype=torch.int64)))
    prior = render_prior(mesh, path)
    assert torch.equal(prior.color, held.color) and torch.equal(prior.visible, held.visible)


# ---- pictures that stand for frames -------------------------------------------------------------


def noisy_prior(frames: int, origin: bool = False) -> Prior:
    numbers = torch.Generator().manual_seed(frames)
    visible = torch.rand(frames, *SIZE, generator=numbers) > 0.5
    return Prior(torch.rand(frames, *SIZE, 3, generator=numbers) * visible[..., None], visible,
                 torch.where(visible, 1, -1).short() if origin else None)


@given(st.data(), st.integers(1, 9), st.sampled_from(get_args(Fit)), st.booleans())
def test_every_anchored_frame_is_its_picture_and_no_other_frame_changes(data, frames, fit, origin):
    prior = noisy_prior(frames, origin)
    places = data.draw(st.lists(st.integers(0, frames - 1), max_size=frames, unique=True))
    sizes = st.tuples(st.integers(20, 90), st.integers(20, 90))
    pictures = [torch.rand(*data.draw(sizes), 3) for _ in places]
    made = anchor_pictures(prior, pictures, places, fit)
    for place, picture in zip(places, pictures):
        assert torch.equal(made.color[place], fit_frame(picture, SIZE, fit))
        assert made.visible[place].all() or fit == "pad"
        assert (made.color[place][~made.visible[place]] == 0).all()
        assert not origin or (made.origin[place] == -1).all()
    rest = [t for t in range(frames) if t not in places]
    assert torch.equal(made.color[rest], prior.color[rest]) and torch.equal(made.visible[rest], prior.visible[rest])
    assert not origin or torch.equal(made.origin[rest], prior.origin[rest])


def test_the_last_frame_and_its_number_are_the_same():
    prior, picture = noisy_prior(5), torch.rand(*SIZE, 3)
    last, fourth = (anchor_pictures(prior, [picture], [frame]) for frame in (LAST, 4))
    assert torch.equal(last.color, fourth.color) and torch.equal(last.visible, fourth.visible)


@pytest.mark.parametrize("frames, sentence", [
    ([5], "5 is not a frame of this video; use 0 to 4, or last"), ([-2], "-2 is not a frame of this video"),
    ([1, 1], "frames: 1 is named twice"), ([4, LAST], "frames: 4 is named twice"), ([], "0 are named for 1 pictures"),
    ([0, 1, 2], "3 are named for 1 pictures"),
])
def test_pictures_for_frames_that_are_not_there_are_refused(frames, sentence):
    pictures = [torch.rand(*SIZE, 3)] * (2 if len(frames) == 2 else 1)
    with pytest.raises(ValueError, match=sentence):
        anchor_pictures(noisy_prior(5), pictures, frames)
