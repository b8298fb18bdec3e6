"""All videos: in processes of this machine or on a Ray cluster, resumable at any moment."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

from ..dataset import Encoders, State, gather, mend
from ..files.damage import reading
from ..files.whole import written_whole
from ..rules import Engine
from ..side_by_side import RAY_ROWS, in_processes, on_a_cluster
from ..tracking import load_tracker
from .one_clip import prepare_clip
from .recipe import Recipe
from .videos import Source

SETTINGS = "settings.json"
SHARD_CLIPS = 64

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


def begin_preparing(job: Job) -> Callable[[Source], str]:
    """What prepares one clip after the other in a worker."""
    return Preparer(job).prepare


def run_processes(todo: Iterator[Source], job: Job, workers: int) -> Iterator[str]:
    """Keys as their clips are done in processes of this machine."""
    return in_processes(todo, partial(begin_preparing, job), workers)


def run_ray(todo: Iterator[Source], job: Job, workers: int) -> Iterator[str]:
    """Keys as their clips are done on a cluster."""
    anywhere = replace(job, recipe=at_full_paths(job.recipe), out=job.out.resolve())
    sources = (replace(source, path=source.path.resolve()) for source in todo)
    return on_a_cluster(sources, partial(begin_preparing, anywhere), workers, RAY_ROWS)


def at_full_paths(recipe: Recipe) -> Recipe:
    """The same recipe for processes that stand in other folders."""
    paths = {name: value for name, value in vars(recipe).items() if isinstance(value, Path)}
    return replace(recipe, **{name: path.resolve() for name, path in paths.items()})
