"""Laws of point tracks: they follow what moves, say what they lost, and load the models of others safely."""

import math
import os
import pickle
import sys
from pathlib import Path
from types import ModuleType

import numpy
import pytest
import torch
from torch.nn.functional import grid_sample

from ex4d_ops.scene import make_scene, sample_clip
from ex4d_ops.scene.scene import Shot
from ex4d_ops.tracking import OFFLINE_WINDOW, TAPNEXT_SIZE, Tracks, inside, load_tracker, track_lk

SIZE = (128, 144)


def texture(size: tuple[int, int], seed: int = 0) -> torch.Tensor:
    """Smooth noise [h, w, 3] in [0, 1] with detail of some four pixels."""
    noise = torch.rand(1, 3, size[0] // 4, size[1] // 4, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(noise, size=size, mode="bicubic").clamp(0, 1)[0].movedim(0, -1)


def spread(size: tuple[int, int], margin: int, step: int = 16) -> torch.Tensor:
    """Points [N, 2] all over a picture, off whole numbers."""
    y, x = torch.meshgrid(torch.arange(margin, size[0] - margin, step), torch.arange(margin, size[1] - margin, step),
                          indexing="ij")
    return torch.stack([x, y], -1).reshape(-1, 2) + 0.3


def film(picture: torch.Tensor, places) -> torch.Tensor:
    """Frames of a picture [h, w, 3] of SIZE seen so that frame t shows at p what lies at places[t](p)."""
    y, x = torch.meshgrid(torch.arange(SIZE[0]) + 0.5, torch.arange(SIZE[1]) + 0.5, indexing="ij")
    size = torch.tensor([picture.shape[1], picture.shape[0]])
    grids = torch.stack([2 * place(torch.stack([x, y], -1)) / size - 1 for place in places])
    shown = grid_sample(picture.movedim(-1, 0).expand(len(places), -1, -1, -1), grids, mode="bicubic",
                        align_corners=False, padding_mode="reflection")
    return shown.movedim(1, -1).clamp(0, 1)


def exact_tracks(name: str, frames: int, points: torch.Tensor) -> Tracks:
    """Where the surfaces of a procedural scene at points [N, 2] of frame 0 move, by its geometry."""
    scene = make_scene(name)
    cameras = scene.source_cameras(frames, SIZE)
    shot, pixels = Shot(scene, cameras, 0), points.double().T
    depth, solid = shot.trace(pixels, shot.cast(pixels))
    solid = solid.clamp(min=0)
    world = torch.cat([shot.eye[:, None] + shot.cast(pixels) * depth, torch.ones(1, len(points))])
    unit = torch.einsum("nij,jn->in", shot.unit_from_world[solid], world)
    places, seen = [], []
    for t in range(frames):
        shot = Shot(scene, cameras, t)
        world = torch.einsum("nij,jn->in", shot.world_from_unit[solid], unit)
        image = shot.intrinsics @ (shot.cam_from_world @ world)[:3]
        places.append((image[:2] / image[2]).T.float())
        seen.append(shot.sees(world) & torch.isfinite(depth))
    return Tracks(torch.stack(places), torch.stack(seen))


@pytest.mark.parametrize("speed", [(0.0, 0.0), (1.37, -0.82), (-6.4, 3.1)])
def test_lk_follows_a_sliding_picture_within_half_a_pixel(speed):
    frames = film(texture((320, 384)), [lambda p, t=t: p + 60 + t * torch.tensor(speed) for t in range(12)])
    points = spread(SIZE, 40)
    tracks = track_lk(frames, points)
    true = points - torch.arange(12)[:, None, None] * torch.tensor(speed)
    away = ((true > 12) & (true < torch.tensor([SIZE[1], SIZE[0]]) - 12)).all(-1)
    assert tracks.visible[away].float().mean() > 0.95
    assert (tracks.points - true)[tracks.visible].norm(dim=-1).max() < 0.5


def test_lk_follows_turning_and_growing_within_half_a_pixel():
    center = torch.tensor([SIZE[1] / 2, SIZE[0] / 2])

    def matrix(t: int) -> torch.Tensor:
        angle, scale = 0.006 * t, 1.004**t
        return scale * torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])

    frames = film(texture((320, 384)), [lambda p, t=t: (p - center) @ matrix(t).T + center + 80 for t in range(12)])
    points = spread(SIZE, 40)
    tracks = track_lk(frames, points)
    true = torch.stack([(points - center) @ torch.linalg.inv(matrix(t)).T + center for t in range(12)])
    assert tracks.visible.float().mean() > 0.8
    assert (tracks.points - true)[tracks.visible].norm(dim=-1).max() < 0.5


@pytest.mark.parametrize("name", ["gallery", "garden", "street", "colonnade"])
def test_lk_follows_the_surfaces_of_a_scene(name):
    points = spread(SIZE, 16, 12)
    tracks, exact = track_lk(sample_clip(name, 9, SIZE)[0], points), exact_tracks(name, 9, points)
    both = tracks.visible & exact.visible
    error = (tracks.points - exact.points)[both].norm(dim=-1)
    assert both.sum() > 0.25 * exact.visible.sum()
    assert error.median() < 0.25 and (error < 0.5).float().mean() > 0.75


def test_lk_loses_what_a_curtain_covers():
    frames = film(texture((320, 384)), [lambda p: p + 40] * 10)
    curtain = texture(SIZE, seed=1)
    for t in range(10):
        frames[t, :, : 16 * t] = curtain[:, : 16 * t]
    points = spread(SIZE, 24)
    tracks = track_lk(frames, points)
    for t in range(10):
        covered, clear = points[:, 0] < 16 * t - 8, points[:, 0] > 16 * t + 16
        assert not tracks.visible[t, covered].any()
        assert tracks.visible[t, clear].sum() >= 0.95 * clear.sum()


def test_lk_loses_what_leaves_the_picture():
    frames = film(texture((320, 384)), [lambda p, t=t: p + torch.tensor([40.0 + 8 * t, 40]) for t in range(8)])
    points = torch.tensor([[20.3, 80.3], [120.3, 80.3]])
    tracks = track_lk(frames, points)
    assert tracks.visible[:, 1].all() and not tracks.visible[-1, 0] and tracks.visible[0, 0]
    assert inside(tracks.points[tracks.visible], SIZE).all()


def test_lk_starts_from_a_corner_near_each_point():
    picture = torch.full((320, 384, 3), 0.5)
    for top in range(0, 320, 40):
        for left in range(0, 384, 40):
            picture[top:top + 10, left:left + 10] = 0.1
    frames = film(picture, [lambda p, t=t: p + 60 + t * torch.tensor([1.0, -0.5]) for t in range(9)])
    points = torch.tensor([[52.3, 52.3], [92.3, 52.3], [92.3, 92.3]])  # where all is gray, 8 px from squares
    assert not track_lk(frames, points).visible[1:].any()
    tracks = load_tracker("lk")(frames, points)
    assert tracks.visible.all() and (tracks.points[0] - points).abs().max() <= SIZE[0] / 16 + 0.5
    true = tracks.points[0] - torch.arange(9)[:, None, None] * torch.tensor([1.0, -0.5])
    assert (tracks.points - true).norm(dim=-1).max() < 0.5


def test_a_blank_picture_holds_nothing_to_follow():
    tracks = track_lk(torch.full((3, *SIZE, 3), 0.5), spread(SIZE, 40))
    assert tracks.visible[0].all() and not tracks.visible[1:].any()
    assert torch.isfinite(tracks.points).all()


def test_one_frame_is_a_clip_too():
    points = spread(SIZE, 40)
    tracks = track_lk(texture(SIZE)[None], points)
    assert torch.allclose(tracks.points[0], points, atol=1e-5) and tracks.visible.all()


# ---- the models of others -----------------------------------------------------------------------


def test_a_tracker_says_what_it_misses(tmp_path):
    with pytest.raises(ValueError, match="'magic' is not a tracker; use lk, cotracker, tapnext"):
        load_tracker("magic")
    with pytest.raises(ValueError, match="cotracker needs a weights file"):
        load_tracker("cotracker")
    with pytest.raises(ValueError, match="there is no such file"):
        load_tracker("cotracker", tmp_path / "scaled_offline.pth")


def test_weights_that_would_run_code_are_refused(tmp_path):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "sprung"),)

    torch.save({"model": Trap()}, tmp_path / "trap.pth")
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(Trap(), protocol=2))
    for name in ("trap.pth", "plain.pth"):
        with pytest.raises(ValueError, match="cannot be read as a file of tensors alone"):
            load_tracker("cotracker", tmp_path / name)
    assert not (tmp_path / "sprung").exists()


def test_weights_of_another_model_are_named(tmp_path):
    torch.save({"linear.weight": torch.zeros(2, 2)}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match="is not a weights file of CoTracker3; use scaled_offline.pth or "
                                         "scaled_online.pth"):
        load_tracker("cotracker", tmp_path / "other.pth")


COTRACKER = os.environ.get("COTRACKER_PATH")  # a clone of its repository


@pytest.fixture(params=["offline", "online"])
def cotracker_weights(request, tmp_path, monkeypatch) -> Path:
    """A file of random weights with the layout of the released one, written by the real package."""
    if COTRACKER:
        monkeypatch.syspath_prepend(COTRACKER)
    build = pytest.importorskip("cotracker.models.build_cotracker", reason="CoTracker isn't installed").build_cotracker
    offline = request.param == "offline"
    torch.manual_seed(0)
    model = build(None, offline=offline, window_len=OFFLINE_WINDOW if offline else 16)
    path = tmp_path / f"scaled_{request.param}.pth"
    torch.save(model.state_dict(), path)
    return path


def test_cotracker_loads_and_runs(cotracker_weights):
    random_state = torch.get_rng_state()
    track = load_tracker("cotracker", cotracker_weights, Path(COTRACKER) if COTRACKER else None)
    count = 5 if "offline" in cotracker_weights.name else 17  # online goes window by window, so two of them
    frames, points = film(texture((320, 384)), [lambda p, t=t: p + 40 + t for t in range(count)]), spread(SIZE, 60, 60)
    told = []
    tracks = track(frames, points, lambda done, total: told.append((done, total)))
    assert len(told) > 1 and told == sorted(told) and {total for _, total in told} == {count}
    assert len(tracks) == count and torch.isfinite(tracks.points).all()
    if "offline" in cotracker_weights.name:  # what is asked for is given back where it was asked for
        assert (tracks.points[0] - points).abs().max() < 1e-3 and tracks.visible[0].all()
    assert torch.equal(torch.get_rng_state(), random_state)


def test_cotracker_weights_that_do_not_fit_are_named(cotracker_weights):
    state = torch.load(cotracker_weights, weights_only=True)
    del state["fnet.conv1.weight"]
    torch.save({"model": state}, cotracker_weights)
    with pytest.raises(ValueError, match=r"doesn't fit CoTracker.*fnet\.conv1\.weight"):
        load_tracker("cotracker", cotracker_weights, Path(COTRACKER) if COTRACKER else None)


TAPNET = os.environ.get("TAPNET_PATH")  # a clone of its repository


@pytest.fixture
def tapnext_weights(tmp_path, monkeypatch):
    """A wrapped file of drawn weights, whose head finds every point at row 64.5, column 128.5 of 256."""
    if TAPNET:
        monkeypatch.syspath_prepend(TAPNET)
    build = pytest.importorskip("tapnet.tapnext.tapnext_torch", reason="TAPNext isn't installed").TAPNext
    state, generator = build(image_size=TAPNEXT_SIZE).state_dict(), torch.Generator().manual_seed(0)
    for name, values in state.items():
        if name != "query_pos_embed":  # that is no weight; the weights may be anything, for memory is all they are
            values.normal_(0, 0.02, generator=generator)
    peaks = state["coordinate_head.6.bias"].zero_()
    peaks[[64, 256 + 128]] = 1000
    state["visible_head.6.bias"].fill_(1000)
    path = tmp_path / "tapnextpp_ckpt.pt"
    torch.save({"state_dict": {f"tapnext.{name}": values for name, values in state.items()}}, path)
    yield path
    path.unlink()  # 1 GB


def test_tapnext_loads_runs_and_speaks_of_rows_first(tapnext_weights, monkeypatch):
    from tapnet.tapnext.tapnext_torch import TAPNext

    asked, embed = [], TAPNext.embed_queries
    monkeypatch.setattr(TAPNext, "embed_queries",
                        lambda self, steps, queries: asked.append(queries) or embed(self, steps, queries))
    track = load_tracker("tapnext", tapnext_weights, Path(TAPNET) if TAPNET else None)
    frames, points = film(texture((320, 384)), [lambda p, t=t: p + 40 + t for t in range(3)]), spread(SIZE, 60, 60)
    tracks = track(frames, points)
    whole = torch.tensor([SIZE[1], SIZE[0]])
    assert torch.allclose(tracks.points, torch.tensor([128.5, 64.5]) / 256 * whole, atol=1e-3) and tracks.visible.all()
    assert [int(queries[0, 0, 0]) for queries in asked] == [0, -1, -2]  # how long ago each point was asked for
    assert all(torch.allclose(queries[0, :, 1:], (points / whole * 256).flip(-1)) for queries in asked)


@pytest.mark.parametrize("name, side", [
    ("tapnextpp_512.ckpt", 512), ("my-512px.pt", 512), ("tapnextpp_ckpt.pt", 256), ("bootstapnext_ckpt.npz", 256),
    ("tapnext_5120.pt", 256),
])
def test_every_tapnext_is_shown_pictures_of_the_size_its_name_says(name, side, monkeypatch, tmp_path):
    """Points stay in the 256 of its own count, whatever it is shown; the package is played by a stand-in."""
    shown, asked = [], []

    class TAPNext(torch.nn.Module):
        def __init__(self, image_size):
            super().__init__()
            assert image_size == (256, 256)

        def forward(self, picture, queries=None, state=None):
            shown.append(tuple(picture.shape))
            asked.append(queries)
            places = torch.tensor([[[[64.0, 128.0]]]])  # row, column
            return places, None, torch.ones(1, 1, 1, 1), "state"

    build, read = ModuleType("tapnet.tapnext.tapnext_torch"), ModuleType("tapnet.tapnext.tapnext_torch_utils")
    build.TAPNext, read.restore_model_from_jax_checkpoint = TAPNext, lambda model, path: None
    for module in (ModuleType("tapnet"), ModuleType("tapnet.tapnext"), build, read):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    torch.save({}, tmp_path / name)
    tracks = load_tracker("tapnext", tmp_path / name)(torch.rand(2, 60, 90, 3), torch.tensor([[45.0, 15.0]]))
    assert shown == [(1, 1, side, side, 3)] * 2
    assert asked[0].tolist() == [[[0.0, 64.0, 128.0]]] and asked[1] is None
    assert torch.allclose(tracks.points, torch.tensor([45.0, 15.0]))


def test_tapnext_weights_of_another_model_are_named(tmp_path, monkeypatch):
    if TAPNET:
        monkeypatch.syspath_prepend(TAPNET)
    pytest.importorskip("tapnet.tapnext.tapnext_torch", reason="TAPNext isn't installed")
    numpy.savez(tmp_path / "other.npz", weight=numpy.zeros(3))
    with pytest.raises(ValueError, match="not a weights file of TAPNext, because it lacks 'backbone/embedding/kernel'"):
        load_tracker("tapnext", tmp_path / "other.npz", Path(TAPNET) if TAPNET else None)
