"""`ex4d convert-path`: a camera path from one format to another."""

from __future__ import annotations

from pathlib import Path

from .. import files
from .terminal import add_command, describe_size, parse_size


def add_convert_path_command(commands) -> None:
    parser = add_command(commands, "convert-path", convert_path, "A camera path from one format to another.")
    parser.add_argument("source", type=Path, help="json, npz, txt, .chan or a COLMAP folder")
    parser.add_argument("target", type=Path, help=".json, .npz, .txt (RealEstate10K), .chan, or a folder (COLMAP)")
    parser.add_argument("--size", type=parse_size, metavar="WxH", help="picture size, where the source stores none")
    parser.add_argument("--radius", type=float, help="distance of the target, where the source gives angles")
    parser.add_argument("--from", dest="source_format", metavar="FORMAT", help="of the source, where it can't be told")
    parser.add_argument("--to", dest="target_format", metavar="FORMAT", help="of the target, e.g. recammaster")


def convert_path(options) -> None:
    cameras = files.read_path(options.source, options.size, format=options.source_format, radius=options.radius)
    files.write_path(options.target, cameras, options.target_format)
    print(f"{options.target}: {len(cameras)} cameras at {describe_size(cameras.size)}")
