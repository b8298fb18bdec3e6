"""Options that several commands take, and what they mean to the library."""

from __future__ import annotations

import argparse
import math
from typing import get_args

from ..clip import FITS, Fit
from ..depth_units import DEPTH_KINDS, UNIT_SETTINGS, DepthUnits, UnitSetting
from ..files.path_settings import SCALE_HELP, SETTINGS
from ..rules import BORDER_DEPTH, MIN_ANGLE, Filter, MeshRules, RenderRules

FLAGS = {"scale": "--depth-scale", "shift": "--depth-shift", "metric": "--depth-metric", "near": "--near",
         "far": "--far"}  # of the settings of depth kinds
ON_A_CLUSTER = "ray"  # beside the names of renderers, as --engine of prepare calls it
BACKGROUND_REACH = 0.1  # of --hidden-reach with --background: what reaches all the way would cover what can be filled


def add_depth_options(parser) -> None:
    depth = parser.add_argument_group("meaning of the depth file")
    depth.add_argument("--depth-kind", choices=DEPTH_KINDS,
                       help="what the numbers mean: depth (z), disparity (1 / z), released (relative disparity as in "
                       "EX-4D), normalized-depth or normalized-disparity (0..1, with --near and --far) (default: as "
                       "the file says)")
    for name, flag in FLAGS.items():
        of_kinds = {kind: setting for kind, settings in UNIT_SETTINGS.items() for setting in settings
                    if setting.name == name}
        default = next(iter(of_kinds.values())).default
        if isinstance(default, bool):
            depth.add_argument(flag, action="store_true", help=describe_setting(of_kinds))
        else:
            depth.add_argument(flag, type=float, metavar="N", default=None if name in ("near", "far") else default,
                               help=f"{describe_setting(of_kinds)} (default: {default:g})")
    depth.add_argument("--depth-channel", metavar="NAME",
                       help="EXR channel or npz array that contains the depth (default: found by its name)")
    depth.add_argument("--fill-depth", action="store_true",
                       help="fill pixels without depth (NaN, zero, negative) from their neighbors")


def describe_setting(of_kinds: dict[str, UnitSetting]) -> str:
    """What a setting does, and which depth kinds have it."""
    kinds: dict[str, list[str]] = {}
    for kind, setting in of_kinds.items():
        kinds.setdefault(as_help(setting.text), []).append(kind)
    return "; ".join(f"{', '.join(names)}: {text}" for text, names in kinds.items())


def depth_units(options) -> DepthUnits | None:
    """What the numbers of the depth file mean, None where that is left to the file."""
    settings = {name: getattr(options, flag.removeprefix("--").replace("-", "_")) for name, flag in FLAGS.items()}
    if options.depth_kind is not None:
        return DepthUnits(options.depth_kind, **settings)
    for name, value in settings.items():
        if value != getattr(DepthUnits, name):
            raise ValueError(f"{FLAGS[name]}: is used only with --depth-kind; add it, or leave {FLAGS[name]} out")
    return None


def as_help(tooltip: str) -> str:
    """A tooltip as the help of an option: what it does when on, beginning small and without a period at the end."""
    said = tooltip.removeprefix("On: ").partition(" Off: ")[0]
    return said[0].lower() + said[1:].removesuffix(".")


def add_path_options(parser, named: dict[str, str] | None = None) -> None:
    """How a file of cameras is read: --path-NAME for each of SETTINGS and the scale; named: shorter ones beside it."""
    for name, setting in SETTINGS.items():
        flags = [(named or {}).get(name), f"--path-{name.replace('_', '-')}"]
        shown = {"choices": setting.choices, "default": setting.choices[0]} if setting.choices else {}
        known = f". One of: {', '.join(setting.choices)} (default: {setting.choices[0]})" if shown else ""
        parser.add_argument(*filter(None, flags), dest=f"path_{name}", metavar="NAME",
                            help=as_help(setting.help) + known, **shown)
    parser.add_argument("--path-scale", type=parse_scale, default=1.0, metavar="S",
                        help=f"{as_help(SCALE_HELP.format(automatic='auto'))} (default: 1)")


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


def add_fit_option(parser, default: Fit, bars: str) -> None:
    """What becomes of a clip of another shape. bars: what those of "pad" count as."""
    said = "; ".join(f"{fit}: {does}" + (f" {bars}" if fit == "pad" else "") for fit, does in FITS.items())
    parser.add_argument("--fit", choices=list(FITS), default=default,
                        help=f"what to do if a clip has another aspect ratio than --size. {said} (default: {default})")


def add_mesh_options(parser) -> None:
    mesh = parser.add_argument_group("mesh")
    mesh.add_argument("--min-angle", type=float, default=MIN_ANGLE, metavar="DEG",
                      help=f"smallest angle of a visible face, in degrees, 0..60 (default: {MIN_ANGLE})")
    mesh.add_argument("--depth-jump", type=float, metavar="SHARE",
                      help="hide faces that span more than SHARE of the depth range (paper: 0.013; default: off)")
    mesh.add_argument("--filter", choices=get_args(Filter), default="angle",
                      help="how to find hidden faces: by --min-angle, by the slope test of the released code, or by "
                           "--min-angle and small gaps in depth too (default: angle)")
    mesh.add_argument("--border-depth", type=float, default=BORDER_DEPTH, metavar="D",
                      help=f"depth of the border that closes the mesh, in scene units (default: {BORDER_DEPTH:g})")
    mesh.add_argument("--no-clamp", action="store_true",
                      help="leave what lies behind the border where it is, as in the released code")
    add_reach_option(mesh)
    mesh.add_argument("--min-confidence", type=float, metavar="SHARE",
                      help="hide faces of which the depth model is less sure than this share, from 0, the least sure "
                           "in the clip, to 1, the most sure; if the depth does not say, it is how well neighboring "
                           "frames agree (default: off)")


def add_reach_option(group) -> None:
    group.add_argument("--hidden-reach", type=float, metavar="SHARE",
                       help="how far hidden faces reach behind their nearest corner, as a share of its depth, and "
                       "less behind thin things; 0.1 shows more of what the source saw (default: all the way, as "
                       "released)")


def hidden_reach(options) -> float | None:
    """The reach the option asks for. Raises ValueError where it is out of range."""
    if options.hidden_reach is not None and not options.hidden_reach > 0:
        raise ValueError(f"--hidden-reach: got {options.hidden_reach:g}, must be above 0; leave it out for faces that "
                         "reach all the way, as released")
    return options.hidden_reach


def mesh_rules(options) -> MeshRules:
    """The rules the options ask for. Raises ValueError where one is out of range."""
    if not 0 <= options.min_angle <= 60:
        raise ValueError(f"--min-angle: got {options.min_angle:g}, must be 0..60 degrees")
    if not options.border_depth > 0:
        raise ValueError(f"--border-depth: got {options.border_depth:g}, must be above 0")
    if options.depth_jump is not None and not options.depth_jump > 0:
        raise ValueError(f"--depth-jump: got {options.depth_jump:g}, must be above 0")
    if options.min_confidence is not None and not 0 < options.min_confidence <= 1:
        raise ValueError(f"--min-confidence: got {options.min_confidence:g}, must be above 0 and at most 1")
    return MeshRules(options.min_angle, options.depth_jump, options.filter, options.border_depth, not options.no_clamp,
                     hidden_reach(options), options.min_confidence)


def render_rules(options) -> RenderRules:
    return RenderRules(options.texture, not options.no_anchor, options.erosion, options.seed, options.surface)
