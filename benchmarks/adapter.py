"""What the adapter costs a sampling step: ComfyUI's own Wan with and without it, in turn, on one core.

    python benchmarks/adapter.py                 the golden Wan and one of 8 blocks of 1536
    python benchmarks/adapter.py --rounds 9      more samplings of each kind

Random weights, 5 steps of one call each. Seconds are those of the process, which other work on the machine changes
little: of the fastest step with the adapter less the fastest without, the first aside, in which the prior is encoded;
and of the adapter's own code alone, which is steadier where a step is long.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import statistics
import sys
import time
from contextlib import contextmanager
from pathlib import Path

PACK = Path(__file__).resolve().parents[1]
sys.path[0] = str(PACK)

import torch  # noqa: E402

from ex4d_ops import wan as seam  # noqa: E402
from tests import tiny_models  # noqa: E402
from tests.golden import recipe  # noqa: E402

STEPS, RELEASED_STEPS = 5, 25
MODELS = {"tiny: 3 blocks of 256": (dict(dim=256, ffn=512, blocks=3, hidden=64), (5, 8, 12)),
          "mid-size: 8 blocks of 1536": (dict(dim=1536, ffn=8960, blocks=8, hidden=1024), (5, 16, 16))}


def load_pack():
    """The pack's modules for the adapter, as ComfyUI imports them."""
    spec = importlib.util.spec_from_file_location("comfyui_ex4d", PACK / "__init__.py")
    package = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(package)
    asyncio.run(package.comfy_entrypoint())
    return sys.modules["comfyui_ex4d.nodes.injection"], sys.modules["comfyui_ex4d.ex4d_ops.checkpoint"]


def load_models(injection, checkpoint, sizes: dict[str, int], latent: tuple[int, int, int]):
    """Wan with the LoRA alone, which costs a step nothing, and the same with a prior."""
    import comfy.sd

    shapes = tiny_models.wan_shapes(dim=sizes["dim"], ffn_dim=sizes["ffn"], num_heads=sizes["dim"] // 128,
                                    num_layers=sizes["blocks"])
    base = comfy.sd.load_diffusion_model_state_dict(tiny_models.draw("speed", shapes), {"dtype": torch.float32})
    weights = {name.replace(".default.weight", ""): 0.01 * torch.randn(shape)
               for name, shape in recipe.adapter_shapes(**sizes).items()}
    adapter = checkpoint.Adapter({name: weight for name, weight in weights.items() if ".lora_" not in name},
                                 {name: weight for name, weight in weights.items() if ".lora_" in name}, 16.0)
    injection.apply_lora(base, adapter, 1.0)
    adapted = base.clone()
    prior = injection.PriorOfModel(injection.make_encoder(adapter), torch.randn(1, 32, *latent), 1.0, 0.0, 1.0)
    injection.apply_prior(adapted, prior)
    return base, adapted


def sample(model, latent: tuple[int, int, int], clock=time.process_time) -> list[float]:
    """How far the clock goes in each step."""
    import comfy.sample

    times = [clock()]
    noise = torch.randn(1, 16, *latent)
    prompt = [[torch.randn(1, 512, 4096), {}]]
    with torch.inference_mode():
        comfy.sample.sample(model, noise, STEPS, 1.0, "euler", "simple", prompt, prompt, torch.zeros_like(noise),
                            callback=lambda *_: times.append(clock()), disable_pbar=True, seed=0)
    return [end - begin for begin, end in zip(times, times[1:])]


@contextmanager
def own_clock(injection):
    """Yield a clock that goes only while code of the adapter runs."""
    kind, spent = injection.PriorOfModel, [0.0]
    hook_into = kind.hook_into

    def timed(function):
        def run(*args):
            begin = time.process_time()
            try:
                return function(*args)
            finally:
                spent[0] += time.process_time() - begin
        return run

    class Embedding:
        """Takes the place of the layer that is hooked, to time what is hooked into it."""

        def __init__(self, layer: torch.nn.Module) -> None:
            self.layer = layer

        def register_forward_hook(self, hook):
            return self.layer.register_forward_hook(timed(hook))

    timed_hook_into = timed(hook_into)
    kind.hook_into = lambda self, embedding, *rest: timed_hook_into(self, Embedding(embedding), *rest)
    try:
        yield lambda: spent[0]
    finally:
        kind.hook_into = hook_into


def measure(name: str, rounds: int, injection, checkpoint) -> str:
    """A line of the table."""
    sizes, latent = MODELS[name]
    base, adapted = load_models(injection, checkpoint, sizes, latent)
    for model in (base, adapted):
        sample(model, latent)  # weights get loaded and patched
    without, with_it, own, encoding = [], [], [], []
    for _ in range(rounds):
        without += sample(base, latent)[1:]
        with_it += sample(adapted, latent)[1:]
        with own_clock(injection) as clock:
            first, *others = sample(adapted, latent, clock)
        own += others
        encoding.append(first)
    step, code = min(without), statistics.median(own)
    extra, encoded = min(with_it) - step, statistics.median(encoding) - code
    cells = [f"{1e3 * step:.1f}", f"{1e3 * extra:+.1f} ({extra / step:+.1%})", f"{1e3 * code:.2f} ({code / step:.2%})",
             f"{1e3 * encoded:.1f}", f"{(code + encoded / RELEASED_STEPS) / step:.2%}"]
    return f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python benchmarks/adapter.py", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="number of samplings of each kind (default: 5)")
    options = parser.parse_args()
    seam.open_comfyui()
    torch.set_num_threads(1)
    injection, checkpoint = load_pack()
    print("| Wan | ms a step without | with it, more | its own code, ms a step | encoding, ms a sampling | "
          f"its share of {RELEASED_STEPS} steps |\n|---|---|---|---|---|---|")
    for name in MODELS:
        print(measure(name, options.rounds, injection, checkpoint), flush=True)


if __name__ == "__main__":
    main()
