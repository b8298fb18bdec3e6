"""`ex4d inspect`: what a depth file holds, and what its mesh is like."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from .options import add_depth_options, add_mesh_options, depth_units, mesh_rules
from .terminal import add_command, check_exists, describe_size, progress_bar

if TYPE_CHECKING:
    from ..mesh import DWMesh

WIDEST_YAW, WIDEST_PITCH, STEP = 90.0, 45.0, 15.0  # degrees looked at with --angles


def add_inspect_command(commands) -> None:
    parser = add_command(commands, "inspect", inspect, "Show what a depth file contains and what its mesh looks like.")
    parser.add_argument("depth", type=Path, help="depth file or folder")
    parser.add_argument("--frame", type=int, default=0, metavar="N",
                        help="frame to build the mesh of, counted from 0 (default: 0)")
    angles = parser.add_argument_group("angles")
    angles.add_argument("--angles", type=Path, metavar="PNG",
                        help="file for a picture of the share of every view around the frame that it has seen; also "
                             "prints how far the camera can go (default: none)")
    angles.add_argument("--share", type=float, default=0.6,
                        help="smallest share of the picture that must be seen with --angles (default: 0.6)")
    add_depth_options(parser)
    add_mesh_options(parser)


def inspect(options) -> None:
    units, rules = depth_units(options), mesh_rules(options)
    if options.angles is not None and not 0 < options.share < 1:
        raise ValueError(f"--share: got {options.share:g}, must be between 0 and 1")
    check_exists(options.depth)
    from .. import files
    from ..inspection import inspect_mesh
    from ..mesh import build_dw_mesh

    depth = files.read_depth(options.depth, units, options.frame, 1, options.fill_depth,
                             channel=options.depth_channel)
    mesh = build_dw_mesh(depth.depth.new_zeros(*depth.depth.shape, 3), depth, rules)
    units = "meters" if depth.metric else "scene units"
    print(f"{options.depth}, frame {options.frame}: {describe_size(depth.size)}, {units}")
    print(inspect_mesh(mesh, 0))
    if options.angles is not None:
        draw_angles(options, mesh)


def draw_angles(options, mesh: DWMesh) -> None:
    """Write the map of coverage, and print it with the widest angles."""
    import torch

    from .. import files
    from ..plot import plot_coverage
    from ..preflight import angles_around, coverage_map, widest_angles

    yaw, pitch = (angles_around(math.radians(limit), math.radians(STEP)) for limit in (WIDEST_YAW, WIDEST_PITCH))
    with progress_bar("looking around", "view") as progress:
        shares = coverage_map(mesh, yaw, pitch, progress=progress)
    widest = widest_angles(shares, yaw, pitch, options.share)
    files.write_picture(options.angles, plot_coverage(shares, yaw, pitch, widest))
    print("degrees".rjust(7), *(f"{angle:4.0f}" for angle in torch.rad2deg(yaw)))
    for angle, row in zip(torch.rad2deg(pitch).flip(0), shares.flip(0)):
        print(f"{angle:7.0f}", *(f"{share:4.0%}" for share in row))
    print(widest)
