"""What the benchmarks share: Markdown tables, the machine they ran on, and where results go."""

from __future__ import annotations

import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from ex4d_ops import files

RESULTS = Path(__file__).parent / "results"


def table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def describe_machine(packages: list[str]) -> str:
    """Processor, cores, load and versions, in a sentence."""
    system = platform.freedesktop_os_release()["PRETTY_NAME"]
    used = ", ".join(f"{name} {installed(name)}" for name in ["torch", *packages] if installed(name))
    return (f"{processor()}, {len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f} at the end; {system}, "
            f"Python {platform.python_version()}, {used}.")


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def installed(package: str) -> str | None:
    """Its version, None where it is missing."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def publish(name: str, markdown: str, figures: dict) -> None:
    """Print the page and keep it as results/NAME.md, its figures as results/NAME.json."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.md").write_text(markdown + "\n")
    (RESULTS / f"{name}.json").write_text(json.dumps(figures, indent=1) + "\n")
    print(markdown)


def publish_picture(name: str, picture: torch.Tensor) -> None:
    """Keep an image [H, W, 3] in [0, 1] as results/NAME.png."""
    RESULTS.mkdir(exist_ok=True)
    files.write_picture(RESULTS / f"{name}.png", picture)
