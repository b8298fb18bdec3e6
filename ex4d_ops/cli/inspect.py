"""`ex4d inspect`: what a depth file holds, and what its mesh is like."""

from __future__ import annotations

from pathlib import Path

from .. import files
from ..inspection import inspect_mesh
from ..mesh import build_dw_mesh
from .options import add_depth_options, add_mesh_options, depth_units, mesh_rules
from .terminal import add_command, describe_size


def add_inspect_command(commands) -> None:
    parser = add_command(commands, "inspect", inspect, "Show what a depth file contains and what its mesh looks like.")
    parser.add_argument("depth", type=Path, help="depth file or folder")
    parser.add_argument("--frame", type=int, default=0, metavar="N",
                        help="frame to build the mesh of, counted from 0 (default: 0)")
    add_depth_options(parser)
    add_mesh_options(parser)


def inspect(options) -> None:
    depth = files.read_depth(options.depth, depth_units(options), options.frame, 1, options.fill_depth,
                             channel=options.depth_channel)
    mesh = build_dw_mesh(depth.depth.new_zeros(*depth.depth.shape, 3), depth, mesh_rules(options))
    units = "meters" if depth.metric else "scene units"
    print(f"{options.depth}, frame {options.frame}: {describe_size(depth.size)}, {units}")
    print(inspect_mesh(mesh, 0))
