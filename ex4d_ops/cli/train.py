"""`ex4d train`: an adapter from prepared clips, on one device or, under `accelerate launch`, on many."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from .terminal import add_command, progress_bar

EPILOG = """\
examples:
  ex4d train run.yaml
  accelerate launch -m ex4d_ops train run.yaml      on many GPUs; `accelerate config` says how: DDP, or FSDP with
                                                    fsdp_version 2 where one GPU can't hold Wan
  tensorboard --logdir runs

what lands in out:
  ex4d-000100.ckpt ...  the adapter, in the released layout: for ApplyEX4DLoRA and for the released program
  state.pt              what the run goes on from when the same command is given again, exactly
  loss.png              the loss so far
  samples/              what the adapter makes of the validation clips: clip, prior, sample
  tensorboard/          the losses
"""


def add_train_command(commands) -> None:
    parser = add_command(commands, "train", run_training, "Train an adapter on prepared clips.", EPILOG)
    parser.add_argument("config", type=Path, help="YAML file; example_configs/ has some")


def run_training(options) -> None:
    from .. import wan
    from ..dataset import open_dataset
    from ..training import Validation, adapter_file, train
    from ..training.config import read_config
    from ..training.record import CURVE

    config = read_config(options.config)
    clips = open_dataset(config.data)
    model = wan.load_wan(config.base, wan.BASE_DTYPES[config.base_dtype], config.comfyui)
    validation = None
    if config.validation:
        decode = partial(wan.decode, wan.load_vae(config.vae)) if config.vae else wan.preview
        validation = Validation(open_dataset(config.validation), decode)
    with wan.differentiable(), progress_bar("training", unit="step") as progress:
        state = train(model, clips, config.out, config.rules, validation,
                      watch=lambda losses, steps: progress(len(losses), steps))
    if int(os.environ.get("RANK", 0)) == 0:
        print(f"{adapter_file(config.out, state.step)}: after {state.step} steps, the last of loss "
              f"{state.losses[-1]:.4g}; see {config.out / CURVE}")
