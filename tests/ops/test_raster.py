"""Laws of the rasterizers: every engine draws what brute force in double precision sees, and always the same bits."""

import logging
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import max_pool2d

from ex4d_ops import raster
from ex4d_ops.camera import default_intrinsics, intrinsics_from_focal, invert_rigid, lift, look_at, rigid
from ex4d_ops.mesh import MeshRules, close_border, grid_faces
from ex4d_ops.raster import FAR, NEAR, Fragments, choose_engine, drawing_device, rasterize
from ex4d_ops.raster.grid import cut_faces, face_vertices, pixels_from_grid, place_vertices
from ex4d_ops.raster.nvdiffrast_raster import clip_positions, face_numbers
from ex4d_ops.rotation import rotate_about

SIZE = (64, 64)
INTRINSICS = default_intrinsics(SIZE)
ROUNDING = 1e-12  # of side tests in float64, far below the area of any face; rays through a vertex must meet its faces
TIE = 1e-9
CUDA = torch.device("cuda") if torch.cuda.is_available() else None
ENGINES = [("torch", torch.device("cpu")), ("warp", torch.device("cpu"))]
if CUDA:
    ENGINES += [(engine, CUDA) for engine in ("torch", "warp", "nvdiffrast") if not raster.find_obstacle(engine, CUDA)]
EVERY_ENGINE = pytest.mark.parametrize("engine, device", ENGINES, ids=[f"{e}-{d}" for e, d in ENGINES])


def make_grid(size: tuple[int, int] = SIZE) -> tuple[Tensor, Tensor]:
    """A slanted wall with a ball, a bar and a dent before it, its border far away; colors at every vertex."""
    height, width = size
    y, x = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
    depth = 9 / (1 - 0.3 * x - 0.1 * y)
    ball = 1 - ((x + 0.3) ** 2 + (y - 0.1) ** 2) / 0.16
    depth = torch.where(ball > 0, 4 - ball.clamp(min=0).sqrt(), depth)
    depth[(x - 0.5).abs() < 0.08] = 3.0
    rgba = torch.stack([0.5 + 0.5 * x, 0.5 + 0.5 * y, 0.5 + 0.5 * torch.sin(7 * x + 4 * y), torch.ones_like(x)], -1)
    return close_border(depth, MeshRules()), rgba


def orbit(degrees: float, radius: float = 3.15) -> Tensor:
    """A camera on a circle around the point `radius` ahead of the grid's."""
    a = math.radians(degrees)
    eye = torch.tensor([radius * math.sin(a), -0.1 * abs(math.sin(a)), radius - radius * math.cos(a)])
    return look_at(eye, torch.tensor([0.0, 0.0, radius]))


VIEWS = {
    "identity": torch.eye(4), "30": orbit(30), "60": orbit(60), "90": orbit(90), "behind": orbit(180),
    "beyond the back": look_at(torch.tensor([5.0, 2.0, 150.0]), torch.tensor([0.0, 0.0, 5.0])),
    "inside the ball": look_at(torch.tensor([-0.9, 0.3, 4.5]), torch.tensor([0.0, 0.0, 3.0])),
    "through the wall": look_at(torch.tensor([0.5, 0.2, 8.8]), torch.tensor([4.0, 0.0, 9.0])),
    "rolled": rigid(rotate_about("z", torch.tensor(0.7)).float(), torch.tensor([0.3, -0.2, 0.4])),
}
EVERY_VIEW = pytest.mark.parametrize("view", VIEWS)


def draw(engine: str, device: torch.device, depth: Tensor, rgba: Tensor, cam_from_mesh: Tensor,
         intrinsics: Tensor = INTRINSICS, size: tuple[int, int] = SIZE, limits: Tensor | None = None,
         hidden: Tensor | None = None) -> Fragments:
    tensors = (tensor.to(device) for tensor in (depth, rgba, INTRINSICS, cam_from_mesh, intrinsics))
    drawn = rasterize(*tensors, size, engine, *(None if faces is None else faces.to(device)
                                                for faces in (limits, hidden)))
    return Fragments(drawn.rgba.cpu(), drawn.depth.cpu(), drawn.face.cpu())


def brute_force(depth: Tensor, rgba: Tensor, cam_from_mesh: Tensor, intrinsics: Tensor = INTRINSICS,
                size: tuple[int, int] = SIZE, limits: Tensor | None = None) -> Fragments:
    """Every ray against every face in float64: where the plane of a face is met, and on which side of its edges."""
    points, rays, faces = see_points(depth, cam_from_mesh), cast_rays(intrinsics, size), grid_faces(tuple(depth.shape))
    limit = torch.full((len(faces),), torch.inf, dtype=torch.float64)
    if limits is not None:
        limit[:-2] = limits.permute(2, 0, 1).reshape(-1)
    nearest, hit = meet_faces(points, faces.long(), rays, limit, torch.linalg.inv(cam_from_mesh.double())[2])
    corners = faces[hit.clamp(min=0)].long()
    p, q, r = points[corners].unbind(1)
    shares = torch.stack([(torch.cross(a, b, dim=1) * rays).sum(1) for a, b in ((q, r), (r, p), (p, q))], 1)
    shares = shares / shares.sum(1, keepdim=True)
    blended = (shares[..., None] * rgba.double().reshape(-1, 4)[corners]).sum(1)
    blended[hit < 0] = 0
    return Fragments(blended.reshape(*size, 4).float(), nearest.reshape(size).float(), hit.reshape(size).int())


def see_points(depth: Tensor, cam_from_mesh: Tensor) -> Tensor:
    """The vertices of a grid in the target camera, [H*W, 3] float64."""
    points = lift(depth.double(), INTRINSICS.double()).reshape(-1, 3)
    return points @ cam_from_mesh[:3, :3].double().T + cam_from_mesh[:3, 3].double()


def cast_rays(intrinsics: Tensor, size: tuple[int, int]) -> Tensor:
    """The ray through every pixel's centre, [N, 3] float64, z = 1."""
    y, x = torch.meshgrid(*(torch.arange(side, dtype=torch.float64) + 0.5 for side in size), indexing="ij")
    return torch.stack([x, y, torch.ones_like(x)], -1).reshape(-1, 3) @ torch.linalg.inv(intrinsics.double()).T


def meet_faces(points: Tensor, faces: Tensor, rays: Tensor, limit: Tensor, depth_row: Tensor) -> tuple[Tensor, Tensor]:
    """The least z at which each ray [N, 3] meets a face and which face that is, inf and -1 where it meets none.

    A face ends at its limit [F] of depth_row @ (x, y, z, 1), the depth in the grid's camera.
    """
    nearest = torch.full((len(rays),), torch.inf, dtype=torch.float64)
    hit = torch.full((len(rays),), -1)
    for first in range(0, len(faces), 512):
        p, q, r = points[faces[first : first + 512]].unbind(1)
        edges = torch.stack([torch.cross(q, r, dim=1), torch.cross(r, p, dim=1), torch.cross(p, q, dim=1)])  # [3, F, 3]
        sides = edges @ rays.T  # [3, F, N]
        inside = (sides >= -ROUNDING).all(0) | (sides <= ROUNDING).all(0)
        z = (p * edges[0]).sum(1)[:, None] / sides.sum(0)
        before = z * (rays @ depth_row[:3]) + depth_row[3] <= limit[first : first + 512, None]
        z = torch.where(inside & before & (z >= NEAR) & (z <= FAR), z, torch.inf)
        reach = z.amin(0)
        closer = reach < nearest * (1 - TIE)  # of faces that meet in a point the lower counts
        which = (z <= reach * (1 + TIE)).float().argmax(0)
        nearest[closer], hit[closer] = reach[closer], first + which[closer]
    return nearest, hit


def some_limits(depth: Tensor) -> Tensor:
    """Half of the faces cut off near the depth of their quad's nearest corner, up to a fifth behind it."""
    generator = torch.Generator().manual_seed(0)
    nearest = -max_pool2d(-depth[None], 2, 1)[0][..., None].expand(-1, -1, 2)
    limits = nearest * (0.99 + 0.2 * torch.rand(nearest.shape, generator=generator))
    return torch.where(torch.rand(nearest.shape, generator=generator) < 0.5, limits, torch.inf)


def beside_edges(depth: Tensor) -> Tensor:
    """Pixels within one of a jump of the depth that is seen, [h, w] bool."""
    inverse = (1 / depth)[None, None]
    low, high = -max_pool2d(-inverse, 3, 1, 1), max_pool2d(inverse, 3, 1, 1)
    return (high - low > 0.02 * high)[0, 0]


def assert_same_picture(drawn: Fragments, reference: Fragments, engine: str) -> None:
    """Coverage, depth and color agree away from edges; along them few pixels flip to the other side.

    nvdiffrast rounds corners to 1/16 px, computes in float32 and blends what is beside an edge.
    """
    color, depth, away, along = (3 / 255, 1e-2, 0.03, 0.15) if engine == "nvdiffrast" else (1 / 255, 1e-4, 0, 2e-3)
    band = beside_edges(reference.depth)
    covered = (drawn.face >= 0) == (reference.face >= 0)
    both = (drawn.face >= 0) & (reference.face >= 0)
    near = torch.where(both, (drawn.depth / reference.depth - 1).abs() < depth, True)
    off = (drawn.rgba - reference.rgba).abs().amax(-1)
    wrong = ~(covered & near & (off < color))
    shares = [float((wrong & part).float().mean()) for part in (~band, band)]
    assert shares[0] <= away, f"{shares[0]:.2%} of the pixels, away from edges, are wrong, the worst color by " \
        f"{float(off[~band].max()):.3g}, coverage of {int((~covered & ~band).sum())}, depth of " \
        f"{int((~near & ~band).sum())}"
    assert sum(shares) < along, f"{sum(shares):.2%} of all pixels are wrong"


@EVERY_VIEW
@EVERY_ENGINE
def test_every_engine_draws_what_brute_force_sees(engine, device, view):
    depth, rgba = make_grid()
    drawn = draw(engine, device, depth, rgba, VIEWS[view])
    assert_same_picture(drawn, brute_force(depth, rgba, VIEWS[view]), engine)


@EVERY_VIEW
@EVERY_ENGINE
def test_every_engine_cuts_faces_off_where_brute_force_does(engine, device, view):
    depth, rgba = make_grid()
    limits = some_limits(depth)
    drawn = draw(engine, device, depth, rgba, VIEWS[view], limits=limits)
    reference = brute_force(depth, rgba, VIEWS[view], limits=limits)
    untouched = torch.equal(reference.face, brute_force(depth, rgba, VIEWS[view]).face)
    assert untouched == (view == "beyond the back"), "only from there nothing but the back is seen"
    assert_same_picture(drawn, reference, engine)


@EVERY_VIEW
@EVERY_ENGINE
def test_limits_behind_all_depth_change_no_bit_and_limits_before_it_leave_the_back(engine, device, view):
    depth, rgba = make_grid()
    whole, cut, none = (draw(engine, device, depth, rgba, VIEWS[view], limits=limits) for limits in
                        (None, torch.full((63, 63, 2), torch.inf), torch.zeros(63, 63, 2)))
    assert_same_bits(whole, cut, engine)
    assert ((none.face == -1) | (none.face >= 2 * 63 * 63)).all()


@pytest.mark.parametrize("view", sorted(set(VIEWS) - {"identity", "behind"}))  # where rays run along faces that are cut
def test_faces_cut_into_triangles_are_those_cut_by_pixels(view):
    """The triangles that nvdiffrast draws and files hold, met by rays: they cover the same pixels at the same depth."""
    depth, rgba = make_grid()
    limits = some_limits(depth)
    vertices, faces, owner = cut_faces(see_points(depth, VIEWS[view]), grid_faces(SIZE), depth.reshape(-1).double(),
                                       limits.permute(2, 0, 1).reshape(-1).double())
    nearest, _ = meet_faces(vertices, faces.long(), cast_rays(INTRINSICS, SIZE),
                              torch.full((len(faces),), torch.inf), torch.zeros(4, dtype=torch.float64))
    reference = brute_force(depth, rgba, VIEWS[view], limits=limits)
    wrong = ~torch.isclose(nearest.reshape(SIZE).float(), reference.depth, rtol=1e-4)
    assert not (wrong & ~beside_edges(reference.depth)).any() and wrong.float().mean() < 0.01
    parts, whole = owner.bincount(), limits.permute(2, 0, 1).reshape(-1).isinf()
    assert (parts[:-2][whole] == 1).all() and (parts[-2:] == 1).all() and (parts <= 2).all()


@EVERY_ENGINE
def test_another_lens_and_size_draw_what_brute_force_sees(engine, device):
    depth, rgba = make_grid((40, 72))
    size, intrinsics = (57, 33), intrinsics_from_focal(40.0, (57, 33))
    drawn = draw(engine, device, depth, rgba, orbit(-40), intrinsics, size)
    assert_same_picture(drawn, brute_force(depth, rgba, orbit(-40), intrinsics, size), engine)


@EVERY_VIEW
def test_engines_on_the_cpu_agree_on_every_pixel(view):
    """Only where a pixel lies on the edge between two faces may they name either."""
    depth, rgba = make_grid()
    reference, fast = (draw(engine, torch.device("cpu"), depth, rgba, VIEWS[view]) for engine in ("torch", "warp"))
    torch.testing.assert_close(fast.rgba, reference.rgba, atol=1e-5, rtol=0)
    torch.testing.assert_close(fast.depth, reference.depth, atol=0, rtol=1e-5)
    same = float((reference.face == fast.face).float().mean())
    assert same > 0.995, f"the engines name the same face in {same:.2%} of the pixels"


@EVERY_ENGINE
@EVERY_VIEW
def test_same_input_gives_the_same_bits(engine, device, view):
    depth, rgba = make_grid()
    first, again = (draw(engine, device, depth, rgba, VIEWS[view]) for _ in range(2))
    assert_same_bits(first, again, engine)


def assert_same_bits(first: Fragments, again: Fragments, engine: str) -> None:
    """Of everything but what nvdiffrast blends, which its threads add up in any order."""
    assert torch.equal(first.depth, again.depth) and torch.equal(first.face, again.face)
    torch.testing.assert_close(first.rgba, again.rgba, rtol=0, atol=1e-5 if engine == "nvdiffrast" else 0)


@EVERY_ENGINE
def test_any_layout_in_memory_is_drawn_alike(engine, device):
    depth, rgba = make_grid()
    hidden, limits = torch.rand(63, 63, 2, generator=torch.Generator().manual_seed(1)) < 0.3, some_limits(depth)
    for faces in ({}, {"limits": limits}, {"hidden": hidden}, {"hidden": hidden, "limits": limits}):
        colors = rgba[..., :3] if "hidden" in faces else rgba
        compact = draw(engine, device, depth, colors.contiguous(), VIEWS["30"], **faces)
        for lay in (planar, every_other, turned):
            laid = {name: lay(values) for name, values in faces.items()}
            assert_same_bits(draw(engine, device, lay(depth), lay(colors), VIEWS["30"], **laid), compact, engine)


def planar(values: Tensor) -> Tensor:
    """The same values, the last axis outermost in memory."""
    return values.movedim(-1, 0).contiguous().movedim(0, -1)


def every_other(values: Tensor) -> Tensor:
    """The same values, each beside another that is not theirs."""
    return torch.stack([values, torch.zeros_like(values)], -1)[..., 0]


def turned(values: Tensor) -> Tensor:
    """The same values, rows and columns changed in memory."""
    return values.transpose(0, 1).contiguous().transpose(0, 1)


@EVERY_VIEW
@EVERY_ENGINE
def test_hidden_faces_and_the_back_are_transparent_and_all_else_is_opaque(engine, device, view):
    depth, rgba = make_grid()
    hidden = torch.rand(63, 63, 2, generator=torch.Generator().manual_seed(1)) < 0.3
    whole = draw(engine, device, depth, rgba, VIEWS[view])
    drawn = draw(engine, device, depth, rgba[..., :3], VIEWS[view], hidden=hidden)
    assert torch.equal(drawn.face, whole.face) and torch.equal(drawn.depth, whole.depth)
    torch.testing.assert_close(drawn.rgba[..., :3], whole.rgba[..., :3], rtol=0, atol=1e-5)
    seen = (drawn.face >= 0) & (drawn.face < 2 * 63 * 63)
    seen[seen.clone()] = ~hidden.permute(2, 0, 1).reshape(-1)[drawn.face[seen].long()]
    away = ~beside_edges(whole.depth) if engine == "nvdiffrast" else torch.ones_like(seen)
    assert torch.equal((drawn.rgba[..., 3] > 0.5)[away], seen[away]) and (drawn.rgba[..., 3][~seen] == 0).all()


@EVERY_VIEW
def test_any_number_of_threads_draws_the_same_bits(monkeypatch, view):
    """As on a GPU, where many share the rows and the pixels of a large face."""
    warp_raster = pytest.importorskip("ex4d_ops.raster.warp_raster")
    depth, rgba = make_grid()
    alone = draw("warp", torch.device("cpu"), depth, rgba, VIEWS[view])
    for threads in ((12, 1, 1, 1), (48, 2, 3, 4), (4096, 4, 8, 16)):
        monkeypatch.setitem(warp_raster.QUEUE_THREADS, "cpu", threads)
        shared = draw("warp", torch.device("cpu"), depth, rgba, VIEWS[view])
        assert_same_bits(alone, shared, "warp")


@EVERY_ENGINE
def test_the_source_camera_sees_every_vertex_where_it_was(engine, device):
    depth, rgba = make_grid()
    drawn = draw(engine, device, depth, rgba, torch.eye(4))
    inside = slice(1, -1)
    torch.testing.assert_close(drawn.depth[inside, inside], depth[inside, inside], rtol=1e-5, atol=0)
    away = ~beside_edges(depth)[inside, inside]
    torch.testing.assert_close(drawn.rgba[inside, inside][away], rgba[inside, inside][away], rtol=0, atol=1e-4)


@EVERY_ENGINE
def test_a_watertight_mesh_leaves_no_hole_from_within(engine, device):
    """Between the source camera and the border every ray meets the surface, whichever way it goes."""
    depth, rgba = make_grid()
    within = torch.eye(4)
    within[2, 3] = -50.0  # behind everything seen, before the back
    for degrees in (0, 40, 90, 180, 270):
        turned = torch.eye(4)
        turned[:3, :3] = rotate_about("y", torch.tensor(math.radians(degrees))).float()
        drawn = draw(engine, device, depth, rgba, turned @ within, intrinsics_from_focal(40.0, SIZE))
        assert (drawn.face >= 0).all()


@EVERY_ENGINE
def test_a_mesh_behind_the_camera_is_not_drawn(engine, device):
    depth, rgba = make_grid()
    backwards = torch.diag(torch.tensor([-1.0, 1.0, -1.0, 1.0]))
    drawn = draw(engine, device, depth, rgba, backwards)
    assert (drawn.face == -1).all() and (drawn.rgba == 0).all() and drawn.depth.isinf().all()


@EVERY_ENGINE
def test_surfaces_beyond_the_far_plane_are_cut(engine, device):
    depth, rgba = make_grid()
    away = torch.eye(4)
    away[2, 3] = FAR - 5  # the ball stays before it, the wall and the border fall behind
    drawn, seen = draw(engine, device, depth, rgba, away, intrinsics_from_focal(20000.0, SIZE)), FAR - 5 + depth
    assert (seen > FAR).any() and (drawn.face >= 0).any()
    slack = 0.1 if engine == "nvdiffrast" else 1e-6  # its float32 between NEAR and FAR tells no more apart there
    assert (drawn.depth[drawn.face >= 0] <= FAR * (1 + slack)).all()


@EVERY_ENGINE
def test_faces_without_area_are_not_seen(engine, device):
    """A wall seen exactly edge-on, its faces lines: no picture, no NaN."""
    depth, rgba = torch.full(SIZE, 5.0), torch.ones(*SIZE, 4)
    edge_on = torch.eye(4)
    edge_on[:3, :3] = rotate_about("y", torch.tensor(math.pi / 2, dtype=torch.float64)).float()
    edge_on[:3, 3] = -edge_on[:3, :3] @ torch.tensor([-10.0, 0.0, 5.0])
    drawn = draw(engine, device, depth, rgba, edge_on)
    assert torch.isfinite(drawn.rgba).all() and not drawn.depth.isnan().any()
    assert (drawn.face >= 0).float().mean() < 0.05


@EVERY_ENGINE
def test_a_collapsed_grid_is_survived(engine, device):
    depth, rgba = torch.full((2, 2), 1e-3), torch.ones(2, 2, 4)
    drawn = draw(engine, device, depth, rgba, orbit(20))
    assert torch.isfinite(drawn.rgba).all()


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**31), st.floats(-180, 180), st.floats(-80, 80), st.floats(0.1, 20))
def test_engines_agree_on_any_surface_from_any_side(seed, yaw, pitch, distance):
    generator = torch.Generator().manual_seed(seed)
    depth = close_border((torch.rand(12, 15, generator=generator) * 3).exp(), MeshRules())
    rgba = torch.rand(12, 15, 4, generator=generator)
    turn = rotate_about("x", torch.tensor(math.radians(pitch))) @ rotate_about("y", torch.tensor(math.radians(yaw)))
    target = torch.tensor([0.0, 0.0, 5.0])
    view = rigid(turn, torch.tensor([0.0, 0.0, distance]) - turn @ target)
    reference, fast = (draw(engine, torch.device("cpu"), depth, rgba, view) for engine in ("torch", "warp"))
    different = reference.face != fast.face
    assert different.float().mean() < 2e-3, f"the engines name other faces in {float(different.float().mean()):.2%}"
    torch.testing.assert_close(fast.rgba[~different], reference.rgba[~different], rtol=0, atol=1e-4)


# ---- what the engines share ----------------------------------------------------------------------


@pytest.mark.parametrize("size", [(2, 2), (3, 5), (48, 64)])
def test_faces_are_numbered_as_the_mesh_numbers_them(size):
    faces = grid_faces(size)
    assert torch.equal(face_vertices(torch.arange(len(faces)), size).int(), faces)


@pytest.mark.parametrize("skew", [0.0, 0.3, -12.0])
def test_through_its_own_lens_every_pixel_stays_where_it_is(skew):
    lens = INTRINSICS + torch.tensor([[0, skew, 0], [0, 0, 0], [0, 0, 0]])
    torch.testing.assert_close(pixels_from_grid(lens, torch.eye(4), lens), torch.eye(3, 4, dtype=torch.float64))


def test_vertices_are_placed_where_cameras_project_them():
    depth, _ = make_grid()
    view = orbit(30)
    placed = place_vertices(depth, pixels_from_grid(INTRINSICS, view, INTRINSICS))
    points = lift(depth.double(), INTRINSICS.double()).reshape(-1, 3) @ view[:3, :3].double().T + view[:3, 3].double()
    image = points @ INTRINSICS.double().T
    ahead = points[:, 2] >= NEAR
    torch.testing.assert_close(placed[ahead, :2], (image[:, :2] / image[:, 2:])[ahead] - 0.5, atol=1e-3, rtol=1e-5,
                               check_dtype=False)
    torch.testing.assert_close(placed[ahead, 3], 1 / points[ahead, 2], rtol=1e-5, atol=1e-8, check_dtype=False)


@pytest.mark.parametrize("scene", "ab")
def test_clip_space_is_that_of_the_released_projection(scene, golden):
    """Its GL matrix, on points with y and z flipped, draws the top row first too."""
    depth, size = torch.from_numpy(golden[f"{scene}_depth"]), golden[f"{scene}_depth"].shape
    intrinsics = torch.from_numpy(golden[f"{scene}_K"])
    points = lift(depth, intrinsics).reshape(-1, 3) * torch.tensor([1.0, -1.0, -1.0])
    released = torch.cat([points, torch.ones(len(points), 1)], 1) @ torch.from_numpy(golden[f"{scene}_proj"]).T
    ours = clip_positions(depth, pixels_from_grid(intrinsics, torch.eye(4), intrinsics), size)[0]
    torch.testing.assert_close(ours, released, rtol=1e-4, atol=1e-3)


@pytest.fixture(scope="module")
def golden():
    with np.load(Path(__file__).parents[1] / "golden" / "mesh.npz") as file:
        return dict(file)


def test_face_numbers_beyond_what_float32_counts_are_read():
    numbers = torch.tensor([0, 1, 2**24, 2**24 + 1, 2**24 + 12345], dtype=torch.int32)
    stored = torch.where(numbers <= 2**24, numbers.float(), (numbers + 0x4A800000).view(torch.float32))
    assert torch.equal(face_numbers(stored), numbers - 1)


# ---- choosing an engine --------------------------------------------------------------------------


@pytest.fixture
def fresh_choice():
    for choice in (choose_engine, drawing_device):
        choice.cache_clear()
    yield
    for choice in (choose_engine, drawing_device):
        choice.cache_clear()


def test_an_unknown_engine_is_refused_by_name():
    with pytest.raises(ValueError, match="engine: 'opengl' is unknown; use auto, nvdiffrast, warp, torch"):
        choose_engine("opengl", torch.device("cpu"))


def test_an_engine_that_cannot_run_here_is_refused_with_the_reason():
    with pytest.raises(ValueError, match="nvdiffrast cannot render on cpu: it needs a CUDA GPU; use engine warp"):
        choose_engine("nvdiffrast", torch.device("cpu"))


def test_warp_draws_where_it_is_installed(fresh_choice):
    assert choose_engine("auto", torch.device("cpu")) == "warp"


@pytest.mark.parametrize("failure", [ImportError("No module named 'warp'"), "no driver; it needs driver R580"])
def test_without_warp_torch_draws_and_one_line_says_why(fresh_choice, monkeypatch, caplog, failure):
    class Broken:
        @staticmethod
        def find_obstacle(device):
            if isinstance(failure, ImportError):
                raise failure
            return failure

    monkeypatch.setattr(raster, "import_module", lambda name, package: Broken)
    with caplog.at_level(logging.WARNING, logger="ex4d_ops.raster"):
        assert [choose_engine("auto", torch.device("cpu")) for _ in range(3)] == ["torch"] * 3
    assert len(caplog.records) == 1 and str(failure) in caplog.text
    assert ("pip install warp-lang" in caplog.text) == isinstance(failure, ImportError)


CPU = torch.device("cpu")
DRIVER = "Invalid device identifier: cuda:0; it needs driver R580"


@pytest.mark.parametrize("device, can, engine, place, drawn", [
    ("cpu", {"warp"}, "auto", "cpu", "warp"),
    ("cuda:0", {"warp", "nvdiffrast"}, "auto", "cuda:0", "nvdiffrast"),
    ("cuda:0", {"warp"}, "auto", "cuda:0", "warp"),
    ("cuda:0", {"warp on cpu"}, "auto", "cpu", "warp"),  # ROCm, or a driver too old
    ("cuda:0", {"warp on cpu"}, "warp", "cpu", "warp"),
    ("cuda:0", {"warp on cpu"}, "torch", "cuda:0", "torch"),
    ("cuda:0", set(), "auto", "cpu", "torch"),
    *[(device, {"warp"}, "auto", "cpu", "warp") for device in ("mps", "xpu:0", "privateuseone:0", "vulkan", "meta")],
    *[(device, set(), "auto", "cpu", "torch") for device in ("mps", "xpu:0", "privateuseone:0")],
    *[(device, {"warp"}, "torch", "cpu", "torch") for device in ("mps", "xpu:0")],
])
def test_it_is_drawn_by_what_can_draw_there_else_on_the_cpu(fresh_choice, monkeypatch, device, can, engine, place,
                                                            drawn):
    def find_obstacle(name, device):
        here = name == "torch" or name in can and (name, device.type) != ("nvdiffrast", "cpu")
        return None if here or f"{name} on {device.type}" in can else DRIVER

    monkeypatch.setattr(raster, "find_obstacle", find_obstacle)
    chosen = drawing_device(engine, torch.device(device))
    assert chosen == torch.device(place) and choose_engine(engine, chosen) == drawn


def test_a_cuda_device_is_passed_over_with_one_line(fresh_choice, monkeypatch, caplog):
    monkeypatch.setattr(raster, "find_obstacle", lambda name, device: None if device == CPU else DRIVER)
    with caplog.at_level(logging.WARNING, logger="ex4d_ops.raster"):
        assert [drawing_device("auto", torch.device("cuda", 0)) for _ in range(3)] == [CPU] * 3
    assert len(caplog.records) == 1 and DRIVER in caplog.text


def test_nvdiffrast_asked_for_is_refused_where_it_cannot_draw_and_not_replaced(fresh_choice):
    for device in (torch.device("mps"), CPU):
        with pytest.raises(ValueError, match="it needs a CUDA GPU"):
            choose_engine("nvdiffrast", drawing_device("nvdiffrast", device))


def test_views_are_the_inverse_of_where_cameras_stand():
    assert torch.allclose(invert_rigid(VIEWS["behind"])[:3, 3], torch.tensor([0.0, 0.0, 6.3]), atol=1e-4)


def test_what_was_drawn_in_inference_mode_is_drawn_outside_of_it_too():
    depth, rgba = make_grid((37, 29))  # a size that nothing else here has drawn
    with torch.inference_mode():
        first = draw("warp", torch.device("cpu"), depth, rgba, VIEWS["30"])
    again = draw("warp", torch.device("cpu"), depth, rgba, VIEWS["30"])
    assert torch.equal(first.rgba, again.rgba) and torch.equal(first.face, again.face)
