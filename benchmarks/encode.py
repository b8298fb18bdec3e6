"""What encoding a prior takes: its color and its mask, one after the other as Encode Prior does, and both at once.

    python benchmarks/encode.py                  81 frames of 832x480, a VAE of a third of the width
    python benchmarks/encode.py --width 96       the released width; where ComfyUI finds a GPU, on it
    python benchmarks/encode.py --width 8 --frames 17 --size 256x256

ComfyUI's own code of Wan's VAE, of random weights; its layers are as wide as --width says, where those of the released
one are 96 wide. Time grows with the square of that width, and memory beside pictures and latents with it. Each
way runs in a process of its own, once after a small clip that warms it up.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

PACK = Path(__file__).resolve().parents[1]
sys.path[0] = str(PACK)

import torch  # noqa: E402

from ex4d_ops import wan as seam  # noqa: E402
from ex4d_ops.adapter import encode_prior  # noqa: E402
from ex4d_ops.cli.terminal import describe_size, parse_size  # noqa: E402
from ex4d_ops.prior import Prior  # noqa: E402
from tests import tiny_models  # noqa: E402

RELEASED_WIDTH = 96
WAYS = ("one after the other", "both at once")


def open_vae(width: int):
    """ComfyUI's VAE of Wan 2.1, its layers so wide."""
    import comfy.sd

    return comfy.sd.VAE(sd=tiny_models.vae(width))


def draw_prior(frames: int, size: tuple[int, int]) -> Prior:
    """Noise, half of it visible."""
    draw = torch.Generator().manual_seed(0)
    visible = torch.rand(frames, *size, generator=draw) > 0.5
    return Prior(torch.rand(frames, *size, 3, generator=draw) * visible[..., None], visible)


def encode(vae, prior: Prior, way: str) -> torch.Tensor:
    if way == WAYS[0]:
        return encode_prior(prior, vae.encode)
    from comfy.model_management import load_models_gpu

    kept: list[torch.Tensor] = []
    encode_prior(prior, lambda pictures: kept.append(pictures) or torch.zeros(1, 16, 1, 1, 1))
    both = vae.process_input(torch.stack(kept).movedim(-1, 1))  # vae.encode would crop their length
    both = both.to(vae.device, vae.vae_dtype)
    load_models_gpu([vae.patcher])
    return vae.first_stage_model.encode(both).float().flatten(0, 1)[None]


def measure(width: int, frames: int, size: tuple[int, int], way: str) -> tuple[float, float, float]:
    """The seconds, the MB at the peak beyond what was there before, and the latents' mean."""
    seam.open_comfyui()
    with torch.inference_mode():
        vae = open_vae(width)
        encode(vae, draw_prior(5, (64, 64)), way)
        prior = draw_prior(frames, size)
        before, begun = now_mb(), time.perf_counter()
        mean = float(encode(vae, prior, way).mean())
        seconds = time.perf_counter() - begun
    return seconds, most_mb() - before, mean


def most_mb() -> float:
    """At the peak, of the GPU's memory where there is one."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def now_mb() -> float:
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated() / 2**20
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * resource.getpagesize() / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=32, help="of the VAE's layers (default: 32)")
    parser.add_argument("--frames", type=int, default=81, help="(default: 81)")
    parser.add_argument("--size", type=parse_size, default=(480, 832), help="(default: 832x480)")
    options = parser.parse_args()
    sys.path.insert(0, str(PACK / "benchmarks"))
    from report import describe_machine, publish, table

    rows, figures = [], {}
    for way in WAYS:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as alone:
            figures[way] = alone.submit(measure, options.width, options.frames, options.size, way).result()
        seconds, peak, mean = figures[way]
        rows.append([way, f"{seconds:.1f}", f"{peak:.0f}", f"{mean:.6f}"])
    what = (f"{options.frames} frames of {describe_size(options.size)}, a VAE {options.width} wide (released: "
            f"{RELEASED_WIDTH})")
    publish("encode", f"{what}\n\n{table(['color and mask', 'seconds', 'peak, MB', 'mean latent'], rows)}\n\n"
            f"{describe_machine(['numpy'])}", figures)


if __name__ == "__main__":
    main()
