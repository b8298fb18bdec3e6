"""Options that several commands take, and what they mean to the library."""

from __future__ import annotations

import argparse
import math
from typing import get_args

from ..depth import DEPTH_KINDS, UNIT_SETTINGS, DepthUnits, UnitSetting
from ..files.paths import SCALE_HELP, SETTINGS
from ..mesh import BORDER_DEPTH, MIN_ANGLE, Filter, MeshRules

FLAGS = {"scale": "--depth-scale", "shift": "--depth-shift", "metric": "--depth-metric", "near": "--near",
         "far": "--far"}  # of the settings of depth kinds


def add_depth_options(parser) -> None:
    depth = parser.add_argument_group("what the depth file means")
    depth.add_argument("--depth-kind", choices=DEPTH_KINDS,
                       help="where the file doesn't say: depth (z), disparity (1 / z), released (relative disparity as "
                       "the released model reads it), normalized-depth or normalized-disparity (0..1; --near, --far)")
    for name, flag in FLAGS.items():
        of_kinds = {kind: setting for kind, settings in UNIT_SETTINGS.items() for setting in settings
                    if setting.name == name}
        default = next(iter(of_kinds.values())).default
        if isinstance(default, bool):
            depth.add_argument(flag, action="store_true", help=describe_setting(of_kinds))
        else:
            depth.add_argument(flag, type=float, metavar="N", default=None if name in ("near", "far") else default,
                               help=describe_setting(of_kinds))
    depth.add_argument("--depth-channel", metavar="NAME",
                       help="channel of an EXR, or array of an npz, that holds the depth (default: found by its name)")
    depth.add_argument("--fill-depth", action="store_true",
                       help="fill pixels without depth (NaN, zero, negative) from their neighbours")


def describe_setting(of_kinds: dict[str, UnitSetting]) -> str:
    """What a setting does, and which depth kinds have it."""
    kinds: dict[str, list[str]] = {}
    for kind, setting in of_kinds.items():
        kinds.setdefault(setting.text.rstrip("."), []).append(kind)
    return "; ".join(f"{', '.join(names)}: {text[0].lower()}{text[1:]}" for text, names in kinds.items())


def depth_units(options) -> DepthUnits | None:
    """What the numbers of the depth file mean, None where that is left to the file."""
    settings = {name: getattr(options, flag.removeprefix("--").replace("-", "_")) for name, flag in FLAGS.items()}
    if options.depth_kind is not None:
        return DepthUnits(options.depth_kind, **settings)
    for name, value in settings.items():
        if value != getattr(DepthUnits, name):
            raise ValueError(f"{FLAGS[name]}: is of no use without --depth-kind; say what the numbers mean with it")
    return None


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
    add_reach_option(mesh)


def add_reach_option(group) -> None:
    group.add_argument("--hidden-reach", type=float, metavar="SHARE",
                       help="how far behind their nearest corner hidden faces reach, as a share of its depth; 0.1 "
                            "shows more of what the source saw than the default: all the way, as released")


def hidden_reach(options) -> float | None:
    """The reach the option asks for. Raises ValueError where it is out of range."""
    if options.hidden_reach is not None and not options.hidden_reach > 0:
        raise ValueError(f"--hidden-reach: got {options.hidden_reach:g}, must be above 0; leave it out for faces that "
                         "reach all the way, as released")
    return options.hidden_reach


def mesh_rules(options) -> MeshRules:
    """The rules the options ask for. Raises ValueError where one is out of range."""
    if not 0 <= options.min_angle <= 60:
        raise ValueError(f"--min-angle: got {options.min_angle:g}, a face's smallest angle is 0..60 degrees")
    if not options.border_depth > 0:
        raise ValueError(f"--border-depth: got {options.border_depth:g}, must be above 0")
    if options.depth_jump is not None and not options.depth_jump > 0:
        raise ValueError(f"--depth-jump: got {options.depth_jump:g}, must be above 0")
    return MeshRules(options.min_angle, options.depth_jump, options.filter, options.border_depth, not options.no_clamp,
                     hidden_reach(options))
