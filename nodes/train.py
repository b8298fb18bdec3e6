"""Training an adapter inside ComfyUI, on one device."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import comfy.model_management
import comfy.utils
import folder_paths
from comfy_api.latest import io, ui

from ..ex4d_ops.checkpoint import load_adapter, save_adapter
from ..ex4d_ops.dataset import MANIFEST, open_dataset
from ..ex4d_ops.files.pictures import as_image
from ..ex4d_ops.training import TrainingRules, adapter_file, plot_losses, train
from ..ex4d_ops.training.objective import OBJECTIVES
from ..ex4d_ops.wan import BASE_DTYPES, build_wan, differentiable
from . import folders, sockets

RUNS = "ex4d_training"  # in ComfyUI's output folder
ADAPTERS = "ex4d"  # in ComfyUI's models folder, where Apply EX-4D looks
RUN_NAME = re.compile(r"\w[\w. -]{0,99}")
NAME_RULE = "use letters, digits, spaces, dots, - and _, beginning with a letter or digit"
PREVIEW_SECONDS = 5.0  # between two pictures of the loss curve


class EX4DTrainAdapter(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        rules = TrainingRules()
        return io.Schema(
            node_id="EX4DTrainAdapter",
            display_name="Train Adapter (EX-4D)",
            category="EX-4D/train",
            description="Trains an adapter for Wan on clips that `ex4d prepare` has made, on this device. Shows the "
                        "loss while it runs. Cancel it when you like: queued again, it goes on where it stopped.",
            search_aliases=["train LoRA", "fine-tune", "EX-4D training", "loss curve"],
            is_output_node=True,
            inputs=[
                io.Model.Input("model", tooltip="Wan 2.1 I2V, not quantised; a copy of it is trained on, without any "
                                                "LoRA on it."),
                io.Combo.Input("clips", options=folders.list_files(set(), {MANIFEST}),
                               tooltip="Folder of prepared clips, in ComfyUI's input or output folder."),
                io.String.Input("name", default="my_adapter",
                                tooltip="What the run and its adapter are called: output/ex4d_training/NAME and "
                                        "models/ex4d/NAME.safetensors."),
                io.Int.Input("steps", default=rules.steps, min=1, max=10**7,
                             tooltip="A number that says how often the weights are moved; raise it to go on."),
                io.Float.Input("learning_rate", default=rules.learning_rate, min=1e-7, max=1.0, step=1e-7,
                               tooltip="Share of a step that is taken, for AdamW. The paper's is 0.00003."),
                io.Int.Input("rank", default=rules.rank, min=1, max=1024,
                             tooltip="A number that sets the LoRA's size; the released adapter has 16."),
                io.Int.Input("batch", default=rules.batch, min=1, max=64,
                             tooltip="A number that says how many clips are seen at once; more need more memory."),
                io.Int.Input("accumulation", default=rules.accumulation, min=1, max=1024,
                             tooltip="A number that says how many batches make one step; more need more time."),
                io.Int.Input("save_every", default=rules.save_every, min=1, max=10**6,
                             tooltip="A number that says after how many steps the run is saved."),
                io.Int.Input("seed", default=0, min=0, max=2**32 - 1,
                             control_after_generate=io.ControlAfterGenerate.fixed,
                             tooltip="A number that draws weights, order and noise; the same trains the same."),
                io.Combo.Input("base_dtype", options=list(BASE_DTYPES), default="bfloat16", advanced=True,
                               tooltip="What Wan's large matrices are kept in. float8 needs half the memory."),
                io.Combo.Input("objective", options=list(OBJECTIVES), default=rules.objective, advanced=True,
                               tooltip="What is minimised. velocity: as Wan is fine-tuned. noise: equation 6 of the "
                                       "paper."),
                io.Int.Input("hidden_channels", default=rules.hidden_channels, min=1, max=8192, advanced=True,
                             tooltip="A number that sets the prior encoder's width; the released one has 1024."),
                io.Float.Input("ema", default=rules.ema, min=0.0, max=0.9999, step=0.0001, advanced=True,
                               tooltip="Share of the old mean that each step keeps, 0..1; the mean of the weights is "
                                       "then what is saved. 0: off."),
                io.Boolean.Input("gradient_checkpointing", default=rules.recompute, advanced=True,
                                 tooltip="Computes each block twice, to keep little of it: a third slower, and far "
                                         "less memory."),
            ],
            outputs=[
                io.String.Output("adapter", tooltip="What Apply EX-4D lists the adapter as."),
                io.Image.Output("loss_curve", tooltip="The loss of every step, and its running mean."),
                io.Float.Output("loss", tooltip="That of the last step."),
            ],
        )

    @classmethod
    def validate_inputs(cls, clips, name) -> bool | str:
        if name is not None and not RUN_NAME.fullmatch(name):
            return f"name: got {name!r}; {NAME_RULE}"
        return folders.check_file(clips)

    @classmethod
    def fingerprint_inputs(cls, clips, **rest) -> str:
        return folders.fingerprint(clips)

    @classmethod
    def execute(cls, model, clips, name, base_dtype, gradient_checkpointing, **rules) -> io.NodeOutput:
        if not RUN_NAME.fullmatch(name):  # it may come through a link
            raise ValueError(f"name: got {name!r}; {NAME_RULE}")
        run = Path(folder_paths.get_output_directory()) / RUNS / name
        comfy.model_management.unload_all_models()  # what trains needs the room
        with differentiable():
            wan = build_wan(model.model.diffusion_model.state_dict(), BASE_DTYPES[base_dtype])
            state = train(wan, open_dataset(folders.find_file(clips)), run,
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
