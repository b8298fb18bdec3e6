"""The whole circle: a clip is filmed and prepared, an adapter is trained on it, applied, and sampled with."""

from pathlib import Path

import pytest
import torch

from ex4d_ops import files
from ex4d_ops.dataset import open_dataset
from ex4d_ops.preparation import Recipe, list_sources, prepare
from ex4d_ops.scene import FPS, sample_clip
from ex4d_ops.training.clips import stack_clips
from ex4d_ops.training.model import AdaptedWan
from ex4d_ops.training.validation import validation_loss
from ex4d_ops.wan import build_wan
from headless.tiny_wan import draw_tiny_wan, tiny_encoders

from .conftest import ClipVisionOutput

pytest.importorskip("peft", reason="needs the packages of the extra `train`")
pytest.importorskip("accelerate", reason="needs the packages of the extra `train`")
FRAMES, SIZE = 9, (64, 64)


@pytest.fixture
def prepared(folders, monkeypatch) -> str:
    """A folder in ComfyUI's input folder with one clip of a procedural scene, prepared as videos are."""
    import folder_paths

    monkeypatch.setitem(folder_paths.folder_names_and_paths, "ex4d", ([str(folders / "models")], {".safetensors"}))
    videos = folders / "videos"
    videos.mkdir()
    frames, depth = sample_clip("gallery", FRAMES, SIZE)
    files.write_video(videos / "gallery.mkv", frames, FPS)
    files.write_depth(videos / "gallery.npz", depth)
    prepare(list_sources(videos), Recipe(FRAMES, SIZE), Path(folders / "input" / "prepared"),
            make_encoders=tiny_encoders)
    return "prepared"


def sample(model, clip: dict[str, torch.Tensor]) -> torch.Tensor:
    """What the KSampler makes of a clip's conditions: 10 steps of euler, simple, shift 5. Normalised latents."""
    import comfy.sample
    from comfy.latent_formats import Wan21
    from comfy_extras.nodes_model_advanced import ModelSamplingSD3

    (model,) = ModelSamplingSD3().patch(model, 5.0)
    missing = torch.ones(1, 1, *clip["image_latent"].shape[2:])
    missing[:, :, 0] = 0
    prompt = [[clip["context"], {"concat_latent_image": Wan21().process_out(clip["image_latent"]),
                                 "concat_mask": missing, "clip_vision_output": ClipVisionOutput(clip["clip_fea"])}]]
    noise = torch.randn(clip["video_latent"].shape, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        latents = comfy.sample.sample(model, noise, 10, 1.0, "euler", "simple", prompt, prompt,
                                      torch.zeros_like(noise), disable_pbar=True, seed=1)
    return Wan21().process_in(latents)


def test_an_adapter_trained_on_a_prepared_clip_reproduces_it_when_applied(nodes, load_model, folders, prepared):
    base = load_model(draw_tiny_wan())
    adapter, _, _ = nodes.run("EX4DTrainAdapter", model=base, clips=prepared, name="circle", steps=300, batch=2,
                              rank=16, hidden_channels=64, learning_rate=3e-3, save_every=300, base_dtype="float32",
                              gradient_checkpointing=False)
    clips = open_dataset(folders / "input" / prepared)
    weights = torch.load(folders / "output" / "ex4d_training" / "circle" / "ex4d-000300.ckpt")
    models = [AdaptedWan(build_wan(draw_tiny_wan(), torch.float32), 16, 64) for _ in range(2)]
    with torch.no_grad():
        for name, weight in models[1].trained().items():
            weight.copy_(weights[name])
    before, after = (validation_loss(model, clips, 5.0, 0, torch.device("cpu")) for model in models)
    assert before >= 10 * after

    clip = {name: latent.float() for name, latent in stack_clips([clips[0]], torch.device("cpu")).items()}
    applied = nodes.run("ApplyEX4DLoRA", model=base, adapter=adapter, prior=clip["prior_latent"])[0]
    lost, kept = ((sample(model, clip) - clip["video_latent"]).square().mean() for model in (base, applied))
    assert kept < 0.1 * lost
