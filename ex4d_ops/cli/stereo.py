"""Options of `ex4d prior --stereo`: the same clip along the same path, as two eyes see it."""

from __future__ import annotations

import argparse
from typing import get_args

from ..rules import Layout


def add_stereo_options(parser) -> None:
    stereo = parser.add_argument_group("stereo")
    stereo.add_argument("--stereo", choices=get_args(Layout), metavar="LAYOUT",
                        help=f"layout to write a stereo video of both eyes in: {', '.join(get_args(Layout))} "
                        "(default: none)")
    stereo.add_argument("--eye-distance", type=parse_eye_distance, default="2%", metavar="D",
                        help="distance between the eyes: the parallax of what is very far away in percent of the "
                        "width, or a number of scene units (default: 2%%)")
    stereo.add_argument("--convergence", type=float, metavar="Z",
                        help="distance at which both eyes see the same, in scene units (default: nearest depth of "
                        "frame 0 plus 0.15)")
    stereo.add_argument("--vr-side", type=int, default=1024, metavar="PX",
                        help="width and height of each eye's picture in VR180, in pixels (default: 1024)")


def parse_eye_distance(text: str) -> str:
    """Percent as "2%", or scene units."""
    try:
        number = float(text.removesuffix("%"))
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a distance; write percent of the width as 2%, or a number "
                                         "of scene units above 0")
    return text


def check_stereo(options) -> None:
    """Raise ValueError where an option of --stereo is out of range."""
    if options.convergence is not None and not 0 < options.convergence < float("inf"):
        raise ValueError(f"--convergence: got {options.convergence:g}, must be above 0")
    if options.vr_side < 64:
        raise ValueError(f"--vr-side: got {options.vr_side}, must be 64 or more")
