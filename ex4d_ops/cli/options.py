"""Options that several commands take, and what they mean to the library."""

from __future__ import annotations

import argparse
import math
from typing import get_args

from ..depth import DEPTH_KINDS, DepthUnits
from ..files.paths import SCALE_HELP, SETTINGS
from ..mesh import BORDER_DEPTH, MIN_ANGLE, Filter, MeshRules


def add_depth_options(parser) -> None:
    depth = parser.add_argument_group("what the depth file means")
    depth.add_argument("--depth-kind", choices=DEPTH_KINDS,
                       help="where the file doesn't say: depth (z), disparity (1 / z), released (relative disparity as "
                       "the released model reads it), normalized-depth or normalized-disparity (0..1; --near, --far)")
    depth.add_argument("--depth-scale", type=float, default=1.0, metavar="S",
                       help="multiplies the numbers of kind depth or disparity (default: 1)")
    depth.add_argument("--near", type=float, metavar="D", help="nearest depth of a normalized kind, scene units")
    depth.add_argument("--far", type=float, metavar="D", help="farthest depth of a normalized kind, scene units")
    depth.add_argument("--fill-depth", action="store_true",
                       help="fill pixels without depth (NaN, zero, negative) from their neighbours")


def depth_units(options) -> DepthUnits | None:
    """What the numbers of the depth file mean, None where that is left to the file."""
    if options.depth_kind is None:
        return None
    return DepthUnits(options.depth_kind, options.depth_scale, near=options.near, far=options.far)


def add_path_options(parser, named: dict[str, str] | None = None) -> None:
    """How a file of cameras is read: --path-NAME for each of SETTINGS and the scale; named: shorter ones beside it."""
    for name, setting in SETTINGS.items():
        flags = [(named or {}).get(name), f"--path-{name.replace('_', '-')}"]
        shown = {"choices": setting.choices, "default": setting.choices[0]} if setting.choices else {}
        known = f" One of: {', '.join(setting.choices)}." if shown else ""
        parser.add_argument(*filter(None, flags), dest=f"path_{name}", metavar="NAME", help=setting.help + known,
                            **shown)
    parser.add_argument("--path-scale", type=parse_scale, default=1.0, metavar="S",
                        help=f"{SCALE_HELP.format(automatic='auto')} (default: 1)")


def path_settings(options) -> dict[str, object]:
    """What read_path is told by these options."""
    return {name: getattr(options, f"path_{name}") for name in (*SETTINGS, "scale")}


def parse_scale(text: str) -> float | str:
    """"auto", or a number above 0."""
    try:
        scale = math.nan if text == "auto" else float(text)
    except ValueError:
        scale = 0.0
    if text != "auto" and not 0 < scale < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a scale; write auto, or a number above 0")
    return "auto" if text == "auto" else scale


def add_mesh_options(parser) -> None:
    mesh = parser.add_argument_group("mesh")
    mesh.add_argument("--min-angle", type=float, default=MIN_ANGLE, metavar="DEG",
                      help=f"faces with a smaller angle are hidden (default: {MIN_ANGLE})")
    mesh.add_argument("--depth-jump", type=float, metavar="SHARE",
                      help="faces spanning more of the depth range are hidden too (paper: 0.013; default: off)")
    mesh.add_argument("--filter", choices=get_args(Filter), default="angle", help="released test for hidden faces")
    mesh.add_argument("--border-depth", type=float, default=BORDER_DEPTH, metavar="D",
                      help=f"depth of the closing border, scene units (default: {BORDER_DEPTH:g})")
    mesh.add_argument("--no-clamp", action="store_true", help="let far content poke through the border (released code)")


def mesh_rules(options) -> MeshRules:
    """The rules the options ask for. Raises ValueError where one is out of range."""
    if not 0 <= options.min_angle <= 60:
        raise ValueError(f"--min-angle: got {options.min_angle:g}, a face's smallest angle is 0..60 degrees")
    if not options.border_depth > 0:
        raise ValueError(f"--border-depth: got {options.border_depth:g}, must be above 0")
    if options.depth_jump is not None and not options.depth_jump > 0:
        raise ValueError(f"--depth-jump: got {options.depth_jump:g}, must be above 0")
    return MeshRules(options.min_angle, options.depth_jump, options.filter, options.border_depth, not options.no_clamp)
