"""The adapter on ComfyUI's Wan computes what the released model computes: one call, the whole sampling, every type."""

import pytest
import torch

from ...golden.recipe import adapter_weights, golden

CASES = {  # golden: settings of the node, contexts of the call
    "base": (None, ("context",)),
    "lora_only": ({"prior_strength": 0.0}, ("context",)),
    "prior_only": ({"lora_strength": 0.0}, ("context",)),
    "lora_and_prior": ({}, ("context",)),
    "lora_and_prior_negative": ({}, ("context_negative",)),
}


def error(got: torch.Tensor, want: torch.Tensor) -> float:
    return float((got - want).abs().max())


def relative_error(got: torch.Tensor, want: torch.Tensor) -> float:
    """The largest error as a share of the largest value."""
    return error(got, want) / float(want.abs().max())


# ---- float32 ------------------------------------------------------------------------------------


def test_prior_tokens_are_the_released_ones(module, adapter_file, prior, hold):
    adapter = module("nodes.adapter")
    _, encoder = adapter.load(*adapter.identify(adapter.find_adapter(adapter_file)))
    hold("prior tokens", 1e-6, error(encoder.model(prior), golden("prior_tokens")))


@pytest.mark.parametrize("name", CASES)
def test_one_call_is_the_released_one(model, apply, wan, prior, hold, exact_timesteps, name):
    settings, contexts = CASES[name]
    model = model if settings is None else apply(model, prior, **settings)
    hold(f"one call, {name}", 1e-5, error(wan.forward(model, contexts), golden(name)))


def test_timesteps_in_float32_cost_no_more_than_rounding(model, apply, wan, prior, hold):
    models = {name: model if settings is None else apply(model, prior, **settings)
              for name, (settings, _) in CASES.items()}
    worst = max(relative_error(wan.forward(models[name], CASES[name][1]), golden(name)) for name in CASES)
    hold("one call, each of these, as ComfyUI embeds timesteps, of the largest value", 1e-5, worst)


def test_both_prompts_in_one_batch_are_the_released_ones(model, apply, wan, prior, hold, exact_timesteps):
    both = wan.forward(apply(model, prior), ("context", "context_negative"))
    want = torch.cat([golden("lora_and_prior"), golden("lora_and_prior_negative")])
    hold("one call, both prompts batched", 1e-5, error(both, want))


def test_sampling_from_noise_to_latents_is_the_released_one(model, apply, wan, prior, hold):
    sampled = wan.sample(apply(model, prior))
    hold("25 steps, CFG 5, end to end, of the largest value", 1e-5,
         relative_error(sampled, golden("sampled_25_steps")))


def test_the_schedule_is_the_released_one(model):
    import comfy.samplers
    from comfy_extras.nodes_model_advanced import ModelSamplingSD3

    (shifted,) = ModelSamplingSD3().patch(model, 5.0)
    sigmas = comfy.samplers.calculate_sigmas(shifted.get_model_object("model_sampling"), "simple", 25)
    assert (sigmas[:25] - golden("sigmas")).abs().max() <= 1e-6


# ---- nothing where nothing is asked -------------------------------------------------------------


def test_strength_zero_is_no_adapter_bit_for_bit(model, apply, wan, prior):
    off = apply(model, prior, lora_strength=0.0, prior_strength=0.0)
    assert torch.equal(wan.forward(off), wan.forward(model))
    assert torch.equal(wan.sample(off, steps=2), wan.sample(model, steps=2))


def test_an_adapter_without_a_prior_is_its_lora(model, apply, wan, exact_timesteps):
    assert error(wan.forward(apply(model)), golden("lora_only")) <= 1e-5


@pytest.mark.parametrize("strength", [-0.5, 0.3, 2.0])
def test_the_prior_is_added_as_strongly_as_asked(model, apply, wan, prior, strength):
    seen = []
    hook = model.model.diffusion_model.blocks[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    for prior_strength in (0.0, strength):
        wan.forward(apply(model, prior, prior_strength=prior_strength))
    hook.remove()
    added = golden("prior_tokens").flatten(2).mT * strength
    assert error(seen[1] - seen[0], added) <= 1e-5


@pytest.mark.parametrize("strength", [-0.5, 0.3, 2.0])
def test_the_lora_is_as_strong_as_asked(load_model, apply, wan, strength, wan_weights):
    lora, merged = adapter_weights(), dict(wan_weights)
    for name in [name for name in lora if ".lora_A." in name]:
        weight = name.replace(".lora_A.default", "")
        merged[weight] = merged[weight] + strength * lora[name.replace("lora_A", "lora_B")] @ lora[name]
    patched = wan.forward(apply(load_model(), lora_strength=strength))
    assert relative_error(patched, wan.forward(load_model(merged))) <= 1e-5


# ---- other precisions ---------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float8_e4m3fn])
def test_coarser_weights_cost_what_they_cost_the_base_model(load_model, cost_of, hold, dtype):
    alone, adapted = cost_of(load_model(dtype=dtype))
    assert alone > 0
    hold(f"error in {dtype} with the adapter, as a multiple of the base model's", 1.5, adapted / alone)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_coarser_adapters_cost_no_more_than_their_rounding(load_model, apply, save_adapter_as, wan, prior, dtype):
    coarse = save_adapter_as(f"{dtype}.ckpt", {name: weight.to(dtype) for name, weight in adapter_weights().items()})
    off = relative_error(wan.forward(apply(load_model(), prior, coarse)), wan.forward(apply(load_model(), prior)))
    assert 0 < off <= 8 * torch.finfo(dtype).eps
