"""What benchmarks/training_memory.py counts on paper is what tiny models of the same make hold."""

import pytest
import torch

from benchmarks import training_memory
from benchmarks.training_memory import COPIES, ControlledWan, FusedAttention, measure_controlnet, weight_bytes
from ex4d_ops import wan as seam
from ex4d_ops.training.clips import stack_clips
from headless.tiny_wan import draw_tiny_wan

from .test_training import make_clip

TINY = {"model_type": "i2v", "in_dim": 36, "dim": 256, "ffn_dim": 512, "num_heads": 2, "num_layers": 3}


@pytest.fixture(autouse=True)
def tiny(comfy, monkeypatch):
    seam.open_comfyui()
    monkeypatch.setattr(training_memory, "WAN_14B", TINY)
    with seam.differentiable():
        yield


@pytest.fixture
def fused(monkeypatch):
    """Attention that keeps what fused kernels keep, of tensors without values."""
    import comfy.ldm.wan.model

    monkeypatch.setattr(comfy.ldm.wan.model, "optimized_attention",
                        lambda query, key, value, *_, **__: FusedAttention.apply(query, key, value))


def controlled(copies: int) -> ControlledWan:
    return ControlledWan(seam.build_wan(draw_tiny_wan(), torch.float32), copies, torch.float32)


def test_a_computed_controlnet_is_as_large_as_a_real_one_and_keeps_as_much_of_every_block(fused):
    """So that what 40 blocks keep is told from one and two."""
    computed = {copies: measure_controlnet(torch.float32, copies, torch.float32) for copies in range(1, 4)}
    one, two, three = (parts["kept by 40 blocks"] for parts in computed.values())
    assert 0 < one < two < three and abs(three + one - 2 * two) < 1e-9
    copies, parts, real = 2, computed[2], controlled(2)
    block = sum(weight.numel() for weight in real.base.blocks[0].block.parameters())
    added = copies * (block + TINY["dim"] ** 2 + TINY["dim"])
    encoder = sum(weight.numel() for weight in real.encoder.parameters())
    frozen, trained = weight_bytes(real)
    assert trained == COPIES * 4 * (added + encoder)
    assert [parts["Wan"], parts["ControlNet, gradients, moments"]] == [frozen / 2**30, trained / 2**30]


def test_an_untrained_controlnet_changes_nothing_and_all_of_it_can_learn():
    clip = stack_clips([make_clip(0)], torch.device("cpu"))
    model, level = controlled(2), torch.tensor([0.5])
    for weight in model.encoder.latent_patch_embedding.parameters():
        torch.nn.init.zeros_(weight)
    noisy = torch.randn(clip["video_latent"].shape, generator=torch.Generator().manual_seed(0))
    given = torch.zeros(1, 4, *noisy.shape[2:])
    given[:, :, 0] = 1
    with torch.no_grad():
        plain = seam.build_wan(draw_tiny_wan(), torch.float32)(
            torch.cat([noisy, given, clip["image_latent"]], 1), level * 1000, clip["context"], clip["clip_fea"])
        assert torch.equal(model(noisy, level, clip), plain)
    for block in model.base.blocks[:2]:
        torch.nn.init.normal_(block.zero.weight, std=0.1)
    model(noisy, level, clip).square().mean().backward()
    trained = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    assert all(weight.grad is not None for weight in trained.values())
    assert {name.split(".")[3] for name in trained if name.startswith("base.")} == {"copy", "zero"}
