"""Depth Anything 3 and MoGe as core runs them, with tiny random weights, feed depth, mesh and prior.

Random weights find no geometry worth looking at; what is tested is that the packets core makes today are understood.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ex4d_ops import files

WORKED = 140  # longest side Depth Anything 3 works at here, pixels


@pytest.fixture(scope="module")
def models(server, comfy) -> Path:
    """The folder that Load Depth Anything 3 and Load MoGe Model look into."""
    folder = server.base / "models" / "geometry_estimation"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def save_random(file: Path, net: torch.nn.Module, set_biases: Callable[[dict], None]) -> None:
    """Save random weights for a network, with some biases set so that it finds something."""
    from safetensors.torch import save_file

    generator, weights = torch.Generator().manual_seed(0), {}
    for name, tensor in net.state_dict().items():
        drawn = torch.randn(tensor.shape, generator=generator)
        scale = 0.1 if tensor.ndim <= 1 else tensor[0].numel() ** -0.5
        centre = 1.0 if tensor.ndim <= 1 and name.endswith(("weight", "lambda1")) else 0.0
        weights[name] = tensor if "image_" in name else (centre + scale * drawn).half().contiguous()
    set_biases(weights)
    save_file(weights, file)


@pytest.fixture(scope="module")
def da3(models) -> str:
    """A Depth Anything 3 Small with a narrow head: 12 layers of 384 are the least that core knows."""
    import comfy.ops
    from comfy.ldm.depth_anything_3.model import DepthAnything3Net

    net = DepthAnything3Net(
        backbone_name="vits", out_layers=[5, 7, 9, 11], alt_start=4, qknorm_start=4, rope_start=4, cat_token=True,
        head_type="dualdpt", head_dim_in=768, head_output_dim=2, head_features=16, head_out_channels=(16, 16, 16, 16),
        head_use_sky_head=False, has_cam_dec=True, dtype=torch.float32, device="cpu", operations=comfy.ops.manual_cast)
    save_random(models / "tiny_da3.safetensors", net, lambda weights: weights["cam_dec.fc_fov.0.bias"].fill_(1.0))
    return "tiny_da3.safetensors"


@pytest.fixture(scope="module")
def moge(models) -> str:
    """A MoGe 2 with four layers of 64."""
    from comfy.ldm.moge.model import MoGeModelV2

    def stack(first: int, others: int, out: int | None) -> dict:
        return {"dim_in": [first] + [others] * 4, "dim_res_blocks": [8] * 5, "dim_out": [None] * 4 + [out],
                "resamplers": ["bilinear"] * 4, "num_res_blocks": [1] * 5, "res_block_in_norm": "none",
                "res_block_hidden_norm": "none"}

    backbone = {"hidden_size": 64, "num_attention_heads": 1, "num_hidden_layers": 4, "layer_norm_eps": 1e-6,
                "use_swiglu_ffn": False}
    net = MoGeModelV2(encoder={"backbone": backbone, "intermediate_layers": [0, 1, 2, 3], "dim_out": 16},
                      neck=stack(18, 2, None), points_head=stack(8, 8, 3), mask_head=stack(8, 8, 1),
                      normal_head=stack(8, 8, 3), scale_head={"dims": [64, 64, 1]}, dtype=torch.float32, device="cpu")
    save_random(models / "tiny_moge.safetensors", net, lambda weights: None)
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
