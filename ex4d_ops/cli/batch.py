"""What `ex4d prior` does with a folder of clips: a folder of results for each, several of them at once."""

from __future__ import annotations

import argparse
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from ..files.damage import reading
from ..files.footage import PICTURE_SUFFIXES
from ..preparation.videos import Source, find_depth_file, list_sources
from ..side_by_side import in_processes, on_a_cluster
from .options import ON_A_CLUSTER
from .rendering import RUN, describe_settings, render
from .terminal import attempt, progress_bar, say


def find_clips(options) -> list[Source]:
    """The videos of the folder of the options, none where it holds pictures: they are the frames of one clip."""
    if any(file.suffix.lower() in PICTURE_SUFFIXES for file in options.input.iterdir()):
        return []
    made = [place.resolve() for place in (options.out, options.depth) if place is not None]
    return [clip for clip in list_sources(options.input)
            if not any(place in clip.path.resolve().parents and place != options.input.resolve() for place in made)]


def draw_clips(options, clips: list[Source]) -> None:
    """Make the priors of clips that are not there yet. Raises ValueError, once the rest are made, where one failed."""
    check_clips(options, clips)
    todo = [clip for clip in clips if not is_done(options, clip)]
    if len(todo) < len(clips):
        say(f"{options.out}: {len(clips) - len(todo)} of {len(clips)} clips are done already")
    failed = 0
    with progress_bar("clips", "clip") as progress:
        for done, wrong in enumerate(run(options, iter(todo)), 1):
            progress(done, len(todo))
            if wrong is not None:
                failed += 1
                say(f"error: {wrong}")
    print(f"{options.out}: {len(clips) - failed} of {len(clips)} clips are done")
    if failed:
        raise ValueError(f"{options.input}: {failed} of {len(clips)} clips cannot be made, as said above; repair them, "
                         "and the same command makes what is left")


def run(options, clips: Iterator[Source]) -> Iterator[str | None]:
    """What was wrong with each clip, None where nothing was, as they are done."""
    workers = options.jobs or 1
    if options.engine == ON_A_CLUSTER:
        full = {name: value.resolve() for name, value in vars(options).items() if isinstance(value, Path)}
        anywhere = argparse.Namespace(**vars(options) | full)
        return on_a_cluster((Source(clip.path.resolve(), clip.name) for clip in clips),
                            partial(begin_drawing, anywhere), workers)
    threads = max(1, (os.cpu_count() or 1) // workers)
    return in_processes(clips, partial(begin_drawing, options), workers, threads)


def begin_drawing(options) -> Callable[[Source], str | None]:
    """What makes the prior of one clip after the other in a worker, and tells what was wrong with it."""

    def draw(clip: Source) -> str | None:
        wrong = attempt(lambda: render(of_clip(options, clip)))
        return wrong if wrong is None or str(clip.path) in wrong else f"{clip.path}: {wrong}"

    return draw


def of_clip(options, clip: Source) -> argparse.Namespace:
    """The options for one clip. Raises ValueError where its depth is not there."""
    own = {"input": clip.path, "out": result_folder(options, clip), "jobs": None,
           "engine": "auto" if options.engine == ON_A_CLUSTER else options.engine,
           "depth": None if options.depth is None else find_depth_file(clip, options.depth)}
    return argparse.Namespace(**vars(options) | own)


def result_folder(options, clip: Source) -> Path:
    return options.out / Path(clip.name).with_suffix("")


def is_done(options, clip: Source) -> bool:
    """Whether a run with the same settings has made all of a clip, and neither it nor its depth has changed since."""
    run = result_folder(options, clip) / RUN
    try:
        own = of_clip(options, clip)
        with reading(run, "the settings of a run"):
            settings = json.loads(run.read_text(encoding="utf-8"))["settings"]
        newest = max(file.stat().st_mtime for file in (own.input, own.depth) if file is not None)
        return settings == describe_settings(own) and newest <= run.stat().st_mtime
    except (ValueError, OSError, TypeError, KeyError):  # it is made again, which says what is wrong
        return False


def check_clips(options, clips: list[Source]) -> None:
    """Raise ValueError where the options cannot be meant for many clips."""
    if options.subject is not None or options.moving is not None:
        raise ValueError("--subject, --moving: are masks of one clip, but the input is a folder of clips; leave them "
                         "out")
    if options.out.resolve() == options.input.resolve():
        raise ValueError(f"--out: {options.out} is the folder of clips; use another, so that results are not taken for "
                         "clips")
    if options.depth is not None and not options.depth.is_dir():
        raise ValueError(f"--depth: {options.depth} is the depth of one clip, but {options.input} is a folder of "
                         "clips; use a folder of depth files named like the clips")
    folder, count = Counter(result_folder(options, clip) for clip in clips).most_common(1)[0]
    if count > 1:
        raise ValueError(f"{options.input}: {count} clips are called {folder.relative_to(options.out)}, and would "
                         "be written to one folder; rename all but one")
