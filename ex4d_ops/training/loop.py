"""Training an adapter: steps that can be stopped anywhere and gone on with as if they had not been."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeGuard

import torch
from torch import Tensor, nn

from ..bases import base_of
from ..checkpoint import RELEASED_BASE
from .clips import Clips, check_clips, stack_clips
from .model import adapt
from .objective import clip_of_sample, draw_noise, flow_loss, level_weights, levels_of, mix, noise_levels
from .record import RunState, load_run, save_run
from .rules import TrainingRules
from .validation import Validation, validation_loss, write_samples

if TYPE_CHECKING:
    from accelerate import Accelerator
    from torch.distributed.tensor import DTensor

Watch = Callable[[list[float], int], None]
Report = Callable[[str, float, int], None]


@dataclass(eq=False)
class TrainingRun:
    """A run in memory. trained, average: the weights by their released names; average is empty where none is kept."""

    accelerator: Accelerator
    model: nn.Module
    optimizer: torch.optim.Optimizer
    trained: dict[str, nn.Parameter]
    average: dict[str, Tensor]
    state: RunState
    folder: Path
    rules: TrainingRules
    torn: bool = False  # between two steps

    @property
    def is_main(self) -> bool:
        return self.accelerator.is_main_process


def train(base: nn.Module, clips: Clips, folder: Path, rules: TrainingRules = TrainingRules(),
          validation: Validation | None = None, watch: Watch | None = None, cpu: bool = False) -> RunState:
    """Train an adapter for a video model on prepared clips; what it leaves lies in folder, see record.py.

    A run that folder holds goes on from its last save, exactly as if it had not stopped. Processes started by
    `accelerate launch` share the work. The model handed in gets the LoRA. watch(losses so far, steps) is called after
    every step; what it raises stops the run once the steps done are saved. cpu: even where there is a GPU.
    Raises ValueError where the loss is not finite, folder holds another run, packages are missing,
    or launched processes can't share the work.
    """
    check_clips(clips, rules.batch)
    run = begin(base, clips, folder, rules, cpu)
    saved = run.state.step
    with open_tensorboard(run) as report:
        try:
            while (done := run.state.step) < rules.steps:
                loss = take_step(run, clips)
                done += 1
                report("loss/training", loss, done)
                if done % rules.save_every == 0 or done == rules.steps:
                    save(run)
                    saved = done
                if validation and (done % rules.validate_every == 0 or done == rules.steps):
                    validate(run, validation, report)
                if watch and run.is_main:
                    watch(run.state.losses, rules.steps)
        finally:
            # Several processes do not all get here, and saving needs all of them.
            if run.state.step > saved and not run.torn and run.accelerator.num_processes == 1:
                save(run)
    return run.state


def begin(base: nn.Module, clips: Clips, folder: Path, rules: TrainingRules, cpu: bool) -> TrainingRun:
    """A run as the folder left it, or a new one."""
    try:
        import peft  # noqa: F401  (needed later; who starts a run wants to know now)
        from accelerate import Accelerator

        if rules.tensorboard:
            import tensorboard  # noqa: F401
    except ImportError as error:
        raise ValueError(f"training needs {error.name}, which is not installed; install it with: pip install peft "
                         "accelerate tensorboard") from error
    accelerator = Accelerator(cpu=cpu)
    check_sharing(accelerator)
    asked = rules.fixed() | {"processes": accelerator.num_processes, "clips": len(clips)}
    if (name := base_of(base)) != RELEASED_BASE:
        asked["base"] = name
    folder.mkdir(parents=True, exist_ok=True)
    with accelerator.main_process_first():
        state = load_run(folder, asked)
    adapted = adapt(base, rules.rank, rules.hidden_channels, rules.seed, rules.recompute)
    # The frozen weights are the same everywhere already, and float8 can't be sent.
    nn.parallel.DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(
        adapted, [name for name, weight in adapted.named_parameters() if not weight.requires_grad])
    model, optimizer = accelerator.prepare(
        adapted, torch.optim.AdamW(adapted.trained().values(), lr=rules.learning_rate))
    trained = accelerator.unwrap_model(model).trained()
    average = {name: weight.detach().clone() for name, weight in trained.items()} if rules.ema else {}
    run = TrainingRun(accelerator, model, optimizer, trained, average, state or RunState(asked), folder, rules)
    if state:
        restore(run)
    return run


def check_sharing(accelerator: Accelerator) -> None:
    """Raise ValueError where launched processes would not work together, or no exact save of them can be made."""
    launched, kind = int(os.environ.get("WORLD_SIZE", 1)), accelerator.distributed_type.name
    if accelerator.num_processes != launched:  # each would train for itself, into one folder
        raise ValueError(f"{launched} processes were launched, but accelerate does not find a device to train on; set "
                         "ACCELERATE_USE_CPU=true to train on CPUs")
    if kind == "DEEPSPEED" or (kind == "FSDP" and not accelerator.is_fsdp2):
        raise ValueError(f"accelerate is set to {kind}, which cannot be saved exactly; use DDP, or FSDP with "
                         "fsdp_version 2")


def take_step(run: TrainingRun, clips: Clips) -> float:
    """Move the weights once; returns the loss, averaged over everything that went into the step."""
    rules, accelerator = run.rules, run.accelerator
    total = torch.zeros((), device=accelerator.device)
    for turn in range(rules.accumulation):
        waits = turn + 1 < rules.accumulation
        with accelerator.no_sync(run.model) if waits else nullcontext():
            loss = batch_loss(run, clips, turn) / rules.accumulation
            accelerator.backward(loss)
        total += loss.detach()
    loss = float(accelerator.reduce(total, "mean"))  # pyright: ignore[reportArgumentType]  # a tensor, as given
    if not math.isfinite(loss):
        raise ValueError(f"step {run.state.step + 1}: the loss is {loss}; use a smaller learning_rate, or check the "
                         "clips")
    run.torn = True
    run.optimizer.step()
    run.optimizer.zero_grad()
    if run.average:
        torch._foreach_lerp_(  # pyright: ignore[reportPrivateImportUsage]  # as torch's own averaging does
            list(run.average.values()), list(run.trained.values()), 1 - rules.ema)
    run.state.losses.append(loss)
    run.torn = False
    return loss


def batch_loss(run: TrainingRun, clips: Clips, turn: int) -> Tensor:
    """Loss of this process's batch in one turn of a step.

    Samples are numbered through the run over turns and processes, and their number alone draws clip, level and noise.
    """
    rules, accelerator = run.rules, run.accelerator
    batches = (run.state.step * rules.accumulation + turn) * accelerator.num_processes + accelerator.process_index
    samples = range(batches * rules.batch, (batches + 1) * rules.batch)
    batch = stack_clips([clips[clip_of_sample(sample, len(clips), rules.seed)] for sample in samples],
                        accelerator.device)
    video = batch["video_latent"].float()
    places, noises = zip(*(draw_noise(video.shape[1:], rules.seed, sample) for sample in samples))
    noise = torch.stack(noises).to(video)
    levels = noise_levels(rules.shift)
    drawn = levels_of(rules.expert, rules.shift)[list(places)]
    level, weight = (values[drawn].to(video) for values in (levels, level_weights(levels, rules.objective)))
    return flow_loss(run.model(mix(video, noise, level), level, batch), video, noise, weight)


def validate(run: TrainingRun, validation: Validation, report: Report) -> None:
    rules, device, step = run.rules, run.accelerator.device, run.state.step
    report("loss/validation", validation_loss(run.model, validation.clips, rules.shift, rules.seed, device), step)
    write_samples(run.folder / "samples" / f"{step:06}", run.model, validation, rules.validation_steps, rules.shift,
                  rules.seed, device, write=run.is_main)


# ---- stopping and going on ----------------------------------------------------------------------


def save(run: TrainingRun) -> None:
    """Put the run into its folder. All processes must take part."""
    state = run.state
    state.weights = {name: whole(weight) for name, weight in run.trained.items()}
    state.average = {name: whole(weight) for name, weight in run.average.items()}
    state.moments = {name: {key: whole(value) for key, value in run.optimizer.state[weight].items()}
                     for name, weight in run.trained.items()}
    if run.is_main:
        save_run(run.folder, state)


@torch.no_grad()
def restore(run: TrainingRun) -> None:
    """Give weights, average and moments the values of the state."""
    for name, weight in run.trained.items():
        weight.copy_(spread(run.state.weights[name], weight))
        run.optimizer.state[weight] = {key: spread(value, weight) if value.ndim else value
                                       for key, value in run.state.moments[name].items()}
        if run.average:
            run.average[name].copy_(spread(run.state.average[name], weight))


def is_spread(tensor: Tensor) -> TypeGuard[DTensor]:
    """Whether FSDP has spread a tensor over the processes."""
    return hasattr(tensor, "full_tensor")


def whole(tensor: Tensor) -> Tensor:
    """All of a tensor on the CPU, gathered where FSDP has spread it over the processes."""
    tensor = tensor.detach()
    return (tensor.full_tensor() if is_spread(tensor) else tensor).cpu()


def spread(values: Tensor, like: Tensor) -> Tensor:
    """Values on the device of another tensor, and spread over the processes as that one is."""
    if not is_spread(like):
        return values.to(like.device, copy=True)
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(values.to(like.device), like.device_mesh, like.placements)


@contextmanager
def open_tensorboard(run: TrainingRun) -> Iterator[Report]:
    """Yield report(name, value, step), which tells TensorBoard; steps told again after a crash count once."""
    if not (run.rules.tensorboard and run.is_main):
        yield lambda name, value, step: None
        return
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(run.folder / "tensorboard"), purge_step=run.state.step + 1) as writer:
        yield writer.add_scalar
