"""Preparing clips to train on: which videos, what is done to one, many side by side or on a cluster, all resumable."""

from __future__ import annotations

import csv
import json
import multiprocessing
import os
import re
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cache
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Literal

import torch

from . import files
from .clip import Clip
from .dataset import Encoders, State, encode_clip, gather, mend, pack_latents, pack_pixels, write_part
from .depth import DepthUnits, VideoDepth, match_depth, resize_depth
from .files.whole import written_whole
from .mesh import build_dw_mesh
from .selection import select_clip
from .simulate import (
    crop_depth,
    crop_frames,
    draw_points,
    draw_windows,
    mask_frames,
    random_mask,
    rendering_mask,
    sweep_path,
    tracking_mask,
)
from .tracking import Tracker, load_tracker

VIDEO_SUFFIXES = {".mp4", ".mkv", ".mov", ".webm", ".avi", ".m4v"}
DEPTH_SUFFIXES = (".npz", ".npy", ".exr", ".mkv", ".mp4", "")  # "": a folder of pictures
BESIDE = ("{stem}.npz", "{stem}.depth.npz", "depth.npz")  # names of depth that lies beside its video
COLUMNS = {"video": ("video", "path", "file"), "caption": ("caption", "text", "prompt")}  # OpenVid's names first
SHARD_CLIPS = 64
WAITING = 2  # videos handed to each worker ahead of time
RAY_ROWS = 4096  # handed to Ray at once; it keeps some 10 KB of each until the last of them is done
SETTINGS = "settings.json"

Masks = Literal["both", "rendering", "tracking", "random"]


@dataclass(frozen=True)
class Recipe:
    """How every clip is made. The defaults are the paper's, which doesn't say how its two kinds of masks meet.

    frames, size (H, W): of a clip. masks: which hide something; "both": what either hides is hidden. surface:
    "visible" for masks of a mesh that isn't watertight. crop: through a gliding window. depth: folder of depth files
    named like the videos, None where they lie beside them; units: what they mean, where they don't say. tracker,
    weights, code: as in load_tracker. caption: for videos that have none. seed: with a clip's key it draws all that is
    left to chance.
    """

    frames: int = 49
    size: tuple[int, int] = (512, 512)
    masks: Masks = "both"
    surface: Literal["watertight", "visible"] = "watertight"
    crop: bool = True
    depth: Path | None = None
    units: DepthUnits | None = None
    tracker: str = "lk"
    weights: Path | None = None
    code: Path | None = None
    caption: str = ""
    seed: int = 0


@dataclass(frozen=True)
class Source:
    """A video to take a clip of. name: its path inside the folder of videos; key: what its clip is called."""

    path: Path
    name: str
    caption: str = ""

    @property
    def key(self) -> str:
        words = re.sub(r"[^A-Za-z0-9_-]+", "-", Path(self.name).with_suffix("").as_posix())[-60:]
        return f"{words}-{zlib.crc32(self.name.encode()):08x}"


# ---- which videos -------------------------------------------------------------------------------


def list_sources(place: Path, videos: Path | None = None) -> Iterator[Source]:
    """The videos of a folder, in all its folders, or of a table (CSV) with a column of them.

    videos: where a table's videos lie, None for beside it. OpenVid's columns are understood, others by name. Raises
    ValueError where there is neither.
    """
    if place.is_dir():
        for path in sorted(place.rglob("*")):
            if path.suffix.lower() in VIDEO_SUFFIXES and not path.name.startswith("."):
                yield Source(path, path.relative_to(place).as_posix())
    elif place.suffix.lower() in (".csv", ".tsv") and place.is_file():
        yield from read_table(place, videos or place.parent)
    else:
        raise ValueError(f"{place}: is neither a folder of videos nor a CSV file; give one of them")


def read_table(table: Path, videos: Path) -> Iterator[Source]:
    """The rows of a CSV file, one at a time."""
    csv.field_size_limit(2**24)  # captions can be long
    with open(table, newline="", encoding="utf-8-sig") as content:
        rows = csv.DictReader(content, delimiter="\t" if table.suffix.lower() == ".tsv" else ",")
        names = {name.strip().lower(): name for name in rows.fieldnames or ()}
        video, caption = (next((names[known] for known in COLUMNS[what] if known in names), None)
                          for what in ("video", "caption"))
        if video is None:
            raise ValueError(f"{table}: has no column of videos; name one {', '.join(COLUMNS['video'])}")
        for row in rows:
            yield Source(videos / row[video], row[video], (row[caption] or "") if caption else "")


# ---- one video ----------------------------------------------------------------------------------


@torch.no_grad()
def prepare_clip(source: Source, recipe: Recipe, out: Path, tracker: Tracker | None, encoders: Encoders | None) -> str:
    """Select a clip of a video, hide parts of it, and write it, or why there is none, as a part. Returns its key."""
    info = {"key": source.key, "source": source.name, "caption": source.caption or recipe.caption}
    try:
        start, clip = select_clip(source.path, recipe.frames, recipe.size)
        depth = find_depth(source, recipe, start, clip) if recipe.masks in ("both", "rendering") else None
    except (ValueError, OSError) as error:
        write_part(out, source.key, {**info, "skipped": str(error)}, {})
        return source.key
    generator = torch.Generator().manual_seed(zlib.crc32(f"{recipe.seed}:{source.key}".encode()))
    frames = clip.frames
    if recipe.crop:
        windows = draw_windows(len(clip), recipe.size, generator)
        frames = crop_frames(frames, windows)
        depth = depth and crop_depth(depth, windows)
    visible = simulate_mask(frames, depth, recipe, tracker, generator)
    info |= {"start": start, "frames": len(clip), "size": list(recipe.size), "fps": clip.fps, "masks": recipe.masks,
             "shown": round(float(visible.float().mean()), 4)}
    if encoders is None:
        payload = pack_pixels(frames, visible, clip.fps)
    else:
        payload = pack_latents(encode_clip(frames, mask_frames(frames, visible), info["caption"], encoders))
    write_part(out, source.key, info, payload)
    return source.key


def simulate_mask(frames: torch.Tensor, depth: VideoDepth | None, recipe: Recipe, tracker: Tracker | None,
                  generator: torch.Generator) -> torch.Tensor:
    """What the recipe shows of a clip, [T, H, W] bool."""
    size = tuple(frames.shape[1:3])
    if recipe.masks == "random":
        return random_mask(len(frames), size, generator)
    visible = torch.ones(frames.shape[:3], dtype=torch.bool)
    if depth is not None:
        mesh = build_dw_mesh(frames, depth)
        visible &= rendering_mask(mesh, sweep_path(mesh), surface=recipe.surface)
    if tracker is not None:
        visible &= tracking_mask(tracker(frames, draw_points(size, generator)), size, generator)
    return visible


def find_depth(source: Source, recipe: Recipe, start: int, clip: Clip) -> VideoDepth:
    """The depth of just this clip, cropped and resized as it was. Raises ValueError where there is none."""
    stem = Path(source.name).with_suffix("")
    places = [source.path.parent / name.format(stem=stem.name) for name in BESIDE] if recipe.depth is None else [
        recipe.depth / f"{stem}{suffix}" for suffix in DEPTH_SUFFIXES]
    place = next((place for place in places if place.exists()), None)
    if place is None:
        raise ValueError(f"no depth: there is no {places[0]}")
    depth = files.read_depth(place, recipe.units, start, len(clip))
    return match_depth(clip.frames, fit_depth(depth, clip.size))


def fit_depth(depth: VideoDepth, size: tuple[int, int]) -> VideoDepth:
    """Depth cropped around its centre to the proportions of size (H, W), as selection.fit crops frames, and resized."""
    height, width = depth.size
    inner = min(height, round(width * size[0] / size[1])), min(width, round(height * size[1] / size[0]))
    top, left = (height - inner[0]) // 2, (width - inner[1]) // 2
    intrinsics = depth.intrinsics.clone()
    intrinsics[:, :2, 2] -= intrinsics.new_tensor([left, top])
    cropped = depth.depth[:, top:top + inner[0], left:left + inner[1]].contiguous()
    return resize_depth(replace(depth, depth=cropped, intrinsics=intrinsics), size)


# ---- all of them --------------------------------------------------------------------------------

MakeEncoders = Callable[[], Encoders]


def prepare(sources: Iterable[Source], recipe: Recipe, out: Path, engine: Literal["processes", "ray"] = "processes",
            workers: int = 1, make_encoders: MakeEncoders | None = None,
            report: Callable[[str], None] = lambda key: None) -> State:
    """Prepare all sources into a folder; what it holds already is not done again.

    make_encoders: called once in every worker; None stores pixels. report: called with the key of each source that is
    done. Raises ValueError where the folder was begun with another recipe.
    """
    check_recipe(recipe, out, make_encoders is not None)
    state = mend(out)
    waiting = state.parts
    shard = 1 + max((int(path.stem.rpartition("-")[2]) for path in out.glob("clips-*.tar")), default=-1)
    run = {"processes": run_processes, "ray": run_ray}[engine]
    for key in run(fresh(sources, state.done), (recipe, out, make_encoders), workers):
        waiting.append(key)
        report(key)
        if len(waiting) >= SHARD_CLIPS:
            gather(out, waiting, shard)
            shard, waiting = shard + 1, []
    if waiting:
        gather(out, waiting, shard)
    return mend(out)


def fresh(sources: Iterable[Source], done: set[str]) -> Iterator[Source]:
    """The sources that are not done, each once."""
    for source in sources:
        if source.key not in done:
            done.add(source.key)
            yield source


def check_recipe(recipe: Recipe, out: Path, latents: bool) -> None:
    """Note the recipe in a new folder; raise ValueError where a folder was begun with another."""
    settings = json.loads(json.dumps({**asdict(recipe), "latents": latents}, default=str))
    path = out / SETTINGS
    out.mkdir(parents=True, exist_ok=True)
    if path.exists():
        begun = json.loads(path.read_text())
        changed = [name for name in settings if settings[name] != begun.get(name)]
        if changed:
            raise ValueError(f"{out}: was begun with {changed[0]}={begun.get(changed[0])}, now it is "
                             f"{settings[changed[0]]}; use that, or another --out")
        return
    with written_whole(path) as part:
        part.write_text(json.dumps(settings, indent=2) + "\n")


class Preparer:
    """Prepares one clip after the other with models that are loaded once."""

    def __init__(self, recipe: Recipe, out: Path, make_encoders: MakeEncoders | None) -> None:
        self.recipe, self.out = recipe, out
        tracks = recipe.masks in ("both", "tracking")
        self.tracker = load_tracker(recipe.tracker, recipe.weights, recipe.code) if tracks else None
        self.encoders = make_encoders() if make_encoders else None

    def __call__(self, source: Source) -> str:
        return prepare_clip(source, self.recipe, self.out, self.tracker, self.encoders)


# ---- side by side in processes ------------------------------------------------------------------

setup: tuple = ()  # of this worker process: what its Preparer is made of


@cache
def own_preparer() -> Preparer:
    """This process's, made when the first source arrives, so that what is wrong with it is told like all else."""
    return Preparer(*setup)


def prepare_here(source: Source) -> str:
    return own_preparer()(source)


def begin_process(*of_preparer) -> None:
    """Work with one thread, and end when the process that began this one does, even if it is killed."""
    global setup
    setup = of_preparer
    torch.set_num_threads(1)
    parent = multiprocessing.parent_process()
    threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()


def run_processes(todo: Iterator[Source], of_preparer: tuple, workers: int) -> Iterator[str]:
    """Keys as their clips are done. Few sources wait at a time, so that memory doesn't grow with their number."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, begin_process, of_preparer) as pool:
        running = {pool.submit(prepare_here, source) for source in islice(todo, WAITING * workers)}
        try:
            while running:
                finished, running = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    yield future.result()
                running |= {pool.submit(prepare_here, source) for source in islice(todo, len(finished))}
        finally:
            pool.shutdown(cancel_futures=True)


# ---- on a cluster -------------------------------------------------------------------------------


class RowPreparer(Preparer):
    """A Preparer of Ray Data's rows."""

    def __call__(self, row: dict) -> dict:
        torch.set_num_threads(1)
        return {"key": super().__call__(Source(Path(row["path"]), row["name"], row["caption"]))}


def run_ray(todo: Iterator[Source], of_preparer: tuple, workers: int) -> Iterator[str]:
    """Keys as Ray Data hands them back, from a cluster whose machines all see the folders, or from this machine."""
    recipe, out, make_encoders = of_preparer
    anywhere = (at_full_paths(recipe), out.resolve(), make_encoders)
    with ray_cluster(workers) as ray:
        while rows := [{"path": str(source.path.resolve()), "name": source.name, "caption": source.caption}
                       for source in islice(todo, RAY_ROWS)]:
            clips = ray.data.from_items(rows, override_num_blocks=len(rows))
            done = clips.map(RowPreparer, fn_constructor_args=anywhere, concurrency=workers)
            yield from (row["key"] for row in done.iter_rows())


def at_full_paths(recipe: Recipe) -> Recipe:
    """The same recipe for processes that stand in other folders."""
    paths = {name: value for name, value in vars(recipe).items() if isinstance(value, Path)}
    return replace(recipe, **{name: path.resolve() for name, path in paths.items()})


@contextmanager
def ray_cluster(workers: int) -> Iterator[ModuleType]:
    """Ray on the cluster at $RAY_ADDRESS, or on this machine; ends it unless the caller had begun it.

    Raises ValueError where Ray is missing.
    """
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise ValueError(f"--engine ray needs {error.name}, which is not installed; pip install 'ray[data]'") from error
    if ray.is_initialized():
        yield ray
        return
    local = {} if "RAY_ADDRESS" in os.environ else {"num_cpus": workers, "include_dashboard": False}
    ray.init(log_to_driver=False, **local)
    try:
        yield ray
    finally:
        ray.shutdown()
