"""VBench, in an environment of its own, because its pins clash with ComfyUI's: made, called, and read back."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from .. import files
from ..files.damage import reading
from ..files.whole import written_whole
from .measures import VBENCH
from .one_run import DIGITS
from .runs import Run
from .sights import SEEN, digest

NEWEST_PYTHON = (3, 11)  # for which the tokenizers that VBench pins come ready made
PACKAGES = ("vbench", "setuptools<70")  # newer ones lack what the clip that it imports needs
SHOWN = ".mp4"  # what VBench reads
LOG = "vbench.log"
CHECKPOINTS = "hub/checkpoints"  # below TORCH_HOME
# Run by the environment's own Python, because VBench's command knows CUDA alone and names its results by the clock.
CALL = """
import json, sys
import torch
from vbench import VBench
given = json.load(sys.stdin)
VBench(torch.device(given["device"]), "", given["out"]).evaluate(
    videos_path=given["videos"], name=given["dimension"], dimension_list=[given["dimension"]], local=True,
    read_frame=False, mode="custom_input")
"""


@dataclass(frozen=True)
class Asset:
    """What a dimension needs. path: below VBench's own cache; megabytes: counted from its tensors, 0 for code."""

    path: str
    megabytes: float
    licence: str
    page: str


DINO = "dino_model/dino_vitbase16_pretrain.pth"
CLIP_PAGE = "https://openaipublic.azureedge.net/clip/models"
DIMENSIONS: dict[str, tuple[Asset, ...]] = {
    "subject_consistency": (
        Asset("dino_model/facebookresearch_dino_main", 0, "Apache-2.0", "https://github.com/facebookresearch/dino"),
        Asset(DINO, 343, "Apache-2.0",
              "https://dl.fbaipublicfiles.com/dino/dino_vitbase16_pretrain/dino_vitbase16_pretrain.pth")),
    "background_consistency": (
        Asset("clip_model/ViT-B-32.pt", 303, "MIT",
              f"{CLIP_PAGE}/40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af/ViT-B-32.pt"),),
    "temporal_flickering": (),
    "motion_smoothness": (Asset("amt_model/amt-s.pth", 12, "CC-BY-NC-4.0, non-commercial",
                                "https://huggingface.co/lalala125/AMT/resolve/main/amt-s.pth"),),
    "dynamic_degree": (Asset("raft_model/models/raft-things.pth", 21, "BSD-3-Clause",
                             "https://dl.dropboxusercontent.com/s/4j4z58wuv8o0mfz/models.zip"),),
    "aesthetic_quality": (
        Asset("clip_model/ViT-L-14.pt", 855, "MIT",
              f"{CLIP_PAGE}/b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836/ViT-L-14.pt"),
        Asset("aesthetic_model/emb_reader/sa_0_4_vit_l_14_linear.pth", 0, "MIT",
              "https://github.com/LAION-AI/aesthetic-predictor")),
    "imaging_quality": (Asset("pyiqa_model/musiq_spaq_ckpt-358bb6af.pth", 109, "Apache-2.0",
                              "https://github.com/chaofengc/IQA-PyTorch/releases"),),
}
PERCENT = {"imaging_quality"}  # dimensions whose figures of one video go to 100


def set_up(environment: Path, say: Callable[[str], object]) -> None:
    """Make the environment and install VBench into it by pip. Raises ValueError in one sentence."""
    if sys.version_info[:2] > NEWEST_PYTHON:
        raise ValueError(f"{environment}: VBench needs Python 3.{NEWEST_PYTHON[1]} or older, and this is "
                         f"3.{sys.version_info[1]}; make the environment with: python3.{NEWEST_PYTHON[1]} -m venv "
                         f"{environment}, then {environment}/bin/pip install {' '.join(map(repr, PACKAGES))}")
    say(f"{environment}: installing VBench and the PyTorch that it needs, some GB")
    for command in ([sys.executable, "-m", "venv", str(environment)],
                    [str(python_of(environment)), "-m", "pip", "install", *PACKAGES]):
        if subprocess.run(command, stdout=subprocess.DEVNULL).returncode:
            raise ValueError(f"{environment}: cannot be made; what {Path(command[0]).name} says of it stands above")


def python_of(environment: Path) -> Path:
    return environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def vbench_cache() -> Path:
    """Where VBench keeps its weights."""
    return Path(os.environ.get("VBENCH_CACHE_DIR") or Path.home() / ".cache" / "vbench")


def missing_assets(dimension: str, cache: Path) -> list[Asset]:
    return [asset for asset in DIMENSIONS[dimension] if not (cache / asset.path).exists()]


def run_vbench(runs: Sequence[Run], environment: Path, parts: Path, device: str, download: bool,
               say: Callable[[str], object]) -> list[str]:
    """Let VBench see what it has not of the videos of runs, a dimension at a time; why some were left out.

    download: it may fetch the weights that it lacks. Raises ValueError where there is no environment.
    """
    if not python_of(environment).exists():
        raise ValueError(f"{environment}: is not an environment with VBench; make it with --set-up, which "
                         "downloads some GB")
    (parts / SEEN).mkdir(parents=True, exist_ok=True)
    videos = {digest(run.video)[:20]: run.video for run in runs}
    left_out = []
    with TemporaryDirectory(prefix=".vbench.", suffix=".part", dir=parts) as work:  # a name that sweep knows
        for dimension in DIMENSIONS:
            todo = {name: path for name, path in videos.items() if not place_of(parts, dimension, name).exists()}
            lacking = missing_assets(dimension, vbench_cache())
            if not todo:
                continue
            if lacking and not download:
                needed = "; ".join(f"{asset.page} ({f'{asset.megabytes:.0f} MB, ' if asset.megabytes else ''}license: "
                                   f"{asset.licence}) as {vbench_cache() / asset.path}" for asset in lacking)
                left_out.append(f"{dimension}: left out, because its weights are missing: {needed}; --set-up lets "
                                "VBench download them")
                continue
            say(f"{dimension}: {len(todo)} videos")
            try:
                told = call(dimension, todo, environment, Path(work).resolve(), device, parts / LOG)
                for name, value in told.items():
                    with written_whole(place_of(parts, dimension, name)) as part:
                        part.write_text(json.dumps(value))
            except (ValueError, OSError) as error:
                left_out.append(f"{dimension}: left out, because {error}")
    return left_out


def call(dimension: str, videos: dict[str, Path], environment: Path, work: Path, device: str, log: Path
         ) -> dict[str, float]:
    """What VBench says of videos by name. work: an own folder, which keeps what was written anew for it.

    Raises ValueError where it fails.
    """
    folder = work / dimension
    folder.mkdir()
    for name, path in videos.items():
        shown = work / f"{name}{SHOWN}"
        if not shown.exists():
            show_video(path, shown)
        os.link(shown, folder / shown.name)
    if dimension == "subject_consistency":  # torch.hub would fetch again what VBench has
        (work / CHECKPOINTS).mkdir(parents=True)
        (work / CHECKPOINTS / Path(DINO).name).symlink_to((vbench_cache() / DINO).absolute())
    given = {"dimension": dimension, "videos": str(folder), "out": str(work), "device": device}
    with open(log, "w", encoding="utf-8") as told:
        done = subprocess.run([str(python_of(environment).absolute()), "-c", CALL], input=json.dumps(given), text=True,
                              stdout=told, stderr=subprocess.STDOUT, cwd=work,
                              env={**os.environ, "TORCH_HOME": str(work)})
    if done.returncode:
        raise ValueError(f"VBench failed; see {log}")
    return read_results(work / f"{dimension}_eval_results.json", dimension)


def show_video(path: Path, place: Path) -> None:
    """Put a video where VBench reads it, written anew where it would not read it."""
    if path.suffix.lower() == SHOWN:
        shutil.copyfile(path, place)
    else:
        clip = files.read_video(path)
        files.write_video(place, clip.frames, clip.fps, "h264")


def read_results(path: Path, dimension: str) -> dict[str, float]:
    """The figure of every video by the stem of its file. Raises ValueError where the file is not VBench's."""
    with reading(path, "results of VBench", "install the version of VBench that --set-up installs"):
        _, videos = json.loads(path.read_text(encoding="utf-8"))[dimension]
        scale = 0.01 if dimension in PERCENT else 1.0
        return {Path(video["video_path"]).stem: round(scale * float(video["video_results"]), DIGITS)
                for video in videos}


def place_of(parts: Path, dimension: str, name: str) -> Path:
    return parts / SEEN / f"{VBENCH}{dimension}-{name}.json"


def recall_vbench(runs: Sequence[Run], entries: Sequence[dict], parts: Path) -> list[dict]:
    """The entries with what VBench has said of their videos added."""
    if not any((parts / SEEN).glob(f"{VBENCH}*.json")):
        return list(entries)
    return [entry if "skipped" in entry else {**entry, "whole": recall_run(run, parts)}
            for run, entry in zip(runs, entries)]


def recall_run(run: Run, parts: Path) -> dict[str, float]:
    places = {f"{VBENCH}{dimension}": place_of(parts, dimension, digest(run.video)[:20]) for dimension in DIMENSIONS}
    return {measure: json.loads(path.read_text()) for measure, path in places.items()
            if path.exists()}
