"""GGUF weights, loaded by the pack ComfyUI-GGUF; run where it stands in custom_nodes."""

from __future__ import annotations

import numpy as np
import pytest

from ..conftest import import_pack


@pytest.fixture(scope="module")
def load_gguf(comfyui_path, comfy, tmp_path_factory):
    """Load a state dict through a GGUF file, its matrices in 8 bit, as Unet Loader (GGUF) does."""
    gguf, pack = pytest.importorskip("gguf"), comfyui_path / "custom_nodes" / "ComfyUI-GGUF"
    if not pack.is_dir():
        pytest.skip("ComfyUI-GGUF isn't installed")
    import folder_paths

    loader = import_pack("comfyui_gguf", pack).NODE_CLASS_MAPPINGS["UnetLoaderGGUFAdvanced"]()
    path = tmp_path_factory.mktemp("gguf") / "wan.gguf"
    folder_paths.add_model_folder_path("diffusion_models", str(path.parent))

    def load(weights):
        writer = gguf.GGUFWriter(path, "wan")
        for name, weight in weights.items():
            values = weight.numpy().astype(np.float32)
            kind = gguf.GGMLQuantizationType.Q8_0 if name.startswith("blocks.") and weight.ndim == 2 else None
            if weight.ndim > 4:  # as its own converter stores them
                writer.add_array(f"comfy.gguf.orig_shape.{name}", [int(side) for side in weight.shape])
                values = values.reshape(weight.shape[0], -1)
            quantized = values if kind is None else gguf.quants.quantize(values, kind)
            writer.add_tensor(name, quantized, raw_dtype=kind)
        for write in (writer.write_header_to_file, writer.write_kv_data_to_file, writer.write_tensors_to_file):
            write()
        writer.close()
        return loader.load_unet(path.name, "float32", "float32")[0]

    return load


def test_gguf_weights_cost_what_they_cost_the_base_model(load_gguf, cost_of, wan_weights, apply, wan, prior, hold):
    coarse = load_gguf(wan_weights)
    alone, adapted = cost_of(coarse)
    assert alone > 0
    hold("error in GGUF Q8_0 with the adapter, as a multiple of the base model's", 1.5, adapted / alone)
    moved = wan.forward(apply(coarse, prior)) - wan.forward(coarse)
    assert moved.abs().max() > 10 * alone  # it does something at all
