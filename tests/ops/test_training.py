"""Laws of training: what is trained, what it minimises, and that no stop leaves a trace."""

import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ex4d_ops import wan as seam
from ex4d_ops.checkpoint import load_adapter
from ex4d_ops.training import AdaptedWan, TrainingRules, adapter_file, plot_losses, train
from ex4d_ops.training.clips import stack_clips
from ex4d_ops.training.loop import check_sharing
from ex4d_ops.training.objective import (
    LEVELS,
    clip_of_sample,
    draw_noise,
    flow_loss,
    level_weights,
    mix,
    noise_levels,
)
from ex4d_ops.training.record import RunState, load_run
from ex4d_ops.training.validation import Validation, sample_video, validation_loss
from headless.tiny_wan import draw_tiny_wan

from ..golden import recipe

pytest.importorskip("peft", reason="needs the packages of the extra `train`")
pytest.importorskip("accelerate", reason="needs the packages of the extra `train`")
CPU = torch.device("cpu")
QUICK = TrainingRules(steps=4, hidden_channels=8, rank=4, learning_rate=1e-3, save_every=2, tensorboard=False)


@pytest.fixture(scope="module", autouse=True)
def comfyui():
    """ComfyUI's Wan, able to be trained; without it there is nothing to test."""
    try:
        seam.open_comfyui()
    except ValueError:
        pytest.skip("needs ComfyUI")
    with seam.differentiable():
        yield


@pytest.fixture(scope="module")
def tiny() -> dict[str, torch.Tensor]:
    return draw_tiny_wan()


def golden_wan(**options) -> AdaptedWan:
    """The Wan that the released code's answers are of, untrained."""
    weights = {name: recipe.wan_weight(name, tuple(weight.shape)) for name, weight in draw_tiny_wan().items()}
    return AdaptedWan(seam.build_wan(weights, torch.float32), recipe.RANK, recipe.HIDDEN, **options)


def released(adapted: AdaptedWan) -> AdaptedWan:
    """The same, with the adapter that the released code's answers are of."""
    with torch.no_grad():
        for name, weight in adapted.trained().items():
            weight.copy_(recipe.adapter_weights()[name])
    return adapted


def make_clip(seed: int, frames: int = 3, side: int = 4) -> dict[str, torch.Tensor]:
    """A clip as it is prepared, of smooth latents, of which the prior shows about two thirds."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(1, 16, frames, 2, 2, generator=generator)
    video = torch.nn.functional.interpolate(coarse, (frames, side, side), mode="trilinear")[0]
    visible = (torch.rand(1, frames, side, side, generator=generator) > 0.3).float()
    return {"video_latent": video,
            "prior_latent": torch.cat([video * visible, (2 * visible - 1).expand(16, -1, -1, -1)]),
            "image_latent": torch.cat([video[:, :1], torch.zeros_like(video[:, 1:])], 1),
            "context": torch.randn(6, 4096, generator=generator), "clip_fea": torch.randn(3, 1280, generator=generator)}


CLIPS = [make_clip(seed) for seed in range(3)]


def run(tiny, folder: Path, rules: TrainingRules = QUICK, clips=CLIPS, dtype=torch.float32, **options) -> RunState:
    return train(seam.build_wan(tiny, dtype), clips, folder, rules, cpu=True, **options)


def same_state(first: RunState, second: RunState) -> bool:
    """Whether two runs stand at the same place to the last bit."""
    return first.losses == second.losses and all(
        torch.equal(first.weights[name], second.weights[name])
        and all(torch.equal(first.moments[name][key], second.moments[name][key]) for key in first.moments[name])
        and (not first.average or torch.equal(first.average[name], second.average[name])) for name in first.weights)


# ---- the model ----------------------------------------------------------------------------------


def test_velocity_is_the_released_one():
    inputs = recipe.inputs()
    with torch.no_grad():
        velocity = released(golden_wan())(inputs["x"], inputs["timestep"] / 1000, inputs)
    assert (velocity - recipe.golden("lora_and_prior")).abs().max() < 2e-5


def test_an_untrained_adapter_changes_no_bit_of_the_prediction(tiny):
    clip, noisy = stack_clips(CLIPS[:2], CPU), torch.randn(2, 16, 3, 4, 4)
    given = torch.zeros(2, 4, 3, 4, 4)
    given[:, :, 0] = 1
    with torch.no_grad():
        base = seam.build_wan(tiny, torch.float32)(torch.cat([noisy, given, clip["image_latent"]], 1),
                                                   torch.tensor([700.0, 300.0]), clip["context"], clip["clip_fea"])
        adapted = AdaptedWan(seam.build_wan(tiny, torch.float32), hidden_channels=8)
        assert torch.equal(adapted(noisy, torch.tensor([0.7, 0.3]), clip), base)


def test_gradients_reach_exactly_the_released_tensors():
    adapted, inputs = released(golden_wan()), recipe.inputs()
    adapted(inputs["x"], inputs["timestep"] / 1000, inputs).square().mean().backward()
    reached = {name: weight.grad for name, weight in adapted.named_parameters() if weight.grad is not None}
    assert {name.removeprefix("base.").removeprefix("encoder.") for name in reached} == set(recipe.adapter_shapes())
    assert all(grad.abs().max() > 0 for grad in reached.values())
    assert {name: tuple(weight.shape) for name, weight in adapted.trained().items()} == recipe.adapter_shapes()


def test_recomputed_blocks_have_the_gradients_of_kept_ones():
    inputs, gradients = recipe.inputs(), []
    for recompute in (True, False):
        adapted = released(golden_wan(recompute=recompute))
        adapted(inputs["x"], inputs["timestep"] / 1000, inputs).square().mean().backward()
        gradients.append({name: weight.grad for name, weight in adapted.trained().items()})
    for name, grad in gradients[0].items():
        assert (grad - gradients[1][name]).abs().max() <= 1e-6 * grad.abs().max(), name


@pytest.mark.parametrize("dtype, computed", [(torch.bfloat16, torch.bfloat16), (torch.float8_e4m3fn, torch.bfloat16)])
def test_the_adapter_stays_float32_on_a_smaller_base(tiny, dtype, computed):
    adapted = AdaptedWan(seam.build_wan(tiny, dtype), hidden_channels=8)
    assert adapted.dtype == computed
    assert {weight.dtype for weight in adapted.trained().values()} == {torch.float32}
    assert adapted.base.blocks[1].ffn[0].base_layer.weight.dtype == dtype
    loss = adapted(torch.randn(1, 16, 3, 4, 4), torch.tensor([0.5]), stack_clips(CLIPS[:1], CPU)).square().mean()
    loss.backward()
    assert all(torch.isfinite(weight.grad).all() for weight in adapted.trained().values())


def test_weights_of_something_else_are_refused(tiny):
    with pytest.raises(ValueError, match="is not a Wan 2.1 image-to-video"):
        seam.build_wan({"some.weight": torch.zeros(3)}, torch.float32)
    text = {name: weight[:, :16] if name == "patch_embedding.weight" else weight for name, weight in tiny.items()
            if "img" not in name}
    with pytest.raises(ValueError, match="is not a Wan 2.1 image-to-video"):
        seam.build_wan(text, torch.float32)
    with pytest.raises(ValueError, match="does not fit ComfyUI's Wan"):
        seam.build_wan({**tiny, "blocks.0.ffn.0.scale_weight": torch.ones(())}, torch.float32)


# ---- the objective ------------------------------------------------------------------------------


def test_levels_and_weights_equal_those_worked_out_by_hand():
    levels = noise_levels(5.0)
    assert len(levels) == LEVELS and levels[0] == 1
    assert levels[500] == pytest.approx(5 / 6)  # 5 s / (1 + 4 s) at s = 1/2
    assert levels[999] == pytest.approx(0.005 / 1.004)
    weights = level_weights(levels, "velocity")
    bell = [math.exp(-2 * (float(level) - 0.5) ** 2) for level in levels]
    assert float(weights.mean()) == pytest.approx(1) and weights[0] == 0
    assert float(weights[500] / weights[800]) == pytest.approx((bell[500] - bell[0]) / (bell[800] - bell[0]), rel=1e-4)


def test_loss_equals_one_worked_out_by_hand():
    video, noise = torch.tensor([[[1.0, 2.0]], [[0.0, 1.0]]]), torch.tensor([[[3.0, 1.0]], [[1.0, 1.0]]])
    velocity = torch.tensor([[[1.0, 0.0]], [[0.0, 2.0]]])  # right ones: (2, -1) and (1, 0)
    loss = flow_loss(velocity, video, noise, torch.tensor([0.5, 2.0]))
    assert loss == pytest.approx((0.5 * (1 + 1) / 2 + 2.0 * (1 + 4) / 2) / 2)
    assert torch.equal(mix(video, noise, torch.tensor([0.25, 1.0])), torch.tensor([[[1.5, 1.75]], [[1.0, 1.0]]]))


@given(st.floats(0, 1), st.integers(0, 10**6))
@settings(max_examples=50, deadline=None)
def test_the_noise_objective_is_the_error_of_the_noise_that_a_velocity_tells(level, seed):
    generator = torch.Generator().manual_seed(seed)
    video, noise, velocity = torch.randn(3, 1, 5, dtype=torch.float64, generator=generator)
    level = torch.tensor([level], dtype=torch.float64)
    told = mix(video, noise, level) + (1 - level) * velocity
    weighted = flow_loss(velocity, video, noise, level_weights(level, "noise"))
    assert weighted == pytest.approx(float((told - noise).square().mean()), abs=1e-12)


@pytest.mark.parametrize("objective", ["velocity", "noise"])
def test_the_first_loss_of_a_run_is_the_base_s_own(tiny, tmp_path, objective):
    rules = TrainingRules(steps=1, hidden_channels=8, objective=objective, tensorboard=False)
    state = run(tiny, tmp_path, rules)
    place, noise = draw_noise((16, 3, 4, 4), rules.seed, sample=0)
    level = noise_levels(rules.shift)[place]
    batch = stack_clips([CLIPS[clip_of_sample(0, len(CLIPS), rules.seed)]], CPU)
    video = batch["video_latent"]
    given = torch.zeros(1, 4, 3, 4, 4)
    given[:, :, 0] = 1
    noisy = (1 - level) * video + level * noise
    with torch.no_grad():
        velocity = seam.build_wan(tiny, torch.float32)(torch.cat([noisy, given, batch["image_latent"]], 1),
                                                       1000 * level[None], batch["context"], batch["clip_fea"])
    error = (velocity - (noise - video)).square().mean()
    weight = level_weights(noise_levels(rules.shift), objective)[place]
    assert state.losses[0] == pytest.approx(float(weight * error), rel=1e-5)


@given(st.integers(1, 40), st.integers(0, 5), st.integers(0, 2**32))
@settings(max_examples=30, deadline=None)
def test_every_clip_comes_once_before_any_comes_again(clips, epoch, seed):
    shown = [clip_of_sample(sample, clips, seed) for sample in range(epoch * clips, (epoch + 1) * clips)]
    assert sorted(shown) == list(range(clips))


def test_levels_are_drawn_evenly():
    places = torch.tensor([draw_noise((1,), 0, sample)[0] for sample in range(4000)])
    counts = torch.histc(places.float(), 8, 0, LEVELS)
    assert (counts - 500).abs().max() < 5 * math.sqrt(500)


# ---- sampling -----------------------------------------------------------------------------------


def test_sampled_video_is_the_released_one():
    inputs, adapted = recipe.inputs(), released(golden_wan())

    def guided(noisy, level, clip):
        with_prompt, without = (adapted(noisy, level, {**clip, "context": clip[name]})
                                for name in ("context", "context_negative"))
        return without + 5 * (with_prompt - without)

    noise = torch.randn(1, 16, 5, 8, 12, generator=torch.Generator().manual_seed(recipe.SEED))
    video = sample_video(guided, inputs, noise, steps=25, shift=5.0)
    assert (video - recipe.golden("sampled_25_steps")).abs().max() < 1e-4


# ---- a run --------------------------------------------------------------------------------------


def test_a_run_leaves_an_adapter_that_loads(tiny, tmp_path):
    state = run(tiny, tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {"ex4d-000002.ckpt", "ex4d-000004.ckpt", "state.pt",
                                                          "loss.png"}
    stored = torch.load(adapter_file(tmp_path, 4), weights_only=True)
    assert set(stored) == set(recipe.adapter_shapes(hidden=8, rank=4))
    adapter = load_adapter(adapter_file(tmp_path, 4))
    adapter.check_base(256, 512, 3)
    assert adapter.rank == adapter.alpha == 4
    assert torch.equal(adapter.lora["blocks.2.ffn.2.lora_B"], state.weights["blocks.2.ffn.2.lora_B.default.weight"])
    assert adapter.lora["blocks.2.ffn.2.lora_B"].abs().max() > 0


@pytest.mark.parametrize("stop", [1, 2, 3])
def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(tiny, tmp_path, stop):
    rules = TrainingRules(**vars(QUICK) | {"accumulation": 2, "ema": 0.5})

    def interrupt(losses, steps):
        if len(losses) == stop:
            raise KeyboardInterrupt

    straight = run(tiny, tmp_path / "straight", rules)
    with pytest.raises(KeyboardInterrupt):
        run(tiny, tmp_path / "stopped", rules, watch=interrupt)
    assert load_run(tmp_path / "stopped", rules.fixed() | {"processes": 1, "clips": 3}).step == stop
    resumed = run(tiny, tmp_path / "stopped", rules)
    assert same_state(straight, resumed)
    assert adapter_file(tmp_path / "stopped", 4).read_bytes() == adapter_file(tmp_path / "straight", 4).read_bytes()


def test_a_finished_run_goes_on_where_more_steps_are_asked_for(tiny, tmp_path):
    run(tiny, tmp_path / "two", TrainingRules(**vars(QUICK) | {"steps": 2}))
    assert same_state(run(tiny, tmp_path / "two"), run(tiny, tmp_path / "four"))


def test_the_average_is_what_is_saved(tiny, tmp_path):
    rules = TrainingRules(**vars(QUICK) | {"ema": 0.5, "steps": 2})
    first = run(tiny, tmp_path, TrainingRules(**vars(rules) | {"steps": 1})).weights
    first = {name: weight.clone() for name, weight in first.items()}
    state = run(tiny, tmp_path, rules)
    begun = AdaptedWan(seam.build_wan(tiny, torch.float32), 4, 8).trained()
    name = "blocks.1.self_attn.q.lora_B.default.weight"
    expected = 0.25 * begun[name] + 0.25 * first[name] + 0.5 * state.weights[name]
    assert (torch.load(adapter_file(tmp_path, 2), weights_only=True)[name] - expected).abs().max() < 1e-7


def test_accumulated_batches_equal_one_large_batch(tiny, tmp_path):
    clips = [CLIPS[0]] * 3
    one = run(tiny, tmp_path / "one", TrainingRules(**vars(QUICK) | {"batch": 2}), clips)
    two = run(tiny, tmp_path / "two", TrainingRules(**vars(QUICK) | {"accumulation": 2}), clips)
    assert one.losses == pytest.approx(two.losses, rel=1e-4)


def test_another_run_is_not_gone_on_with(tiny, tmp_path):
    run(tiny, tmp_path)
    with pytest.raises(ValueError, match="learning_rate was 0.001, now it is 0.01"):
        run(tiny, tmp_path, TrainingRules(**vars(QUICK) | {"learning_rate": 1e-2}))
    with pytest.raises(ValueError, match="clips was 3, now it is 2"):
        run(tiny, tmp_path, clips=CLIPS[:2])
    (tmp_path / "state.pt").write_bytes((tmp_path / "state.pt").read_bytes()[:1000])
    with pytest.raises(ValueError, match="state.pt: cannot be read"):
        run(tiny, tmp_path)


def test_clips_that_cannot_be_trained_on_are_refused(tiny, tmp_path):
    with pytest.raises(ValueError, match="the clips lack video_latent, prior_latent"):
        run(tiny, tmp_path, clips=[{"video": torch.zeros(5, 8, 8, 3)}])
    with pytest.raises(ValueError, match="use batch 1 and accumulation 2"):
        run(tiny, tmp_path, TrainingRules(**vars(QUICK) | {"batch": 2}), [CLIPS[0], make_clip(5, side=6)])


@pytest.mark.parametrize("processes, kind, sentence", [
    (1, "NO", "2 processes were launched, .* set ACCELERATE_USE_CPU=true"),
    (2, "DEEPSPEED", "accelerate is set to DEEPSPEED, .* use DDP, or FSDP with fsdp_version 2"),
    (2, "FSDP", "accelerate is set to FSDP, .* use DDP, or FSDP with fsdp_version 2")])
def test_processes_that_cannot_share_the_work_exactly_are_refused(monkeypatch, processes, kind, sentence):
    from accelerate import DistributedType

    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match=sentence):
        check_sharing(SimpleNamespace(num_processes=processes, distributed_type=DistributedType[kind], is_fsdp2=False))


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_what_was_good(tiny, tmp_path):
    class Breaking(list):
        shown = 0  # one to be checked, then one a step

        def __getitem__(self, index):
            self.shown += 1
            clip = super().__getitem__(index)
            return clip if self.shown < 5 else {**clip, "video_latent": clip["video_latent"] * math.nan}

    with pytest.raises(ValueError, match="step 4: the loss is nan"):
        run(tiny, tmp_path, clips=Breaking(CLIPS))
    state = load_run(tmp_path, QUICK.fixed() | {"processes": 1, "clips": 3})
    assert state.step == 3 and all(torch.isfinite(weight).all() for weight in state.weights.values())


def test_an_error_inside_a_step_saves_nothing(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(torch, "_foreach_lerp_", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(tiny, tmp_path, TrainingRules(**vars(QUICK) | {"ema": 0.5}))
    assert not (tmp_path / "state.pt").exists()


def test_an_adapter_overfits_one_clip_ten_times_over(tiny, tmp_path):
    clip = make_clip(7, side=8)
    rules = TrainingRules(steps=300, batch=2, rank=16, hidden_channels=64, learning_rate=3e-3, recompute=False,
                          save_every=1000, tensorboard=False)
    before = AdaptedWan(seam.build_wan(tiny, torch.float32), 16, 64)
    state = run(tiny, tmp_path, rules, [clip])
    after = AdaptedWan(seam.build_wan(tiny, torch.float32), 16, 64)
    with torch.no_grad():
        for name, weight in after.trained().items():
            weight.copy_(state.weights[name])
    losses = [validation_loss(model, [clip], 5.0, 0, CPU) for model in (before, after)]
    assert losses[0] >= 10 * losses[1]


def test_validation_shows_clip_prior_and_sample_and_disturbs_nothing(tiny, tmp_path):
    from ex4d_ops import files

    rules = TrainingRules(**vars(QUICK) | {"validate_every": 2, "validation_steps": 2, "tensorboard": True})
    validation = Validation([make_clip(9, side=8)], lambda latents: torch.rand(5, 32, 48, 3))
    watched = run(tiny, tmp_path / "watched", rules, validation=validation)
    assert same_state(watched, run(tiny, tmp_path / "alone"))
    for step in ("000002", "000004"):
        video = files.read_video(tmp_path / "watched" / "samples" / step / "0.mp4")
        assert tuple(video.frames.shape) == (5, 32, 144, 3)
    assert told(tmp_path / "watched", "loss/training") == pytest.approx(watched.losses)
    assert len(told(tmp_path / "watched", "loss/validation")) == 2


def told(folder: Path, name: str) -> list[float]:
    """What TensorBoard shows of a run under a name."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / "tensorboard"), purge_orphaned_data=True)
    events.Reload()
    return [event.value for event in events.Scalars(name)]


@pytest.mark.parametrize("count", [1, 2, 19, 400])
def test_a_loss_curve_is_drawn_of_runs_of_every_length(count):
    picture = plot_losses([1 / (step + 1) for step in range(count)])
    assert picture.ndim == 3 and 0.01 < (picture < 0.9).any(-1).float().mean() < 0.5
