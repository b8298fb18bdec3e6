"""What the library computes on a GPU without float64 is what it computes on the CPU, and it lies on that GPU."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from random import Random
from typing import get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from ex4d_ops import raster
from ex4d_ops.adapter import fit_prior
from ex4d_ops.background import make_background
from ex4d_ops.camera import check_rigid, move_to
from ex4d_ops.clip import Fit
from ex4d_ops.depth import depth_from_disparity_released, fill_invalid, fit_depth, make_video_depth, resize_depth
from ex4d_ops.estimators.clip_depth import steady_given_depth
from ex4d_ops.estimators.parallax import estimate_parallax
from ex4d_ops.inspection import inspect_mesh
from ex4d_ops.mesh import MeshRules, build_dw_mesh
from ex4d_ops.motion import find_motion
from ex4d_ops.plot import draw_depth, plot_path
from ex4d_ops.preflight import angles_around, coverage_map
from ex4d_ops.prior import RenderRules, erode, render_prior
from ex4d_ops.scene import SCENES, sample_clip
from ex4d_ops.simulate import crop_depth, crop_frames, draw_windows, rendering_mask, sweep_path
from ex4d_ops.trajectory import automatic_radius, editing, move_path, parse_moves, released_path
from ex4d_ops.trajectory.keyframes import keyframe_path, parse_keyframes
from ex4d_ops.trajectory.viewer import load3d_from_camera

from ..narrow_device import NARROW, NarrowTensor, narrow_device

FRAMES, DEPTH = sample_clip("colonnade", 5, (32, 48), seed=3)
MESH = build_dw_mesh(FRAMES, DEPTH)
BOUNDED = build_dw_mesh(FRAMES, DEPTH, MeshRules(hidden_reach=0.1))
PATH = move_path(parse_moves("orbit:yaw=25"), 5, automatic_radius(DEPTH), DEPTH.intrinsics, DEPTH.size)
PRIOR = render_prior(MESH, PATH)
KEYS = parse_keyframes('[{"frame": 0}, {"frame": 4, "yaw": 30}]', 5)
WINDOWS = draw_windows(5, (32, 48), torch.Generator().manual_seed(0))
FITS = get_args(Fit)
FLOWING = {  # name -> what is computed of the inputs named
    "make_video_depth": lambda depth: make_video_depth(depth.depth, depth.intrinsics[0], depth.world_from_cam),
    "released depth": lambda depth: depth_from_disparity_released(1 / depth.depth),
    "fill_invalid": lambda depth: fill_invalid(depth.depth),
    "check_rigid": lambda depth: check_rigid("world_from_cam", depth.world_from_cam),
    "resize_depth": lambda depth: resize_depth(depth, (24, 40)),
    **{f"fit_depth {fit}": lambda depth, fit=fit: fit_depth(depth, (32, 32), fit) for fit in FITS},
    **{f"mesh {rules}": lambda frames, depth, rules=rules: build_dw_mesh(frames, depth, rules)
       for rules in (MeshRules(), MeshRules(filter="boundary"), MeshRules(filter="gap"),
                     MeshRules(depth_jump=0.013, clamp=False))},
    "mesh by confidence": lambda frames, depth: build_dw_mesh(
        frames, replace(depth, confidence=depth.depth / 10), MeshRules(min_confidence=0.4)),
    "mesh of another lens in each frame": lambda frames, depth: build_dw_mesh(
        frames, replace(depth, intrinsics=depth.intrinsics * depth.depth.new_tensor([1, 2, 3, 4, 5])[:, None, None])),
    "inspect_mesh": lambda mesh: str(inspect_mesh(mesh, 0)),
    "vertices": lambda mesh: mesh.vertices(1),
    "visible_faces": lambda mesh: mesh.visible_faces(1),
    **{f"path {move}": lambda depth, move=move: move_path(parse_moves(move), 5, 2.0, depth.intrinsics, depth.size)
       for move in ("orbit:yaw=40,pitch=10", "dolly-zoom", "spiral+zoom:factor=1.2", "static")},
    "released_path": lambda depth: released_path("180", 5, automatic_radius(depth), depth.intrinsics[0], depth.size),
    "keyframe_path": lambda depth: keyframe_path(KEYS, 5, 2.0, depth.intrinsics, depth.size),
    "chain": lambda path: editing.chain([path, path]),
    "blend": lambda path: editing.blend(path, editing.reverse(path), path.source_frame / 4),
    "retime": lambda path: editing.retime(path, 9, [1, 0.2, 1], "cameras"),
    "fit": lambda path: editing.fit(path, 7),
    "ping_pong": lambda path: editing.ping_pong(path),
    "arrive": lambda path: editing.arrive(path, editing.fit(path, 1), 3),
    "scale_places": lambda path: editing.scale_places(path, 2.0),
    "lay_on": lambda path, depth: editing.lay_on(path, editing.scale_places(path, 0.5).cam_from_world.inverse()),
    "load3d_from_camera": lambda path: str(load3d_from_camera(path, 2, 1.0)),
    "render": lambda mesh, path: render_prior(mesh, path),
    "render faces": lambda mesh, path: render_prior(mesh, path, RenderRules("face", False, 3), "warp"),
    "render by torch": lambda mesh, path: render_prior(mesh, path, engine="torch"),
    **{f"rendering_mask {name}": lambda mesh, name=name: rendering_mask(mesh, sweep_path(mesh), surface=name)
       for name in ("watertight", "visible")},
    "rasterize": lambda mesh, path: raster.rasterize(mesh.depth[0], torch.ones(32, 48, 4).to(mesh.depth.device),
                                                     mesh.intrinsics[0], path.cam_from_world[3], path.intrinsics[3],
                                                     (24, 40)),
    "rasterize bounded": lambda bounded, path: raster.rasterize(
        bounded.depth[0], torch.ones(32, 48, 4).to(bounded.depth.device), bounded.intrinsics[0], path.cam_from_world[3],
        path.intrinsics[3], (24, 40), limits=bounded.limits(0)),
    "find_motion": lambda frames, depth: find_motion(frames, depth),
    "background": lambda bounded, path: render_prior(bounded, path, background=make_background(
        bounded, torch.zeros(5, 32, 48, dtype=torch.bool).to(bounded.depth.device))),
    "crops": lambda frames, depth: (crop_frames(frames, WINDOWS), crop_depth(depth, WINDOWS)),
    **{f"fit_prior {fit}": lambda prior, fit=fit: fit_prior(prior.color, prior.visible.float(), (48, 48), 5, fit=fit,
                                                            erosion="released") for fit in FITS},
    "erode": lambda prior: erode(prior.visible[2], 5),
    "scene": lambda path: SCENES["gallery"](Random(0)).render(editing.fit(path, 1)),
}
ON_THE_CPU = {  # what is made for the CPU of whatever lies anywhere
    "coverage_map": lambda mesh: coverage_map(mesh, angles_around(1.0, 0.5), angles_around(0.5, 0.5)),
    "plot_path": lambda path, mesh: plot_path(path, mesh),
    "draw_depth": lambda depth: draw_depth(depth.depth),
    "steady_given_depth": lambda frames, depth: steady_given_depth(frames, depth).depth,
    "parallax": lambda frames, depth: estimate_parallax(frames, depth.intrinsics[0]).values,
}
INPUTS = {"frames": FRAMES, "depth": DEPTH, "mesh": MESH, "bounded": BOUNDED, "path": PATH, "prior": PRIOR}


def parts_of(value) -> Iterator:
    """The tensors of a result, and what else it is made of."""
    if is_dataclass(value):
        value = tuple(getattr(value, field.name) for field in fields(value))
    if isinstance(value, (list, tuple)):
        for entry in value:
            yield from parts_of(entry)
    else:
        yield value


def compute(work, device: torch.device | None = None) -> list:
    names = work.__code__.co_varnames[:work.__code__.co_argcount - len(work.__defaults__ or ())]
    given = {name: INPUTS[name] for name in names}
    if device is not None:
        given = {name: value.to(device) if isinstance(value, torch.Tensor) else move_to(value, device)
                 for name, value in given.items()}
    return list(parts_of(work(**given)))


@pytest.mark.parametrize("name", [*FLOWING, *ON_THE_CPU])
def test_every_result_is_the_same_on_a_gpu_without_float64(name):
    work = {**FLOWING, **ON_THE_CPU}[name]
    with torch.inference_mode():
        expected = compute(work)
        with narrow_device():
            found = compute(work, NARROW)
        for part, cpu in zip(found, expected, strict=True):
            if isinstance(cpu, torch.Tensor):
                assert name in ON_THE_CPU or part.device == NARROW
                bound = 1e-4 if name == "parallax" else 0.0  # which torch 2.4 rounds otherwise here
                torch.testing.assert_close(part.cpu(), cpu, rtol=bound, atol=bound / 10, equal_nan=True)
            else:
                assert part == cpu


class Waits(TorchDispatchMode):
    """Counts how often numbers are asked for of tensors of a kind, usually those of the pretended GPU."""

    def __init__(self, kind: type = NarrowTensor) -> None:
        super().__init__()
        self.kind, self.count = kind, 0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        name, kwargs = operation._schema.name.split("::")[-1], kwargs or {}
        brings = name == "_to_copy" and torch.device(kwargs.get("device") or NARROW).type == "cpu"
        asks = name in ("_local_scalar_dense", "nonzero", "_linalg_check_errors")
        self.count += (brings or asks) and any(isinstance(value, self.kind) for value in args)
        return operation(*args, **kwargs)


@pytest.mark.parametrize("work", ["mesh", "prior"])
def test_a_gpu_is_waited_for_no_more_often_in_a_longer_clip(monkeypatch, work):
    drawn = raster.rasterize(MESH.depth[1], torch.ones(32, 48, 4), MESH.intrinsics[1], PATH.cam_from_world[1],
                             PATH.intrinsics[1], (32, 48))
    monkeypatch.setattr(raster, "drawing_device", lambda engine, device: NARROW)
    monkeypatch.setattr(raster, "choose_engine", lambda engine, device: "warp")
    monkeypatch.setattr(raster, "rasterize", lambda *scene: move_to(drawn, NARROW))  # engines are tested by themselves
    waited = []
    for count in (3, 5):
        frames, path = FRAMES[:count].clone(), editing.fit(PATH, count)
        depth = make_video_depth(DEPTH.depth[:count].clone(), DEPTH.intrinsics[:count], DEPTH.world_from_cam[:count])
        mesh = build_dw_mesh(frames, depth)
        with narrow_device():
            frames, depth, mesh, path = frames.to(NARROW), *(move_to(part, NARROW) for part in (depth, mesh, path))
            with Waits() as waits:
                build_dw_mesh(frames, depth) if work == "mesh" else render_prior(mesh, path)
        waited.append(waits.count)
    assert waited[0] == waited[1] > 0


def test_warp_asks_for_no_number_of_what_it_draws():
    """Where the numbers lie on a GPU it would have to wait for them."""
    with Waits(torch.Tensor) as asked:
        raster.rasterize(MESH.depth[1], torch.ones(32, 48, 4), MESH.intrinsics[1], PATH.cam_from_world[1],
                         PATH.intrinsics[1], (32, 48), "warp")
    assert asked.count == 0


def test_the_pretended_gpu_refuses_what_a_real_one_refuses():
    wide = torch.ones(2, dtype=torch.float64)
    with narrow_device():
        narrow = torch.ones(2).to(NARROW)
        for refused in (narrow.double, lambda: wide.to(NARROW), lambda: torch.zeros(2, device=NARROW, dtype=wide.dtype),
                        lambda: narrow.to("cpu", wide.dtype)):
            with pytest.raises(TypeError, match="float64"):
                refused()
        with pytest.raises(RuntimeError, match="same device"):
            narrow + torch.ones(2)
        with pytest.raises(RuntimeError, match="numpy"):
            narrow.numpy()


@given(st.integers(1, 31), st.integers(0, 2**31), st.integers(1, 40), st.integers(1, 40))
def test_every_erosion_is_opencv_s(kernel, seed, height, width):
    import cv2

    mask = torch.rand(height, width, generator=torch.Generator().manual_seed(seed)) > 0.1
    eroded = cv2.erode(mask.byte().numpy(), torch.ones(kernel, kernel, dtype=torch.uint8).numpy())
    assert torch.equal(erode(mask, kernel), torch.from_numpy(eroded).bool())
