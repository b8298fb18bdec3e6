"""What networks have seen, kept by what was shown: nothing is looked at twice, under whatever name it comes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Literal

import torch
from safetensors.numpy import load_file, save_file

from ..files.damage import reading
from ..files.whole import sweep, written_whole
from ..rules import Engine
from .all_runs import WORK
from .networks import NETWORKS, Seen, Sight, read_frames
from .runs import COLOR, VISIBLE, Run
from .weights import ALEXNET, CLIP, EVALUATORS

SEEN = "seen"  # folder of what was seen, in that of what is measured
SEEN_AS = 1  # counted up when networks are shown something else
BLOCK = 1 << 20  # bytes read at once
Against = Literal["source", "exact"]  # which frames distributions are compared with


def list_sights(network: str, run: Run, entry: dict, against: Against) -> list[Sight]:
    """What a network must see of a run that was measured, its own video first."""
    height, width = entry["size"]
    own = Sight(run.video, len(entry["frames"]["psnr"]), (height, width))
    if network == ALEXNET:
        return [replace(own, reference=run.exact or run.prior / COLOR, visible=run.prior / VISIBLE,
                        exact=run.exact is not None)]
    if network == CLIP:
        return [replace(own, prompt=run.prompt), replace(own, video=run.source)]
    other = run.source if against == "source" else run.exact
    return [own, *([] if other is None else [replace(own, video=other)])]


def look(network: str, sights: Sequence[Sight], weights: Path, parts: Path, device: str, engine: Engine, workers: int,
         report: Callable[[str], object]) -> dict[Sight, str]:
    """Let a network see what it has not, and say why it cannot of those that are damaged.

    report: called for each that is done. Raises ValueError where it cannot be loaded.
    """
    (parts / SEEN).mkdir(parents=True, exist_ok=True)
    sweep(parts / SEEN)
    places = {sight: place_of(network, sight, weights, parts) for sight in sights}
    todo = {place.resolve(): sight for sight, place in places.items() if not place.exists()}
    begin = partial(begin_looking, network, weights.resolve(), device)
    refused = {}
    for place, said in WORK[engine](iter(todo.items()), begin, workers) if todo else ():
        if place is None:
            raise ValueError(said)
        report(said)
        if said:
            refused[place.name] = said
    return {sight: refused[place.name] for sight, place in places.items() if place.name in refused}


def begin_looking(network: str, weights: Path, device: str
                  ) -> Callable[[tuple[Path, Sight]], tuple[Path | None, str]]:
    """What lets a network see one video after the other in a worker; it tells where that is kept, and why it is not.

    A network that cannot be loaded is told as None and why: what a worker raises is not the same on every engine.
    """
    try:
        see = NETWORKS[network].load(weights, torch.device(device))
    except ValueError as error:
        said = str(error)
        return lambda item: (None, said)

    def work(item: tuple[Path, Sight]) -> tuple[Path, str]:
        place, sight = item
        try:
            seen = see(read_frames(sight.video, sight), sight)
        except (ValueError, OSError) as error:
            return place, str(error)
        with written_whole(place) as part:
            save_file(seen, part)
        return place, ""

    return work


def recall(network: str, sight: Sight, weights: Path, parts: Path) -> Seen:
    """What a network has seen. Raises ValueError where that file is damaged."""
    path = place_of(network, sight, weights, parts)
    with reading(path, "what a network has seen", "delete it, and run the command again"):
        return load_file(path)


def place_of(network: str, sight: Sight, weights: Path, parts: Path) -> Path:
    """Where what a network sees is kept: a name that only the same contents, weights and sizes have."""
    shown = [digest(path) for path in (sight.video, sight.reference, sight.visible) if path is not None]
    told = (SEEN_AS, digest_weights(network, weights), shown, sight.frames, sight.size, sight.exact, sight.prompt)
    return parts / SEEN / f"{network}-{hashlib.sha256(repr(told).encode()).hexdigest()[:20]}.safetensors"


def digest_weights(network: str, weights: Path) -> list[tuple[str, int]]:
    """Enough to know other weights by, without reading gigabytes."""
    place = weights / EVALUATORS[network].place
    return [(path.name, path.stat().st_size) for path in sorted([place, *place.glob("*")]) if path.is_file()]


def digest(path: Path) -> str:
    """What tells the contents of a file or a folder of images from others."""
    paths = sorted(path.iterdir()) if path.is_dir() else [path]
    return digest_files(tuple((str(each), each.stat().st_mtime_ns) for each in paths if each.is_file()))


@cache
def digest_files(stamped: tuple[tuple[str, int], ...]) -> str:
    found = hashlib.sha256()
    for path, _ in stamped:
        with open(path, "rb") as file:
            while block := file.read(BLOCK):
                found.update(block)
    return found.hexdigest()
