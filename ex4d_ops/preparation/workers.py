"""All videos: in processes of this machine or on a Ray cluster, resumable at any moment."""

from __future__ import annotations

import json
import multiprocessing
import os
import pickle
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cache
from itertools import islice
from pathlib import Path
from types import ModuleType

import torch

from ..dataset import Encoders, State, gather, mend
from ..files.damage import reading
from ..files.whole import written_whole
from ..tracking import load_tracker
from .one_clip import prepare_clip
from .recipe import Engine, Recipe
from .videos import Source

SETTINGS = "settings.json"
SHARD_CLIPS = 64
WAITING = 2  # videos handed to each worker ahead of time
RAY_ROWS = 4096  # handed to Ray at once; it keeps some 10 KB of each until the last of them is done

MakeEncoders = Callable[[], Encoders]


@dataclass(frozen=True)
class Job:
    """What every worker is told. make_encoders: called once in each of them; None stores pixels."""

    recipe: Recipe
    out: Path
    make_encoders: MakeEncoders | None


def prepare(sources: Iterable[Source], recipe: Recipe, out: Path, engine: Engine = "processes",
            workers: int = 1, make_encoders: MakeEncoders | None = None,
            report: Callable[[str], object] = lambda key: None) -> State:
    """Prepare all sources into a folder; what it holds already is not done again.

    make_encoders: called once in every worker; None stores pixels. report: called with the key of each source that is
    done. Raises ValueError where the folder was begun with another recipe.
    """
    check_recipe(recipe, out, make_encoders is not None)
    state = mend(out)
    waiting = state.parts
    shard = 1 + max((int(path.stem.rpartition("-")[2]) for path in out.glob("clips-*.tar")), default=-1)
    run = {"processes": run_processes, "ray": run_ray}[engine]
    for key in run(fresh(sources, state.done), Job(recipe, out, make_encoders), workers):
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
    settings = describe(recipe) | {"latents": latents}
    path = out / SETTINGS
    out.mkdir(parents=True, exist_ok=True)
    if path.exists():
        with reading(path, "the recipe of a folder", "use another --out"):
            begun = describe(Recipe()) | json.loads(path.read_text(encoding="utf-8"))  # what older folders don't say
        changed = [name for name in settings if settings[name] != begun.get(name)]
        if changed:
            raise ValueError(f"{out}: was started with {changed[0]}={begun.get(changed[0])}, but now it is "
                             f"{settings[changed[0]]}; use the first value, or another --out")
        return
    with written_whole(path) as part:
        part.write_text(json.dumps(settings, indent=2) + "\n")


def describe(recipe: Recipe) -> dict:
    """A recipe as json holds it."""
    return json.loads(json.dumps(asdict(recipe), default=str))


class Preparer:
    """Prepares one clip after the other with models that are loaded once."""

    def __init__(self, job: Job) -> None:
        self.job, recipe = job, job.recipe
        tracks = recipe.masks in ("both", "tracking")
        self.tracker = load_tracker(recipe.tracker, recipe.weights, recipe.code) if tracks else None
        self.encoders = job.make_encoders() if job.make_encoders else None

    def prepare(self, source: Source) -> str:
        """Prepare one clip; its key."""
        return prepare_clip(source, self.job.recipe, self.job.out, self.tracker, self.encoders)


# ---- side by side in processes ------------------------------------------------------------------


def prepare_here(packed: bytes, source: Source) -> str:
    """Prepare one clip in this worker process. packed: the Job, pickled."""
    return own_preparer(packed).prepare(source)


@cache
def own_preparer(packed: bytes) -> Preparer:
    """This process's, made when the first source arrives, so that what is wrong with it is told like all else."""
    return Preparer(pickle.loads(packed))


def begin_process() -> None:
    """Work with one thread, and end when the process that began this one does, even if it is killed."""
    torch.set_num_threads(1)
    if parent := multiprocessing.parent_process():
        threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()


def run_processes(todo: Iterator[Source], job: Job, workers: int) -> Iterator[str]:
    """Keys as their clips are done. Few sources wait at a time, so that memory doesn't grow with their number."""
    context, packed = multiprocessing.get_context("spawn"), pickle.dumps(job)
    with ProcessPoolExecutor(workers, context, begin_process) as pool:
        running = {pool.submit(prepare_here, packed, source) for source in islice(todo, WAITING * workers)}
        try:
            while running:
                finished, running = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    yield future.result()
                running |= {pool.submit(prepare_here, packed, source) for source in islice(todo, len(finished))}
        finally:
            pool.shutdown(cancel_futures=True)


# ---- on a cluster -------------------------------------------------------------------------------


class RowPreparer:
    """What Ray Data makes once in every worker and calls with each row."""

    def __init__(self, job: Job) -> None:
        self.preparer = Preparer(job)

    def __call__(self, row: dict) -> dict:
        torch.set_num_threads(1)
        return {"key": self.preparer.prepare(Source(Path(row["path"]), row["name"], row["caption"]))}


def run_ray(todo: Iterator[Source], job: Job, workers: int) -> Iterator[str]:
    """Keys as Ray Data hands them back, from a cluster whose machines all see the folders, or from this machine."""
    anywhere = replace(job, recipe=at_full_paths(job.recipe), out=job.out.resolve())
    with ray_cluster(workers) as ray:
        while rows := [{"path": str(source.path.resolve()), "name": source.name, "caption": source.caption}
                       for source in islice(todo, RAY_ROWS)]:
            clips = ray.data.from_items(rows, override_num_blocks=len(rows))
            done = clips.map(RowPreparer, fn_constructor_args=(anywhere,), concurrency=workers)
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
        raise ValueError(f"--engine ray needs {error.name}, which is not installed; install it with: pip install "
                         "'ray[data]'") from error
    if ray.is_initialized():
        yield ray
        return
    local = {} if "RAY_ADDRESS" in os.environ else {"num_cpus": workers, "include_dashboard": False}
    ray.init(log_to_driver=False, **local)
    try:
        yield ray
    finally:
        ray.shutdown()
