"""Depth Anything 3 and MoGe as core runs them, with tiny random weights, feed depth, mesh and prior.

Random weights find no geometry worth looking at; what is tested is that the packets core makes today are understood.
"""

from pathlib import Path

import pytest
import torch

from ex4d_ops import files

from ..tiny_depth_models import save_depth_anything_3, save_moge

WORKED = 140  # longest side Depth Anything 3 works at here, pixels


@pytest.fixture(scope="module")
def models(server, comfy) -> Path:
    """The folder that Load Depth Anything 3 and Load MoGe Model look into."""
    folder = server.base / "models" / "geometry_estimation"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def da3(models) -> str:
    save_depth_anything_3(models / "tiny_da3.safetensors")
    return "tiny_da3.safetensors"


@pytest.fixture(scope="module")
def moge(models) -> str:
    save_moge(models / "tiny_moge.safetensors")
    return "tiny_moge.safetensors"


def make_prior(workflow, clip: str, geometry: list, frames: int) -> tuple[str, str]:
    """Geometry to depth, saved, and on to a prior, shown."""
    depth = workflow.add("EX4DDepthFromGeometry", geometry=geometry)
    saved = workflow.add("EX4DSaveDepth", depth=[depth, 0], filename_prefix="models/depth")
    mesh = workflow.add("BuildDWMesh", images=[clip, 0], depth=[depth, 0])
    path = workflow.add("CameraTrajectory", move="truck", frames=frames, scene=[depth, 0])
    prior = workflow.add("RenderDWMesh", mesh=[mesh, 0], cameras=[path, 0])
    return saved, workflow.add("PreviewImage", images=[prior, 0])


@pytest.mark.parametrize("pose_method", ["cam_dec", "mono"])
def test_depth_anything_3_becomes_a_prior(server, workflow, pictures, da3, pose_method):
    multiview = {"mode": "multiview", "mode__pose_method": pose_method} if pose_method != "mono" else {"mode": "mono"}
    clip = workflow.clip(width=56, height=40)
    model = workflow.add("LoadDA3Model", model_name=da3)
    geometry = workflow.add("DA3Inference", da3_model=[model, 0], image=[clip, 0], resolution=WORKED, **multiview)
    saved, shown = make_prior(workflow, clip, [geometry, 0], 5)
    outputs = server.run(workflow)
    assert pictures(outputs[shown]).shape == (5, 40, 56, 3)
    (file,) = server.files({saved: outputs[saved]})
    depth = files.read_depth(file)
    assert depth.size == (40, 56) and len(depth) == 5
    moved = (depth.world_from_cam - torch.eye(4)).abs().amax((1, 2))
    if pose_method == "mono":
        assert (moved == 0).all()
    else:
        assert moved[0] < 1e-6 and (moved[1:] > 0).all()
        assert torch.allclose(depth.intrinsics[:, :2, 2], torch.tensor([28.0, 20.0]), atol=1e-4)


def test_moge_becomes_a_prior_with_its_masked_part_as_sky(server, workflow, pictures, moge):
    clip = workflow.clip(frames=2, width=56, height=40)
    model = workflow.add("LoadMoGeModel", model_name=moge)
    geometry = workflow.add("MoGeInference", moge_model=[model, 0], image=[clip, 0], resolution_level=0,
                            fov_x_degrees=60.0)
    mask = workflow.add("PreviewImage", images=[workflow.add("MoGeRender", moge_geometry=[geometry, 0],
                                                             output="mask"), 0])
    saved, shown = make_prior(workflow, clip, [geometry, 0], 2)
    outputs = server.run(workflow)
    assert pictures(outputs[shown]).shape == (2, 40, 56, 3)
    (file,) = server.files({saved: outputs[saved]})
    depth = files.read_depth(file)
    masked = pictures(outputs[mask])[..., 0] < 0.5
    assert masked.any() and torch.equal(torch.isinf(depth.depth), masked)
    assert torch.allclose(depth.intrinsics[:, 0, 0], torch.tensor(28 / 3**-0.5), rtol=1e-3)
