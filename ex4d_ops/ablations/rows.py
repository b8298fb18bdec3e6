"""A table of ablations made: what each row leaves out is left out of training and of sampling, and measured.

A row shares its prepared clips with those that hide the same of them. Whatever is done is not done again: clips, steps
of training, rows that are sampled and videos that are measured.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from .. import files
from ..bases import load_base, load_decoder, load_encoders
from ..clip import Clip
from ..dataset import Encoders, encode_clip, open_dataset
from ..evaluation.all_runs import evaluate
from ..evaluation.measures import MEASURES
from ..evaluation.runs import CAMERAS, COLOR, DEPTH, PLAN, PRIOR, RESULT, SOURCE, VISIBLE, find_cells, list_runs
from ..evaluation.table import ALL, describe, tabulate
from ..files.damage import reading
from ..files.whole import written_whole
from ..mesh import build_dw_mesh
from ..preparation import Recipe, list_sources, prepare
from ..preparation.workers import MakeEncoders
from ..prior import Prior, render_prior
from ..rules import MeshRules
from ..training import TrainingRules, adapt, train
from ..training.clips import stack_clips
from ..training.objective import generator_for
from ..training.record import RunState
from ..training.validation import sample_video
from ..wan import BASE_DTYPES, differentiable
from .settings import Row, Table

PREPARED, REPORT, TABLE = "prepared", "report", "table.md"
DONE = "row.json"  # in a row's folder, once it is sampled
SMOOTHED = 20  # the loss that is shown is the mean of so many last steps
OPEN_MESH = MeshRules(hidden_reach=0.0)  # hidden faces reach nowhere, so that nothing closes the mesh


@dataclass(frozen=True, eq=False)
class Backbone:
    """A video model. load: makes it anew, without a LoRA; make_encoders: as in `prepare`; make_decoder: what turns a
    latent video [16, t, h, w] into frames in [0, 1].
    """

    load: Callable[[], nn.Module]
    make_encoders: MakeEncoders
    make_decoder: Callable[[], Callable[[Tensor], Tensor]]


def open_backbones(table: Table) -> dict[str, Backbone]:
    """The video models whose files a table names."""
    dtype = BASE_DTYPES[table.base_dtype]
    return {name: Backbone(partial(load_base, given.base, dtype, table.comfyui),
                           partial(load_encoders, given.vae, given.text_encoder, given.clip_vision, table.comfyui),
                           partial(load_decoder, given.vae))
            for name, given in (("wan", table.wan), ("cogvideox", table.cogvideox)) if given}


# ---- a row --------------------------------------------------------------------------------------


def make_row(row: Row, table: Table, backbone: Backbone, cpu: bool = False) -> None:
    """Prepare the clips of a row, train on them, and sample every planned clip with what was learned."""
    folder = table.out / row.name
    settings = json.loads(json.dumps({"row": asdict(row), "rules": table.rules.fixed(), "steps": table.rules.steps,
                                      "sampling_steps": table.sampling_steps, "cells": cells_of(table)}))
    if read_done(folder).get("settings") == settings:
        return
    recipe = recipe_of(row, table)
    prepared = table.out / PREPARED / f"{row.backbone}, {row.masks}, {row.surface}"
    prepare(list_sources(table.videos), recipe, prepared, make_encoders=backbone.make_encoders)
    rules = replace(table.rules, rank=row.rank)
    with differentiable():
        state = train(backbone.load(), open_dataset(prepared), folder, rules, cpu=cpu)
        model = with_weights(backbone.load(), state, rules)
    device = torch.device("cuda" if torch.cuda.is_available() and not cpu else "cpu")
    encoders, decode, model = backbone.make_encoders(), backbone.make_decoder(), model.to(device)
    for cell in find_cells(table.runs):
        sample_cell(cell, row, table, model, encoders, decode, device)
    with written_whole(folder / DONE) as part:
        part.write_text(json.dumps({"settings": settings, "loss": mean_of_last(state.losses)}) + "\n")


def recipe_of(row: Row, table: Table) -> Recipe:
    """How the clips of a row are prepared: as long and large as those that are planned."""
    path = table.runs / PLAN
    with reading(path, "a plan of runs", "make one with ex4d evaluate plan"):
        planned = json.loads(path.read_text(encoding="utf-8"))
        frames, size = planned["frames"], tuple(planned["size"])
    return Recipe(frames, size, row.masks, row.surface, depth=table.depth, caption=table.caption, seed=table.rules.seed)


def cells_of(table: Table) -> list[str]:
    return [str(cell.relative_to(table.runs)) for cell in find_cells(table.runs)]


def read_done(folder: Path) -> dict:
    """What a row that is sampled says of itself, nothing where it is not."""
    path = folder / DONE
    if not path.is_file():
        return {}
    with reading(path, "the record of a row", "delete it, and run the command again"):
        return dict(json.loads(path.read_text(encoding="utf-8")))


def with_weights(base: nn.Module, state: RunState, rules: TrainingRules) -> nn.Module:
    """The model with what a run has learned."""
    model = adapt(base, rules.rank, rules.hidden_channels, rules.seed, recompute=False)
    learned = state.average or state.weights
    with torch.no_grad():
        for name, weight in model.trained().items():
            weight.copy_(learned[name])
    return model


def mean_of_last(losses: Sequence[float]) -> float:
    return sum(losses[-SMOOTHED:]) / len(losses[-SMOOTHED:])


@torch.no_grad()
def sample_cell(cell: Path, row: Row, table: Table, model: nn.Module, encoders: Encoders,
                decode: Callable[[Tensor], Tensor], device: torch.device) -> None:
    """Write the video that a row's model makes of a planned clip into the row's folder there."""
    clip = files.read_video(cell / SOURCE)
    latents = encode_clip(clip.frames, prior_of(row, cell, clip), table.caption, encoders)
    batch = stack_clips([latents], device)
    generator = generator_for(table.rules.seed, "ablation", cell.parent.name, cell.name)
    noise = torch.randn(batch["video_latent"].shape, generator=generator).to(device)
    video = sample_video(model, batch, noise, table.sampling_steps, table.rules.shift)
    (cell / row.name).mkdir(exist_ok=True)
    files.write_video(cell / row.name / f"{RESULT}.mkv", decode(video[0].float().cpu()), clip.fps)


def prior_of(row: Row, cell: Path, clip: Clip) -> Prior:
    """The prior that a planned clip is sampled with: the planned one, or that of a mesh that is not watertight."""
    if row.surface == "watertight":
        color, visible = (files.read_video(cell / PRIOR / name).frames for name in (COLOR, VISIBLE))
        return Prior(color, visible[..., 0] > 0.5)
    depth = files.read_depth(cell / DEPTH, None, 0, len(clip), clip=cell / SOURCE)
    cameras = files.read_path(cell / PRIOR / CAMERAS, clip.size, len(clip), world="file")
    return render_prior(build_dw_mesh(clip.frames, depth, OPEN_MESH), cameras)


# ---- the table ----------------------------------------------------------------------------------


def make_table(rows: Sequence[Row], table: Table, backbones: dict[str, Backbone], workers: int = 1, cpu: bool = False,
               report: Callable[[str], object] = lambda said: None) -> str:
    """Train, sample and measure all rows, and write the table of them as Markdown into the table's folder. Returns it.

    backbones: by their names; rows of any other are left out. workers: videos measured at once. cpu: train there even
    where there is a GPU. report: told what is done. Raises ValueError where nothing is planned.
    """
    if not cells_of(table):
        raise ValueError(f"{table.runs}: does not contain planned clips; make them with ex4d evaluate plan")
    rows = [row if row.left_out or row.backbone in backbones else
            replace(row, left_out=f"the files of {row.backbone} are not given") for row in rows]
    for row in rows:
        if not row.left_out:
            report(f"{row.name}: trains for {table.rules.steps} steps, then is sampled")
            make_row(row, table, backbones[row.backbone], cpu)
    text = describe_rows(rows, table, workers)
    table.out.mkdir(parents=True, exist_ok=True)
    with written_whole(table.out / TABLE) as part:
        part.write_text(text, encoding="utf-8")
    return text


def describe_rows(rows: Sequence[Row], table: Table, workers: int) -> str:
    """Measure the videos of all rows, and say it as a table in Markdown: a line per row, a column per measure."""
    runs = [run for run in list_runs(table.runs)[0] if run.method in {row.name for row in rows if not row.left_out}]
    cells = {(cell.method, cell.measure): cell for cell in tabulate(evaluate(runs, table.out / REPORT, workers=workers))
             if cell.range == ALL}
    measures = [name for name in MEASURES if any(measure == name for _, measure in cells)]
    titles = [f"{MEASURES[name].title} {'↑' if MEASURES[name].higher else '↓'}" for name in measures]
    lines = [["", "rank", "loss", *titles], ["---"] * (len(measures) + 3)]
    for row in rows:
        figures = ["-"] * (len(measures) + 2) if row.left_out else [
            str(row.rank), f"{read_done(table.out / row.name)['loss']:.3f}",
            *(describe(cells.get((row.name, name)), MEASURES[name]) for name in measures)]
        lines.append([row.name, *figures])
    remarks = [table.note, *(f"{row.name}: {row.left_out}" for row in rows if row.left_out)]
    return ("\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n\n"
            + "".join(f"- {remark}\n" for remark in remarks if remark))
