"""`ex4d convert-path` and `ex4d convert-checkpoint`: a camera path, or EX-4D's weights, in another format."""

from __future__ import annotations

from pathlib import Path

from ..files.path_settings import READ_SUFFIXES
from .options import add_path_options, path_settings
from .terminal import add_command, check_exists, describe_size, parse_size


def add_convert_path_command(commands) -> None:
    parser = add_command(commands, "convert-path", convert_path, "Convert a camera path to another format.")
    parser.add_argument("source", type=Path, help=f"file to read ({', '.join(sorted(READ_SUFFIXES))}) or COLMAP folder")
    parser.add_argument("target", type=Path,
                        help="file to write (.json, .npz, .txt for RealEstate10K, .chan) or COLMAP folder")
    parser.add_argument("--size", type=parse_size, metavar="WxH",
                        help="picture size in pixels, if the source does not store one")
    parser.add_argument("--radius", type=float,
                        help="distance to the target in scene units, if the source gives angles")
    parser.add_argument("--frames", type=int, metavar="T",
                        help="number of frames of the path, if the source gives keyframes or with --path-length fit")
    parser.add_argument("--to", dest="target_format", metavar="FORMAT",
                        help="format of the target, e.g. recammaster (default: by its name)")
    add_path_options(parser.add_argument_group("reading the source"), {"format": "--from", "camera": "--camera"})


def convert_path(options) -> None:
    if options.frames is not None and options.frames < 1:
        raise ValueError(f"--frames: got {options.frames}, must be 1 or more")
    check_exists(options.source)
    from .. import files

    cameras = files.read_path(options.source, options.size, options.frames, radius=options.radius,
                              **path_settings(options))
    files.write_path(options.target, cameras, options.target_format)
    print(f"{options.target}: {len(cameras)} cameras at {describe_size(cameras.size)}")


def add_convert_checkpoint_command(commands) -> None:
    parser = add_command(commands, "convert-checkpoint", convert_checkpoint,
                         "Convert the weights of EX-4D to safetensors and check every tensor.")
    parser.add_argument("source", type=Path,
                        help="ex4d.ckpt, or another torch or safetensors file with the weights of EX-4D")
    parser.add_argument("target", type=Path, help="file to write, NAME.safetensors")
    parser.add_argument("--split", action="store_true",
                        help="also write NAME-lora.safetensors, for any loader of Wan LoRAs, and the rest as "
                        "NAME-encoder.safetensors")


def convert_checkpoint(options) -> None:
    target = options.target
    if target.suffix != ".safetensors":
        raise ValueError(f"{target}: is not a .safetensors file name; use {target.with_suffix('.safetensors').name}")
    check_exists(options.source)
    from ..checkpoint import load_adapter, save_adapter, save_parts

    adapter = load_adapter(options.source)
    save_adapter(target, adapter)
    print(f"{target}: {adapter.describe()}")
    if options.split:
        lora, encoder = (target.with_stem(f"{target.stem}-{part}") for part in ("lora", "encoder"))
        save_parts(lora, encoder, adapter)
        print(f"{lora.name}: for any loader of Wan LoRAs; {encoder.name}: the rest")
