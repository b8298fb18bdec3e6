"""The mesh and render nodes make what the library makes of the same clip."""

from dataclasses import replace

import pytest
import torch
from PIL import Image, ImageSequence

from ex4d_ops.camera import transform
from ex4d_ops.depth import resize_depth
from ex4d_ops.files.meshes import linear_from_srgb
from ex4d_ops.mesh import MeshRules, build_dw_mesh, occluded_share
from ex4d_ops.plot import STRIP
from ex4d_ops.prior import RenderRules, render_prior
from ex4d_ops.scene import FPS

WIDGETS_AND_RULES = [
    ({}, MeshRules()),
    ({"min_angle": 10.0, "border_depth": 40.0}, MeshRules(min_angle=10.0, border_depth=40.0)),
    ({"depth_jump": 0.013}, MeshRules(depth_jump=0.013)),
    ({"filter": "boundary", "clamp": False}, MeshRules(filter="boundary", clamp=False)),
    ({"hidden_reach": 0.1}, MeshRules(hidden_reach=0.1)),
    ({"hidden_reach": 0.1, "filter": "gap"}, MeshRules(filter="gap", hidden_reach=0.1)),
]
EROSIONS = [({"erosion": "released"}, "released"), ({"erosion": "fixed", "pixels": 3}, 3), ({"erosion": "none"}, 0)]


@pytest.mark.parametrize("widgets, rules", WIDGETS_AND_RULES)
def test_the_mesh_is_the_librarys(nodes, take, same, widgets, rules):
    mesh, occluded = nodes.run("BuildDWMesh", images=take.images, depth=take.depth, **widgets)
    wanted = build_dw_mesh(take.images, take.depth, rules)
    assert same(mesh, wanted)
    assert same(occluded, torch.stack([occluded_share(frame) for frame in wanted.occluded]))


def test_depth_of_another_size_is_resampled_to_the_images(nodes, take, same):
    small = resize_depth(take.depth, (24, 40))
    mesh, _ = nodes.run("BuildDWMesh", images=take.images, depth=small)
    assert same(mesh, build_dw_mesh(take.images, resize_depth(small, (32, 48))))


def test_images_with_alpha_or_out_of_range_are_their_colors_in_range(nodes, take, same):
    wild = torch.cat([take.images * 2 - 0.5, torch.ones_like(take.images[..., :1])], -1)
    mesh, _ = nodes.run("BuildDWMesh", images=wild, depth=take.depth)
    assert same(mesh.colors, (take.images * 2 - 0.5).clamp(0, 1))


@pytest.mark.parametrize("spoil", [
    lambda images: (images * 255).byte(), lambda images: images * 255, lambda images: (images * 255).half(),
    lambda images: (images * 255).round().int(), lambda images: images > 0.5, lambda images: images * 65535,
    lambda images: torch.zeros_like(images).index_fill(2, torch.tensor([3]), 255.0),
])
def test_every_picture_of_0_to_255_or_of_whole_numbers_is_refused(nodes, take, spoil):
    with pytest.raises(ValueError, match="^images: contains .* an IMAGE has .*numbers from 0 to 1; .*by 255"):
        nodes.run("BuildDWMesh", images=spoil(take.images), depth=take.depth)


@pytest.mark.parametrize("spoil", [lambda images: images * 2 - 1, lambda images: images * 6 - 3,
                                   lambda images: (images - 0.45) / 0.225, lambda images: -images])
def test_every_picture_around_zero_is_refused_and_not_shown_dark(nodes, take, spoil):
    with pytest.raises(ValueError, match="^images: contains numbers from -.* an IMAGE has numbers from 0 to 1"):
        nodes.run("BuildDWMesh", images=spoil(take.images).clamp(max=2), depth=take.depth)


def test_a_few_numbers_far_below_black_are_cut_off(nodes, take):
    images = take.images.clone()
    images[:, ::8, ::8] = -0.9
    assert torch.equal(nodes.run("BuildDWMesh", images=images, depth=take.depth)[0].colors, images.clamp(0, 1))


def test_a_share_of_the_depth_range_needs_one(nodes, take):
    sky = replace(take.depth, depth=torch.cat([torch.full((1, 32, 48), torch.inf), take.depth.depth[1:]]))
    with pytest.raises(ValueError, match="depth_jump: .* use 0"):
        nodes.run("BuildDWMesh", images=take.images, depth=sky, depth_jump=0.013)
    mesh, _ = nodes.run("BuildDWMesh", images=take.images, depth=sky)
    assert mesh.depth[0].min() > 99


@pytest.mark.parametrize("reach", [-0.1, float("nan"), float("-inf")])
def test_a_reach_that_is_not_a_share_is_refused(nodes, take, reach):
    with pytest.raises(ValueError, match="hidden_reach: got .*, must be 0 or more; use 0 for faces that reach all"):
        nodes.run("BuildDWMesh", images=take.images, depth=take.depth, hidden_reach=reach)


def test_a_bounded_mesh_becomes_core_s_mesh_with_its_visible_faces_whole(nodes, take):
    (bounded,) = nodes.run("BuildDWMesh", images=take.images, depth=take.depth, hidden_reach=0.1)[:1]
    (shown,), (whole,) = (nodes.run("EX4DMeshToMesh", mesh=bounded, frame=2, faces=faces)
                          for faces in ("visible", "all"))
    used = bounded.visible_faces(2).unique().long()
    assert torch.equal(shown.vertex_colors[0], linear_from_srgb(bounded.colors[2].reshape(-1, 3)[used]))
    assert whole.vertices.shape[1] > bounded.depth[2].numel()


@pytest.mark.parametrize("erosion, pixels", EROSIONS)
@pytest.mark.parametrize("texture", ["vertex", "face"])
def test_the_prior_is_the_librarys(nodes, take, same, erosion, pixels, texture):
    color, visible, coverage = nodes.run("RenderDWMesh", mesh=take.mesh, cameras=take.path, erosion=erosion, seed=5,
                                         texture=texture)
    prior = render_prior(take.mesh, take.path, RenderRules(texture, erosion=pixels, seed=5))
    assert same(color, prior.color) and same(visible, prior.visible.float()) and coverage == prior.describe_coverage()


@pytest.mark.parametrize("anchored", [True, False])
def test_the_first_frame_is_the_source_frame_where_asked(nodes, take, same, anchored):
    color, visible, _ = nodes.run("RenderDWMesh", mesh=take.mesh, cameras=take.path, anchor_first_frame=anchored)
    assert same(color, render_prior(take.mesh, take.path, RenderRules(anchor_first=anchored)).color)
    assert bool(visible[0].min() == 1) == anchored


@pytest.mark.parametrize("engine", ["warp", "torch"])
def test_every_engine_that_runs_here_draws_the_same_inside(nodes, take, engine):
    whole = {"erosion": {"erosion": "none"}, "mesh": take.mesh, "cameras": take.path}
    auto, named = (nodes.run("RenderDWMesh", **whole, engine=name) for name in ("auto", engine))
    assert ((auto[0] - named[0]).abs().amax(-1) < 1e-3).float().mean() > 0.995
    assert (auto[1] == named[1]).float().mean() > 0.995


@pytest.mark.parametrize("frames, moments", [(1, 1), (2, 2), (5, 5), (49, 49), (60, 49)])
def test_every_prior_loops_on_the_node_as_long_as_the_clip(nodes, take, folders, frames, moments):
    held, _ = nodes.run("CameraTrajectory", frames=frames, scene=take.depth)
    held, _ = nodes.run("EX4DComposeCameras", cameras=held, operation={"operation": "freeze", "frame": 2})
    said = nodes.ui("RenderDWMesh", mesh=take.mesh, cameras=held).as_dict()
    (shown,) = said["images"]
    loop = Image.open(folders / "temp" / shown["filename"])
    assert loop.size == (3 * 48, 32 + STRIP) and loop.n_frames == moments
    assert said.get("animated") == ((True,) if frames > 1 else None)
    if frames > 1:
        assert loop.info["loop"] == 0  # for ever
        assert sum(map(read_duration, ImageSequence.Iterator(loop))) == pytest.approx(1000 * frames / FPS, rel=0.02)


def read_duration(picture) -> int:
    picture.load()
    return picture.info["duration"]  # of the frame, milliseconds


def test_what_other_frames_add_is_shown_beside_the_loop(nodes, take, folders):
    said = nodes.ui("RenderDWMesh", mesh=take.mesh, cameras=take.path, moving=torch.zeros(5, 32, 48)).as_dict()
    assert [Image.open(folders / "temp" / shown["filename"]).format for shown in said["images"]] == ["WEBP", "PNG"]


def test_a_path_that_shows_frames_the_mesh_lacks_is_refused(nodes, take):
    longer, _ = nodes.run("CameraTrajectory", frames=9, scene=take.mesh)
    with pytest.raises(ValueError, match=r"cameras: output frame 5 shows source frame 5, but the mesh has .* 0\.\.4"):
        nodes.run("RenderDWMesh", mesh=take.mesh, cameras=longer)


def test_one_frame_becomes_core_s_mesh_in_its_axes_and_linear_colors(nodes, take):
    (mesh,) = nodes.run("EX4DMeshToMesh", mesh=take.mesh, frame=2, faces="all")
    points = take.mesh.vertices(2) * torch.tensor([1.0, -1.0, -1.0])
    assert torch.equal(mesh.vertices[0], points) and torch.equal(mesh.faces[0], take.mesh.faces().long())
    colors = take.mesh.colors[2] * take.mesh.vertex_visible(2)[..., None]
    assert torch.equal(mesh.vertex_colors[0], linear_from_srgb(colors.reshape(-1, 3))) and mesh.unlit


def test_the_visible_part_holds_the_visible_faces_and_their_vertices_only(nodes, take):
    (mesh,) = nodes.run("EX4DMeshToMesh", mesh=take.mesh, frame=2)
    corners = take.mesh.vertices(2)[take.mesh.visible_faces(2).long()] * torch.tensor([1.0, -1.0, -1.0])
    assert torch.equal(mesh.vertices[0][mesh.faces[0]], corners)
    assert mesh.faces[0].unique().tolist() == list(range(mesh.vertices.shape[1]))


def test_exported_points_stand_where_the_path_s_cameras_see_them(nodes, take):
    (mesh,) = nodes.run("EX4DMeshToMesh", mesh=take.mesh, frame=0, faces="all")
    world = mesh.vertices[0] * torch.tensor([1.0, -1.0, -1.0])
    depth = transform(take.path.cam_from_world[0], world)[:, 2].reshape(take.mesh.size)
    assert torch.allclose(depth, take.mesh.depth[0], rtol=1e-5)


def test_a_closed_ring_gives_every_edge_two_faces(nodes, take):
    for closed_ring in (True, False):
        (mesh,) = nodes.run("EX4DMeshToMesh", mesh=take.mesh, frame=0, faces="all", closed_ring=closed_ring)
        edges = torch.cat([mesh.faces[0][:, pair] for pair in ([0, 1], [1, 2], [2, 0])]).sort(1).values
        counts = edges.unique(dim=0, return_counts=True)[1]
        assert bool((counts == 2).all()) == closed_ring
