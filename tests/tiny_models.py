"""Small random models that ComfyUI takes for Wan's, as state dicts; ComfyUI's modules must be there to import."""

from __future__ import annotations

import io
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from .golden import recipe

Shapes = dict[str, tuple[int, ...]]
Weights = dict[str, Tensor]
WORDS = ("surround motion realistic tone panoramic shot wide angle view cinematic quality bright static blurred "
         "details style works paintings images worst low ugly extra fingers poorly drawn hands legs people").split()


def shapes_of(make: Callable[..., nn.Module], **settings) -> Shapes:
    """Keys and shapes of a network, without the memory for it."""
    import comfy.ops

    with torch.device("meta"):
        network = make(operations=comfy.ops.disable_weight_init, **settings)
    return {name: tuple(weight.shape) for name, weight in network.state_dict().items()}


def draw(kind: str, shapes: Shapes) -> Weights:
    """Weights that keep the size of what goes through them: norms are ones, biases zeros."""

    def weight(name: str, shape: tuple[int, ...]) -> Tensor:
        if "gamma" in name or "norm" in name and name.endswith("weight") and len(shape) == 1:
            return torch.ones(shape)
        if len(shape) < 2:
            return torch.zeros(shape)
        return recipe.draw(f"{kind}.{name}", shape) / math.prod(shape[1:]) ** 0.5

    return {name: weight(name, shape) for name, shape in shapes.items()}


def wan_shapes(kind: str = "i2v", **sizes) -> Shapes:
    """Of the golden Wan, or of one of other sizes or kind."""
    import comfy.ldm.wan.model

    golden = dict(dim=recipe.DIM, ffn_dim=recipe.FFN, num_heads=2, num_layers=recipe.BLOCKS,
                  in_dim=recipe.IN_CHANNELS, text_dim=4096)
    network = comfy.ldm.wan.model.VaceWanModel if kind == "vace" else comfy.ldm.wan.model.WanModel
    return shapes_of(network, model_type=kind, **golden | sizes)


def wan() -> Weights:
    return {name: recipe.wan_weight(name, shape) for name, shape in wan_shapes().items()}


def wan_expert() -> Weights:
    """Of Wan 2.2's image-to-video experts: without CLIP vision."""
    return {name: recipe.wan_weight(name, shape) for name, shape in wan_shapes("t2v").items()}


def wan_fp8() -> Weights:
    """As 8-bit files are: the layers of the blocks, and nothing else."""
    return {name: weight.to(torch.float8_e4m3fn) if name.startswith("blocks.") and weight.ndim == 2 else weight
            for name, weight in wan().items()}


def vace() -> Weights:
    return draw("vace", wan_shapes("vace", in_dim=16, vace_layers=1, vace_in_dim=96))


def vae(width: int = 8) -> Weights:
    """Wan's VAE with layers so wide."""
    import comfy.ldm.wan.vae

    with torch.device("meta"):
        network = comfy.ldm.wan.vae.WanVAE(dim=width, z_dim=16, dim_mult=[1, 2, 4, 4], num_res_blocks=2,
                                           attn_scales=[], temperal_downsample=[False, True, True], dropout=0.0)
    return draw("vae", {name: tuple(weight.shape) for name, weight in network.state_dict().items()})


def uni3c() -> Weights:
    import comfy.ldm.wan.uni3c

    return draw("uni3c", shapes_of(
        comfy.ldm.wan.uni3c.WanUni3CControlnet, conv_out_dim=recipe.DIM, dim=recipe.DIM, ffn_dim=64, num_layers=2,
        time_embed_dim=recipe.DIM, out_proj_dim=recipe.DIM, mid_channels=16))


def other_lora() -> Weights:
    """A LoRA of the usual form, on one layer of every block."""
    shapes = {f"diffusion_model.blocks.{block}.ffn.0.lora_{side}.weight": shape for block in range(recipe.BLOCKS)
              for side, shape in (("down", (4, recipe.DIM)), ("up", (recipe.FFN, 4)))}
    return draw("other_lora", shapes)


def umt5() -> Weights:
    """One layer of width 4096, with a tokenizer that knows a few words."""
    import sentencepiece

    model = io.BytesIO()
    sentences = [" ".join(WORDS[start:] + WORDS[:start]) for start in range(len(WORDS))]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(40 * sentences), model_writer=model, vocab_size=96, model_type="unigram", pad_id=0,
        eos_id=1, unk_id=2, bos_id=-1, hard_vocab_limit=False, minloglevel=2)
    width, heads, hidden = 4096, 2 * 64, 64
    block = "encoder.block.0.layer"
    shapes = {"shared.weight": (256, width), "encoder.final_layer_norm.weight": (width,),
              f"{block}.0.layer_norm.weight": (width,), f"{block}.1.layer_norm.weight": (width,),
              f"{block}.0.SelfAttention.relative_attention_bias.weight": (32, 2),
              **{f"{block}.0.SelfAttention.{name}.weight": (heads, width) for name in "qkv"},
              f"{block}.0.SelfAttention.o.weight": (width, heads),
              f"{block}.1.DenseReluDense.wi_0.weight": (hidden, width),
              f"{block}.1.DenseReluDense.wi_1.weight": (hidden, width),
              f"{block}.1.DenseReluDense.wo.weight": (width, hidden)}
    weights = draw("umt5", shapes)
    weights["shared.weight"] *= 32
    return weights | {"spiece_model": torch.frombuffer(bytearray(model.getvalue()), dtype=torch.uint8)}


def clip_vision() -> Weights:
    """Two layers of ViT-H, with a small inner width."""
    width, hidden = 1280, 64
    shapes = {"embeddings.class_embedding": (width,), "embeddings.patch_embedding.weight": (width, 3, 14, 14),
              "embeddings.position_embedding.weight": (257, width)}
    norms = ["pre_layrnorm", "post_layernorm"]
    for layer in range(2):
        here = f"encoder.layers.{layer}"
        norms += [f"{here}.layer_norm1", f"{here}.layer_norm2"]
        shapes |= {f"{here}.self_attn.{name}_proj.weight": (width, width) for name in ("q", "k", "v", "out")}
        shapes |= {f"{here}.self_attn.{name}_proj.bias": (width,) for name in ("q", "k", "v", "out")}
        shapes |= {f"{here}.mlp.fc1.weight": (hidden, width), f"{here}.mlp.fc1.bias": (hidden,),
                   f"{here}.mlp.fc2.weight": (width, hidden), f"{here}.mlp.fc2.bias": (width,)}
    weights = draw("clip_vision", shapes)
    weights |= {f"{norm}.weight": torch.ones(width) for norm in norms} | {f"{norm}.bias": torch.zeros(width)
                                                                          for norm in norms}
    return {f"vision_model.{name}": weight for name, weight in weights.items()} | draw(
        "clip_vision", {"visual_projection.weight": (1024, width)})
