"""ComfyUI's own Wan 2.1 I2V, tiny and with the random weights of the goldens, and EX-4D's adapter on it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType

import pytest
import torch
from torch import Tensor

from ... import tiny_models
from ...golden import recipe

Weights = dict[str, Tensor]
PARITY = pytest.StashKey[list[str]]()


@pytest.fixture
def hold(request) -> Callable[[str, float, float], None]:
    """Hold a measured figure to a tolerance, and add it to the parity table that ends the test run."""

    def check(figure: str, tolerance: float, measured: float) -> None:
        rows = request.config.stash.setdefault(PARITY, ["| figure | tolerance | measured |", "|---|---|---|"])
        rows.append(f"| {figure} | {tolerance:g} | {measured:.2g} |")
        assert measured <= tolerance

    return check


def pytest_terminal_summary(terminalreporter) -> None:
    for row in terminalreporter.config.stash.get(PARITY, []):
        terminalreporter.write_line(row)


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """Tiny layers are no work for two threads, which only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def wan_weights(comfy) -> Weights:
    """The state dict of the golden Wan."""
    return tiny_models.wan()


@pytest.fixture(scope="session")
def load_model(wan_weights):
    """Load a Wan state dict as ComfyUI does, the golden one unless told otherwise."""
    import comfy.sd

    def load(weights: Weights = wan_weights, dtype: torch.dtype = torch.float32):
        return comfy.sd.load_diffusion_model_state_dict(dict(weights), {"dtype": dtype})

    return load


@pytest.fixture
def model(load_model):
    return load_model()


@pytest.fixture(scope="session")
def save_adapter_as(nodes, tmp_path_factory) -> Callable[[str, Weights], str]:
    """Put a state dict under a name into a models/ex4d of its own, and return the name."""
    import folder_paths

    folder = tmp_path_factory.mktemp("ex4d")
    folder_paths.add_model_folder_path("ex4d", str(folder), is_default=True)

    def save(name: str, weights: Weights) -> str:
        torch.save(weights, folder / name)
        return name

    return save


@pytest.fixture(scope="session")
def adapter_file(save_adapter_as) -> str:
    return save_adapter_as("golden.ckpt", recipe.adapter_weights())


@pytest.fixture(scope="session")
def apply(nodes, adapter_file):
    """Put an adapter, the golden one unless told otherwise, on a model through the node; settings are the node's."""

    def run(model, prior: Tensor | None = None, adapter: str = adapter_file, **settings):
        return nodes.run("ApplyEX4DLoRA", model=model, adapter=adapter, prior=prior, **settings)[0]

    return run


@pytest.fixture(scope="session")
def module(nodes) -> Callable[[str], ModuleType]:
    """A module of the pack as the nodes have imported it."""
    return lambda name: sys.modules[f"{nodes.package.__name__}.{name}"]


@pytest.fixture
def exact_timesteps(comfy, monkeypatch) -> None:
    """Let ComfyUI embed timesteps in double precision, as the released code does; its float32 costs 1e-5."""
    import comfy.ldm.wan.model

    def embed(dim: int, position: Tensor) -> Tensor:
        position = position.double()
        angles = torch.outer(position, 10000 ** -(torch.arange(dim // 2).double() / (dim // 2)))
        return torch.cat([angles.cos(), angles.sin()], 1)

    monkeypatch.setattr(comfy.ldm.wan.model, "sinusoidal_embedding_1d", embed)


@dataclass(frozen=True)
class Wan:
    """Calls of a model as ComfyUI makes them, on the golden inputs."""

    inputs: dict[str, Tensor]

    def forward(self, model, contexts: tuple[str, ...] = ("context",), **options) -> Tensor:
        """One call of the network, batched over contexts; options: further transformer_options."""
        import comfy.model_management

        dtype, batch = model.model.get_dtype_inference(), len(contexts)
        given = self.inputs["x"].new_zeros(1, 4, *self.inputs["x"].shape[2:])
        given[:, :, 0] = 1
        x = torch.cat([self.inputs["x"], given, self.inputs["image_latent"]], 1)
        with torch.inference_mode():
            comfy.model_management.load_models_gpu([model, *model.get_nested_additional_models()])
            return model.model.diffusion_model(
                x.repeat(batch, 1, 1, 1, 1).to(dtype), self.inputs["timestep"].repeat(batch),
                torch.cat([self.inputs[name] for name in contexts]).to(dtype),
                clip_fea=self.inputs["clip_fea"].repeat(batch, 1, 1).to(dtype),
                transformer_options={"wrappers": model.wrappers, **options}).float()

    def prompts(self, frames: int, image: Tensor | None) -> list[list]:
        """Positive and negative conditioning as WanImageToVideo gives it. image: normalised latents of its input."""
        import comfy.latent_formats

        if image is None:
            image = self.inputs["image_latent"][:, :, torch.arange(frames) % 5]
        missing = torch.ones(1, 1, frames, *image.shape[3:])
        missing[:, :, 0] = 0
        shared = {"concat_latent_image": comfy.latent_formats.Wan21().process_out(image), "concat_mask": missing,
                  "clip_vision_output": ClipVisionOutput(self.inputs["clip_fea"])}
        return [[[self.inputs[name], shared]] for name in ("context", "context_negative")]

    def sample(self, model, steps: int = 25, cfg: float = 5.0, frames: int = 5, batch: int = 1,
               image: Tensor | None = None, callback: Callable | None = None) -> Tensor:
        """Normalised latents [B, 16, t, 8, 12], sampled as the workflows do: shift 5, euler, simple."""
        import comfy.latent_formats
        import comfy.sample
        from comfy_extras.nodes_model_advanced import ModelSamplingSD3

        (model,) = ModelSamplingSD3().patch(model, 5.0)
        generator = torch.Generator().manual_seed(recipe.SEED)
        noise = torch.randn(batch, 16, frames, *self.inputs["x"].shape[3:], generator=generator)
        positive, negative = self.prompts(frames, image)
        with torch.inference_mode():
            latents = comfy.sample.sample(
                model, noise, steps, cfg, "euler", "simple", positive, negative, torch.zeros_like(noise),
                callback=callback, disable_pbar=True, seed=recipe.SEED)
        return comfy.latent_formats.Wan21().process_in(latents)


@dataclass(frozen=True)
class ClipVisionOutput:
    penultimate_hidden_states: Tensor


@pytest.fixture(scope="session")
def wan() -> Wan:
    return Wan(recipe.inputs())


@pytest.fixture(scope="session")
def prior(wan) -> Tensor:
    """The latents of the golden prior."""
    return wan.inputs["prior_latent"]


@pytest.fixture
def cost_of(load_model, apply, wan, prior) -> Callable[[object], tuple[float, float]]:
    """The error of a model with coarser weights than the golden one's: the base alone, and with the adapter."""

    def measure(coarse) -> tuple[float, float]:
        exact = load_model()
        pairs = ((coarse, exact), (apply(coarse, prior), apply(exact, prior)))
        return tuple(float((wan.forward(rough) - wan.forward(true)).square().mean().sqrt()) for rough, true in pairs)

    return measure


@pytest.fixture(scope="session")
def vae(comfy):
    """ComfyUI's own Wan VAE, tiny, with random weights."""
    import comfy.sd

    return comfy.sd.VAE(tiny_models.vae())
