"""`ex4d evaluate plan`: folders in which the videos of methods are dropped, to be compared."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ..clip import WAN_GRID, check_wan_length, wan_size
from ..evaluation.methods import METHODS
from ..evaluation.runs import RANGES
from ..preparation.videos import Source, find_depth_file, list_sources
from ..rules import SCENE_NAMES
from .evaluate import add_work_options, count_workers
from .options import add_fit_option
from .terminal import add_command, describe_size, parse_size, say

EPILOG = """\
examples:
  ex4d evaluate plan videos/ --out runs --ranges 30,60,90,full --methods ex-4d,vace,uni3c,recammaster
  ex4d evaluate plan --scenes gallery,street --out runs --ranges 30 --methods ex-4d,vace

With --depth depth, the depth of videos/a/b.mp4 is depth/a/b.npz (or .npy, .exr, .mkv, .mp4, or a folder a/b). Without
it, it is videos/a/b.npz or videos/a/depth.npz.

Each runs/CLIP/RANGE/ gets the clip, its depth, its prior, and a folder per method with the path in its file format, its
guide video, and workflow_api.json where ComfyUI runs it: link runs/ into ComfyUI's input folder and queue it. Put the
video of a method into its folder as result.mp4, then run ex4d evaluate runs --out report.
"""


def add_plan_command(commands) -> None:
    parser = add_command(commands, "evaluate plan", make_plan, "Make the folders for videos to compare.", EPILOG)
    parser.add_argument("clips", type=Path, nargs="?", metavar="CLIPS",
                        help="folder of videos, or CSV file with a column video (default: only --scenes)")
    parser.add_argument("--scenes", type=parse_names, default=[], metavar="NAMES",
                        help=f"procedural scenes, whose exact views are known: {', '.join(SCENE_NAMES)} (default: "
                        "none)")
    parser.add_argument("--out", type=Path, required=True, help="folder for the runs")
    parser.add_argument("--ranges", type=parse_names, default=list(RANGES), metavar="NAMES",
                        help="released paths: 30, 60, 90, and full, which is the preset 180 (default: all)")
    parser.add_argument("--methods", type=parse_names, default=list(METHODS), metavar="NAMES",
                        help=f"methods to make folders for: {', '.join(METHODS)} (default: all)")
    parser.add_argument("--depth", type=Path, metavar="DIR",
                        help="folder of depth files named like the videos (default: the videos' folder)")
    parser.add_argument("--frames", type=int, default=49, metavar="T",
                        help="number of frames per clip, 4k+1 as Wan needs (default: 49)")
    parser.add_argument("--size", type=parse_size, default=(512, 512), metavar="WxH",
                        help="size of the clips in pixels, multiples of 16 (default: 512x512)")
    add_fit_option(parser, "crop", "that count as seen")
    parser.add_argument("--seed", type=int, default=0, help="random seed of the scenes (default: 0)")
    add_work_options(parser)


def parse_names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def make_plan(options) -> None:
    check_options(options)
    workers = count_workers(options)
    from tqdm import tqdm

    from ..evaluation.plan import Planned, PlanRules, plan

    rules = PlanRules(options.frames, options.size, options.fit, tuple(options.methods), options.seed)
    wanted = [Planned(clip, span, source, depth) for clip, source, depth in find_clips(options)
              for span in options.ranges]
    if not wanted:
        raise ValueError(f"{options.clips}: does not contain videos; give a folder of videos, or --scenes")
    with tqdm(total=len(wanted), desc="planning", unit="folder", disable=None) as bar:
        told = plan(wanted, rules, options.out, options.engine, workers, lambda each: bar.update())
    for each in told:
        for said in (each.refusal, *each.remarks):
            if said:
                say(said)
    refused = sum(bool(each.refusal) for each in told)
    print(f"{options.out}: {len(wanted) - refused} folders for {len(options.methods)} methods; {refused} left out")


def check_options(options) -> None:
    """Raise ValueError where an option cannot be meant."""
    check_wan_length(options.frames)
    if options.size != wan_size(options.size):
        raise ValueError(f"--size: Wan needs multiples of {WAN_GRID}, got {describe_size(options.size)}; "
                         f"use {describe_size(wan_size(options.size))}")
    if options.fit == "pad":
        raise ValueError("--fit: pad adds bars, which have no depth; use crop or stretch")
    for name, known in (("scenes", SCENE_NAMES), ("ranges", RANGES), ("methods", METHODS)):
        if wrong := [each for each in getattr(options, name) if each not in known]:
            raise ValueError(f"--{name}: {wrong[0]!r} is not known; use {', '.join(known)}")
    if options.clips is None and not options.scenes:
        raise ValueError("CLIPS: is missing; give a folder of videos, or --scenes")


def find_clips(options) -> Iterator[tuple[str, Path | None, Path | None]]:
    """The name, file and depth of every clip; no files of procedural scenes."""
    if options.clips is not None:
        for source in list_sources(options.clips):
            yield source.key, source.path.resolve(), find_depth(source, options.depth)
    yield from ((scene, None, None) for scene in options.scenes)


def find_depth(source: Source, folder: Path | None) -> Path | None:
    """The file of a clip's depth, None where it is not found: such a clip is left out, and the rest is planned."""
    try:
        return find_depth_file(source, folder).resolve()
    except ValueError:
        return None
