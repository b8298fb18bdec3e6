"""Options that several commands take, and what they mean to the library."""

from __future__ import annotations

from typing import get_args

from ..depth import DEPTH_KINDS, DepthUnits
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
    mesh.add_argument("--min-confidence", type=float, metavar="SHARE",
                      help="faces of which the depth's source is less sure are hidden too, 0 to 1 (default: off)")


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
    if options.min_confidence is not None and not 0 < options.min_confidence <= 1:
        raise ValueError(f"--min-confidence: got {options.min_confidence:g}, must be above 0 and at most 1")
    return MeshRules(options.min_angle, options.depth_jump, options.filter, options.border_depth, not options.no_clamp,
                     hidden_reach(options), options.min_confidence)
