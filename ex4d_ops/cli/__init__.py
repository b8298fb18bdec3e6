"""The command line: what a new user types first, a file per command.

Read this file, then prior.py. options.py holds the options that several commands take, terminal.py what they say.
"""

from __future__ import annotations

import argparse
import atexit
import os
import sys

from .ablations import add_ablations_command
from .convert import add_convert_checkpoint_command, add_convert_path_command
from .estimate import add_download_command
from .evaluate import add_evaluate_command
from .inspect import add_inspect_command
from .plan import add_plan_command
from .prepare import add_prepare_command
from .prior import add_prior_command
from .sample import add_sample_command
from .study import add_study_commands
from .terminal import attempt
from .train import add_train_command
from .vbench import add_vbench_command

DESCRIPTION = """\
See a video from another side. From a clip and its depth, ex4d builds a watertight mesh per frame and renders it
along a new camera path, as a color video and a mask of what the source has seen. This is the prior from which
Wan 2.1 with the EX-4D adapter generates the finished video. Start with `ex4d sample demo`.
"""
# Commands that argparse takes as one word.
TWO_WORDS = ("evaluate plan", "evaluate vbench", "evaluate ablations", "study build", "study tally")


def main(arguments: list[str] | None = None) -> int:
    """Run one command. Returns 0, or 2 after one sentence on what was wrong, or 130 after Ctrl-C."""
    options = build_parser().parse_args(join_words(sys.argv[1:] if arguments is None else arguments))
    try:
        wrong = attempt(lambda: options.command(options))
    except KeyboardInterrupt:
        print("ex4d: stopped; unfinished files were deleted", file=sys.stderr)
        return 130
    return 0 if wrong is None else complain(wrong)


def run() -> None:
    """Be the process of one command. It ends at once, for to take torch down again takes half a second and 130 MB."""
    status = main()
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
    except OSError as error:
        status = complain(f"the output cannot be written ({error.strerror})")
    sys.stderr.flush()
    os._exit(status)


def join_words(arguments: list[str]) -> list[str]:
    """The arguments with a command of two words as one."""
    joined = " ".join(arguments[:2])
    return [joined, *arguments[2:]] if joined in TWO_WORDS else arguments


def complain(sentence: str) -> int:
    print(f"ex4d: error: {sentence}", file=sys.stderr)
    return 2


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("ex4d", description=DESCRIPTION,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    add_prior_command(commands)
    add_download_command(commands)
    add_sample_command(commands)
    add_inspect_command(commands)
    add_convert_path_command(commands)
    add_convert_checkpoint_command(commands)
    add_prepare_command(commands)
    add_train_command(commands)
    add_evaluate_command(commands)
    add_plan_command(commands)
    add_vbench_command(commands)
    add_study_commands(commands)
    add_ablations_command(commands)
    return parser
