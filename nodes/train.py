"""Training an adapter inside ComfyUI, on one device."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import comfy.model_management
import comfy.utils
import folder_paths
from comfy_api.latest import io, ui

from ..ex4d_ops.bases import build_base
from ..ex4d_ops.checkpoint import load_adapter, save_adapter
from ..ex4d_ops.dataset import MANIFEST, open_dataset
from ..ex4d_ops.files.pictures import as_image
from ..ex4d_ops.training import TrainingRules, adapter_file, plot_losses, train
from ..ex4d_ops.training.objective import OBJECTIVES, Expert
from ..ex4d_ops.wan import BASE_DTYPES, differentiable
from . import folders, sockets

RUNS = "ex4d_training"  # in ComfyUI's output folder
ADAPTERS = "ex4d"  # in ComfyUI's models folder, where Apply Adapter looks
RUN_NAME = re.compile(r"\w[\w. -]{0,99}")
NAME_RULE = "use letters, digits, spaces, dots, - and _, and begin with a letter or digit"
PREVIEW_SECONDS = 5.0  # between two pictures of the loss curve


class EX4DTrainAdapter(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        rules = TrainingRules()
        return io.Schema(
            node_id="EX4DTrainAdapter",
            display_name="Train Adapter (EX-4D)",
            category="EX-4D/train",
            description="Trains an EX-4D adapter for Wan on clips that `ex4d prepare` has prepared. Shows the loss "
                        "while it runs. If you cancel it and queue it again, it continues where it stopped.",
            search_aliases=["train LoRA", "fine-tune", "EX-4D training", "loss curve"],
            is_output_node=True,
            inputs=[
                io.Model.Input("model",
                               tooltip="Wan 2.1 I2V, an expert of Wan 2.2 I2V, or CogVideoX I2V, not quantized. A "
                                       "copy of it is trained on, without any LoRA."),
                io.Combo.Input("clips", options=folders.list_files(set(), {MANIFEST}),
                               tooltip="Folder of prepared clips in ComfyUI's input or output folder."),
                io.String.Input("name", default="my_adapter",
                                tooltip="Name of the run and of its adapter: output/ex4d_training/NAME and "
                                        "models/ex4d/NAME.safetensors."),
                io.Int.Input("steps", default=rules.steps, min=1, max=10**7,
                             tooltip="Number of optimizer steps. Raise it to continue a finished run."),
                io.Float.Input("learning_rate", default=rules.learning_rate, min=1e-7, max=1.0, step=1e-7,
                               tooltip="Learning rate of the AdamW optimizer. The paper uses 0.00003."),
                io.Int.Input("rank", default=rules.rank, min=1, max=1024,
                             tooltip="Rank of the LoRA layers. EX-4D uses 16."),
                io.Int.Input("batch", default=rules.batch, min=1, max=64,
                             tooltip="Number of clips per batch. More clips need more memory."),
                io.Int.Input("accumulation", default=rules.accumulation, min=1, max=1024,
                             tooltip="Number of batches per optimizer step. More batches need more time."),
                io.Int.Input("save_every", default=rules.save_every, min=1, max=10**6,
                             tooltip="Number of optimizer steps between two saves."),
                io.Int.Input("seed", default=0, min=0, max=2**32 - 1,
                             control_after_generate=io.ControlAfterGenerate.fixed,
                             tooltip="Random seed of first weights, clip order and noise. The same seed gives the same "
                                     "result."),
                io.Combo.Input("base_dtype", options=list(BASE_DTYPES), default="bfloat16", advanced=True,
                               tooltip="Data type of Wan's large matrices. bfloat16: as EX-4D was trained. float8: "
                                       "needs half the memory. float32: for tests."),
                io.Combo.Input("objective", options=list(OBJECTIVES), default=rules.objective, advanced=True,
                               tooltip="What to minimize. velocity: uses the objective that Wan is fine-tuned with. "
                                       "noise: uses equation 6 of the paper."),
                io.Int.Input("hidden_channels", default=rules.hidden_channels, min=1, max=8192, advanced=True,
                             tooltip="Number of hidden channels in the prior's encoder. EX-4D uses 1024."),
                io.Float.Input("ema", default=rules.ema, min=0.0, max=0.9999, step=0.0001, advanced=True,
                               tooltip="Share of the running average of the weights that each step keeps, 0..1. The "
                                       "average is what is saved. 0: no averaging."),
                io.Boolean.Input("gradient_checkpointing", default=rules.recompute, advanced=True,
                                 tooltip="On: computes each block twice instead of storing its activations, which is a "
                                         "third slower and needs far less memory."),
                io.Combo.Input("expert", options=list(get_args(Expert)), default="both", optional=True, advanced=True,
                               tooltip="Noise levels to train for. both: trains for all of them, for Wan 2.1. high: "
                                       "trains for those of the high-noise expert of Wan 2.2 I2V. low: trains for "
                                       "those of its low-noise expert."),
            ],
            outputs=[
                io.String.Output("adapter", tooltip="Name of the adapter file, as Apply Adapter lists it."),
                io.Image.Output("loss_curve", tooltip="Plot of the loss of every step and its running average."),
                io.Float.Output("loss", tooltip="Loss of the last step."),
            ],
        )

    @classmethod
    def validate_inputs(cls, clips, name) -> bool | str:
        if name is not None and not RUN_NAME.fullmatch(name):
            return f"name: {name!r} cannot name a file; {NAME_RULE}"
        return folders.check_file(clips)

    @classmethod
    def fingerprint_inputs(cls, clips, **rest) -> str | float:
        return folders.fingerprint(clips, "clips")

    @classmethod
    def execute(cls, model, clips, name, base_dtype, gradient_checkpointing, **rules) -> io.NodeOutput:
        if not RUN_NAME.fullmatch(name):  # it may come through a link
            raise ValueError(f"name: {name!r} cannot name a file; {NAME_RULE}")
        run = Path(folder_paths.get_output_directory()) / RUNS / name
        comfy.model_management.unload_all_models()  # what trains needs the room
        with differentiable():
            base = build_base(model.model.diffusion_model.state_dict(), BASE_DTYPES[base_dtype])
            state = train(base, open_dataset(folders.find_file(clips, "clips")), run,
                          TrainingRules(recompute=gradient_checkpointing, tensorboard=False, **rules),
                          watch=show_losses(), cpu=comfy.model_management.get_torch_device().type == "cpu")
        adapter = Path(folder_paths.get_folder_paths(ADAPTERS)[0]) / f"{name}.safetensors"
        adapter.parent.mkdir(parents=True, exist_ok=True)
        save_adapter(adapter, load_adapter(adapter_file(run, state.step)))
        curve = sockets.as_images(plot_losses(state.losses))
        return io.NodeOutput(adapter.name, curve, state.losses[-1], ui=ui.PreviewImage(curve))


def show_losses() -> Callable[[list[float], int], None]:
    """A `watch` that fills the node's bar, draws the loss curve on it, and raises where the user has pressed cancel."""
    bar, shown = comfy.utils.ProgressBar(1), -PREVIEW_SECONDS

    def report(losses: list[float], steps: int) -> None:
        nonlocal shown
        comfy.model_management.throw_exception_if_processing_interrupted()
        preview = None
        if (now := time.monotonic()) - shown > PREVIEW_SECONDS:
            picture = plot_losses(losses)
            preview, shown = ("JPEG", as_image(picture), picture.shape[1]), now
        bar.update_absolute(len(losses), steps, preview)

    return report
