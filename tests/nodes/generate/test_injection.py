"""What the adapter leaves behind, what it gets along with, and which frames of the prior a window sees."""

from __future__ import annotations

import gc

import pytest
import torch
from torch import Tensor

from ...golden import recipe

FRAMES = 13


def state(model) -> dict[str, Tensor]:
    return {name: weight.clone() for name, weight in model.model.state_dict().items()}


def hooks(model) -> int:
    return sum(len(layer._forward_hooks) + len(layer._forward_pre_hooks) for layer in model.model.modules())


def same_state(model, before: dict[str, Tensor]) -> bool:
    after = model.model.state_dict()
    return after.keys() == before.keys() and all(torch.equal(after[name], before[name]) for name in before)


def unload() -> None:
    import comfy.model_management

    comfy.model_management.unload_all_models()


# ---- nothing is left behind ---------------------------------------------------------------------


def test_the_base_model_is_bit_identical_after_unpatching(model, apply, wan, prior):
    before, alone = state(model), wan.sample(model, steps=2)
    wan.sample(apply(model, prior), steps=2)
    unload()
    assert same_state(model, before) and hooks(model) == 0
    assert torch.equal(wan.sample(model, steps=2), alone)


class Stop(Exception):
    pass


def test_an_exception_in_the_middle_of_sampling_leaves_nothing_behind(model, apply, wan, prior):
    def stop(step, *_):
        if step == 1:
            raise Stop

    before, adapted = state(model), apply(model, prior)
    whole = wan.sample(adapted, steps=4)
    with pytest.raises(Stop):
        wan.sample(adapted, steps=4, callback=stop)
    assert hooks(model) == 0 and "ex4d" not in adapted.model_options["transformer_options"]
    assert torch.equal(wan.sample(adapted, steps=4), whole)
    unload()
    assert same_state(model, before)


def test_an_exception_inside_the_network_leaves_no_hook(model, apply, wan, prior, monkeypatch):
    def stop(*_, **__):
        raise Stop

    with monkeypatch.context() as broken:
        broken.setattr(model.model.diffusion_model.blocks[1], "forward", stop)
        with pytest.raises(Stop):
            wan.sample(apply(model, prior), steps=2)
    assert hooks(model) == 0


def test_the_model_that_comes_in_and_the_prior_are_left_as_they_were(model, apply, wan, prior):
    before, latents = apply(model), prior.clone()
    alone = wan.forward(before)
    wan.sample(apply(before, prior, lora_strength=0.3), steps=2)
    assert not model.patches and not model.wrappers.get("diffusion_model")
    assert torch.equal(wan.forward(before), alone) and torch.equal(prior, latents)


# ---- applied again ------------------------------------------------------------------------------


def test_a_second_adapter_replaces_the_first(model, apply, wan, prior):
    once = wan.forward(apply(model, prior, lora_strength=0.7, prior_strength=0.4))
    again = apply(apply(model, -prior), prior, lora_strength=0.7, prior_strength=0.4)
    assert torch.equal(wan.forward(again), once)


def test_replacing_by_nothing_is_the_base_model(model, apply, wan, prior):
    alone, adapted = wan.forward(model), apply(model, prior)
    wan.forward(adapted)  # its weights are in memory when the next comes
    assert torch.equal(wan.forward(apply(adapted, lora_strength=0.0)), alone)


def test_replacing_leaves_the_loras_of_others(model, apply, wan, prior, other_lora):
    both = apply(other_lora(apply(model, prior)), prior, lora_strength=0.5)
    want = other_lora(apply(model, prior, lora_strength=0.5))
    assert (wan.forward(both) - wan.forward(want)).abs().max() <= 1e-5


# ---- the company it keeps -----------------------------------------------------------------------


@pytest.fixture
def other_lora():
    """Another LoRA, put on a model by ComfyUI's own loader."""
    import comfy.sd

    weights = {f"diffusion_model.blocks.1.self_attn.q.lora_{side}.weight":
               0.3 * torch.randn(shape, generator=torch.Generator().manual_seed(5)) / shape[1] ** 0.5
               for side, shape in (("A", (4, recipe.DIM)), ("B", (recipe.DIM, 4)))}
    return lambda model: comfy.sd.load_lora_for_models(model, None, weights, 1.0, 0.0)[0]


def test_loras_before_and_after_add_up_alike(model, apply, wan, prior, other_lora):
    before, after = wan.forward(apply(other_lora(model), prior)), wan.forward(other_lora(apply(model, prior)))
    assert (before - after).abs().max() <= 1e-5
    assert (before - wan.forward(apply(model, prior))).abs().max() > 1e-2


def easy_cache(model, threshold: float = 3.0):
    from comfy_extras.nodes_easycache import EasyCacheNode

    return EasyCacheNode.execute(model, threshold, 0.0, 1.0, False).result[0]


def skip_layer_guidance(model):
    from comfy_extras.nodes_slg import SkipLayerGuidanceDiT

    return SkipLayerGuidanceDiT.execute(model, 3.0, 0.0, 1.0, "1", "").result[0]


@pytest.mark.parametrize("other", [easy_cache, skip_layer_guidance])
def test_the_order_of_nodes_does_not_matter(model, apply, wan, prior, other):
    before, after = apply(other(model), prior), other(apply(model, prior))
    before, after = wan.sample(before, steps=6), wan.sample(after, steps=6)
    assert torch.equal(before, after)
    assert not torch.equal(before, wan.sample(apply(model, prior), steps=6))


def test_a_cache_that_reuses_nothing_changes_nothing(model, apply, wan, prior):
    cached = wan.sample(easy_cache(apply(model, prior), 0.0), steps=4)
    assert torch.equal(cached, wan.sample(apply(model, prior), steps=4))


def test_caches_that_replace_the_forward_pass_still_see_the_prior(model, apply, wan, prior, monkeypatch):
    """TeaCache puts a forward_orig of its own in the place of Wan's."""
    network = model.model.diffusion_model
    plain, own = wan.forward(apply(model, prior)), type(network).forward_orig
    monkeypatch.setattr(network, "forward_orig", lambda *args, **kwargs: own(network, *args, **kwargs))
    assert torch.equal(wan.forward(apply(model, prior)), plain)


def test_the_skipped_pass_of_slg_sees_the_prior_too(model, apply, wan, prior):
    seen = []
    embedding = model.model.diffusion_model.blocks[0].register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    wan.sample(skip_layer_guidance(apply(model, prior)), steps=1)
    embedding.remove()
    both_prompts, skipped = seen
    assert both_prompts.shape[0] == 2 and (both_prompts - skipped).abs().max() <= 1e-5


def test_compiling_changes_nothing_and_compiles_nothing_anew_with_every_step(model, apply, wan, prior):
    from comfy_api.torch_helpers import set_torch_compile_wrapper

    compiled = []

    def backend(graph, _):
        compiled.append(graph)
        return graph.forward

    torch._dynamo.reset()
    adapted = apply(model, prior)
    quick = adapted.clone()
    set_torch_compile_wrapper(quick, backend=backend)
    for steps in (2, 3):  # a schedule of another length is compiled anew once, with the adapter or without
        wan.sample(quick, steps)
    graphs = len(compiled)
    assert torch.equal(wan.sample(quick, steps=7), wan.sample(adapted, steps=7))
    assert len(compiled) == graphs > 0


def test_weights_that_stay_off_the_device_give_the_same(load_model, apply, wan, prior):
    whole = wan.forward(apply(load_model(), prior))
    adapted = apply(load_model(), prior)
    adapted.patch_model(lowvram_model_memory=1)  # as where the GPU has no room: the LoRA is added as weights are used
    assert adapted.model.model_lowvram and adapted.lowvram_patch_counter() > 0
    assert (wan.forward(adapted) - whole).abs().max() <= 1e-5


def test_several_latents_at_once_are_each_what_they_are_alone(model, apply, wan, prior):
    both = wan.sample(apply(model, prior), steps=3, batch=2)
    alone = wan.sample(apply(model, prior), steps=3)
    assert both.shape[0] == 2 and (both[:1] - alone).abs().max() <= 1e-4
    assert (both[1:] - alone).abs().max() > 0.1


# ---- when and how often -------------------------------------------------------------------------


@pytest.fixture
def shown(module, monkeypatch) -> list[tuple[int, float]]:
    """The frames of the prior that are added, in order."""
    frames: list[int] = []
    tokens_of = module("nodes.injection").PriorOfModel.tokens_of

    def note(self, frame, *rest):
        frames.append(frame)
        return tokens_of(self, frame, *rest)

    monkeypatch.setattr(module("nodes.injection").PriorOfModel, "tokens_of", note)
    return frames


@pytest.mark.parametrize("start, end, steps", [(0.0, 1.0, 10), (0.0, 0.0, 1), (0.0, 0.35, 4), (0.35, 1.0, 6),
                                               (0.35, 0.75, 4)])
def test_the_prior_acts_between_start_and_end(model, apply, wan, prior, shown, start, end, steps):
    wan.sample(apply(model, prior, start_percent=start, end_percent=end), steps=10)
    assert len(shown) == steps * prior.shape[2]


def test_start_and_end_hold_whatever_shift_is_set_later(model, apply, wan, prior, shown):
    from comfy_extras.nodes_model_advanced import ModelSamplingSD3

    wan.sample(apply(model, prior, end_percent=0.35), steps=10)  # which sets the shift after the adapter
    (shifted,) = ModelSamplingSD3().patch(model, 5.0)
    after = len(shown)
    wan.sample(apply(shifted, prior, end_percent=0.35), steps=10)
    assert len(shown) == 2 * after


@pytest.fixture
def encoded(module, monkeypatch) -> list[int]:
    """How many frames each run of the encoder was given."""
    runs: list[int] = []
    encoder = module("ex4d_ops.adapter").PriorEncoder
    forward = encoder.forward
    monkeypatch.setattr(encoder, "forward", lambda self, x: runs.append(x.shape[2]) or forward(self, x))
    return runs


def test_every_frame_is_encoded_once_per_sampling(model, apply, wan, prior, encoded):
    adapted = apply(model, prior)
    for samplings in (1, 2):
        wan.sample(adapted, steps=5)
        assert sum(encoded) == samplings * prior.shape[2]


def test_windows_encode_no_frame_twice(model, apply, wan, prior, encoded):
    windowed = in_windows(apply(model, prior.repeat(1, 1, 3, 1, 1)[:, :, :FRAMES]), 5, 2)
    wan.sample(windowed, steps=4, frames=FRAMES)
    assert sum(encoded) == FRAMES


def test_between_steps_the_prior_stays_off_the_device_and_goes_with_the_sampling(model, apply, wan, prior):
    def samplings() -> list:
        return [thing for thing in gc.get_objects() if type(thing).__name__ == "Sampling" and hasattr(thing, "tokens")]

    kept = []
    wan.sample(apply(model, prior), steps=2, callback=lambda *_: kept.append(
        [tokens.device.type for sampling in samplings() for tokens in sampling.tokens.values()]))
    assert kept == 2 * [["cpu"] * prior.shape[2]]
    assert not samplings()


# ---- windows ------------------------------------------------------------------------------------


def in_windows(model, length: int, overlap: int, schedule: str = "standard_static", fix: bool = True, **settings):
    from comfy_extras.nodes_context_windows import ContextWindowsManualNode

    options = dict(context_stride=1, closed_loop=False, fuse_method="pyramid", dim=2, freenoise=False) | settings
    windowed = ContextWindowsManualNode.execute(model, length, overlap, schedule, causal_window_fix=fix, **options)
    return windowed.result[0]


@pytest.fixture(scope="module")
def numbered_adapter(save_adapter_as) -> str:
    """An adapter without a LoRA to speak of, whose tokens are, in channel 0, the value of the prior."""
    weights = {name: torch.zeros(shape) for name, shape in recipe.adapter_shapes().items()}
    for layer in ("latent_encoder.0", "latent_encoder.2", "latent_encoder.4", "latent_patch_embedding"):
        weights[f"{layer}.weight"][0, 0, 0, 0, 0] = 1
    return save_adapter_as("numbered.ckpt", weights)


@pytest.fixture(scope="module")
def numbered_model(load_model, wan_weights):
    """A Wan whose tokens are, in channel 1, the value of its I2V image, and nothing else."""
    weights = dict(wan_weights)
    weights["patch_embedding.bias"] = torch.zeros_like(weights["patch_embedding.bias"])
    weights["patch_embedding.weight"] = torch.zeros_like(weights["patch_embedding.weight"])
    weights["patch_embedding.weight"][1, 20, 0, 0, 0] = 1
    return load_model(weights)


def numbered(channels: int) -> Tensor:
    """Latents whose every value is 100 times 1 + its frame's number, which SiLU leaves as it is."""
    return 100 * torch.arange(1.0, FRAMES + 1)[:, None, None].expand(1, channels, FRAMES, 8, 12).contiguous()


@pytest.mark.parametrize("fix", [True, False])
@pytest.mark.parametrize("schedule, stride", [("standard_static", 1), ("standard_uniform", 2), ("looped_uniform", 2)])
def test_each_window_sees_exactly_its_frames(numbered_model, numbered_adapter, apply, wan, fix, schedule, stride):
    seen = []
    hook = numbered_model.model.diffusion_model.blocks[0].register_forward_pre_hook(
        lambda _, inputs: seen.append(inputs[0][..., :2].reshape(2, -1, 24, 2)))  # [both prompts, t, h * w, channel]
    adapted = apply(numbered_model, numbered(32), numbered_adapter, lora_strength=0.0)
    wan.sample(in_windows(adapted, 5, 2, schedule, fix, context_stride=stride), steps=2, frames=FRAMES,
               image=numbered(16))
    hook.remove()
    own, of_prior = zip(*((tokens[..., 1], tokens[..., 0]) for tokens in seen))
    assert all((mine - priors).abs().max() <= 1e-2 for mine, priors in zip(own, of_prior))
    assert max(tokens.shape[1] for tokens in seen) == (6 if fix else 5)  # 6: with the frame before the window
    assert {int(value.round()) // 100 - 1 for tokens in own for value in tokens.unique()} == set(range(FRAMES))


def test_wans_own_window_node_shows_every_frame(model, apply, wan, prior, shown):
    from comfy_extras.nodes_context_windows import WanContextWindowsManualNode

    adapted = apply(model, prior.repeat(1, 1, 3, 1, 1)[:, :, :FRAMES])
    windowed = WanContextWindowsManualNode.execute(adapted, 17, 4, "standard_uniform", 1, False, "pyramid", True)
    wan.sample(windowed.result[0], steps=2, frames=FRAMES)
    assert set(shown) == set(range(FRAMES))


# ---- priors that don't fit ----------------------------------------------------------------------


@pytest.mark.parametrize("size, words", [((4, 8, 12), "13 frames of 96x64"), ((5, 8, 8), "17 frames of 64x64"),
                                         ((5, 12, 8), "17 frames of 64x96")])
def test_a_prior_of_another_size_or_length_is_refused_before_anything_is_loaded(
        model, apply, wan, size, words, monkeypatch):
    import comfy.model_management

    adapted = apply(model, torch.zeros(1, 32, *size))
    monkeypatch.setattr(comfy.model_management, "load_models_gpu", lambda *_, **__: pytest.fail("loaded"))
    with pytest.raises(ValueError, match=f"prior: it was made for {words}, but the latent is for 17 frames of 96x64;"):
        wan.sample(adapted, steps=1)


def test_a_prior_of_another_length_is_refused_in_windows_too(model, apply, wan, prior):
    sentence = "prior: it was made for 17 frames of 96x64, but the latent is for 49 frames of 96x64"
    with pytest.raises(ValueError, match=sentence):
        wan.sample(in_windows(apply(model, prior), 5, 2), steps=1, frames=FRAMES)


def test_windows_over_space_are_refused(model, apply, wan, prior):
    sentence = "prior: it was made for 17 frames of 96x64, but the latent is for 17 frames of 96x"
    with pytest.raises(ValueError, match=sentence):
        wan.sample(in_windows(apply(model, prior), 4, 2, dim=3), steps=1)


def test_a_call_without_a_sampler_checks_the_size_too(model, apply, wan):
    with pytest.raises(ValueError, match="prior: it was made for"):
        wan.forward(apply(model, torch.zeros(1, 32, 5, 8, 8)))
