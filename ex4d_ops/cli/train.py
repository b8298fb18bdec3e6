"""`ex4d train`: an adapter from prepared clips, on one device or, under `accelerate launch`, on many."""

from __future__ import annotations

import os
from pathlib import Path

from .terminal import add_command, check_exists, progress_bar

EPILOG = """\
examples:
  ex4d train run.yaml
  accelerate launch -m ex4d_ops train run.yaml      on many GPUs; set up with `accelerate config`: DDP, or FSDP
                                                    with fsdp_version 2 if Wan does not fit into one GPU
  tensorboard --logdir runs

files in the folder out:
  ex4d-000100.ckpt ...  the adapter, as ComfyUI and the released EX-4D read it
  state.pt              the state of the run: the same command continues exactly from it
  loss.png              the loss so far
  samples/              videos that the adapter makes from the validation clips: clip, prior, sample
  tensorboard/          the losses
"""


def add_train_command(commands) -> None:
    parser = add_command(commands, "train", run_training, "Train an adapter on prepared clips.", EPILOG)
    parser.add_argument("config", type=Path, help="YAML file, e.g. one from example_configs/")


def run_training(options) -> None:
    check_exists(options.config)
    from .. import wan
    from ..bases import base_of, load_base, load_decoder
    from ..checkpoint import COGVIDEOX
    from ..dataset import open_dataset
    from ..training import Validation, adapter_file, train
    from ..training.config import read_config
    from ..training.record import CURVE

    config = read_config(options.config)
    clips = open_dataset(config.data)
    model = load_base(config.base, wan.BASE_DTYPES[config.base_dtype], config.comfyui)
    validation = None
    if config.validation:
        if not config.vae and base_of(model) == COGVIDEOX:
            raise ValueError(f"{options.config}: samples of CogVideoX need its VAE; add vae, or leave validation out")
        decode = load_decoder(config.vae) if config.vae else wan.preview
        validation = Validation(open_dataset(config.validation), decode)
    with wan.differentiable(), progress_bar("training", unit="step") as progress:
        state = train(model, clips, config.out, config.rules, validation,
                      watch=lambda losses, steps: progress(len(losses), steps))
    if int(os.environ.get("RANK", 0)) == 0:
        print(f"{adapter_file(config.out, state.step)}: after {state.step} steps; the last loss is "
              f"{state.losses[-1]:.4g}; see {config.out / CURVE}")
