"""Every node gives on a GPU without float64, as Apple's and many of Intel's are, what it gives on the CPU."""

from dataclasses import is_dataclass

import pytest
import torch

from ex4d_ops.camera import move_to
from ex4d_ops.files import write_depth, write_path

from ..narrow_device import NARROW, NarrowTensor, narrow_device
from .test_memory import CASES, inputs_of, tensors_of


def move_in(value):
    """All tensors within a value that flows between nodes, on the narrow device."""
    if isinstance(value, torch.Tensor):
        return value.to(NARROW)
    if isinstance(value, dict):
        return {name: move_in(entry) for name, entry in value.items()}
    return move_to(value, NARROW) if is_dataclass(value) else value


@pytest.fixture
def gpu(comfy, monkeypatch):
    """ComfyUI started with --gpu-only on a device without float64."""
    import comfy.model_management

    for name in ("get_torch_device", "intermediate_device", "unet_offload_device", "vae_device"):
        monkeypatch.setattr(comfy.model_management, name, lambda: NARROW)
    with narrow_device():
        yield NARROW


@pytest.mark.parametrize("case", CASES)
def test_every_node_gives_on_a_gpu_without_float64_what_it_gives_on_the_cpu(nodes, take, folders, case, request):
    write_depth(folders / "input" / "depth.npz", take.depth)
    write_path(folders / "input" / "path.json", take.path)
    node, inputs = inputs_of(case, take)
    expected = list(tensors_of(nodes.run(node, **inputs)))
    request.getfixturevalue("gpu")
    with torch.inference_mode():
        inputs = move_in(inputs)
    found = list(tensors_of(nodes.run(node, **inputs)))
    assert len(found) == len(expected)
    assert all(isinstance(tensor, NarrowTensor) for tensor in found)
    for tensor, cpu in zip(found, expected):
        assert torch.equal(tensor.cpu(), cpu)
