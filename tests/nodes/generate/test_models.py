"""Which models and adapters get together, and what is said where they don't."""

import os

import pytest
import torch

from ... import tiny_models
from ...golden import recipe


@pytest.fixture
def apply_lora(module):
    """Put an adapter's LoRA on a model and return how many weights it changes, by block."""
    injection = module("nodes.injection")

    def run(model, adapter) -> dict[str, int]:
        patched = model.clone()
        injection.check_model(patched, adapter)
        injection.apply_lora(patched, adapter, 1.0)
        blocks = [name.split(".")[2] for name in patched.patches]
        return {block: blocks.count(block) for block in blocks}

    return run


def load(module, name: str):
    adapter = module("nodes.adapter")
    return adapter.load(*adapter.identify(adapter.find_adapter(name)))[0]


def on_meta(shapes: dict[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    return {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}


@pytest.fixture
def meta_model(comfy):
    """A Wan of any size without the memory for it, of the kind that ComfyUI tells from its keys."""
    import comfy.model_detection
    import comfy.model_patcher

    def make(kind: str = "i2v", drop: str | None = None, **sizes):
        weights = on_meta({name: shape for name, shape in tiny_models.wan_shapes(kind, **sizes).items()
                           if drop is None or drop not in name})
        config = comfy.model_detection.model_config_from_unet(weights, "")
        config.set_inference_dtype(torch.bfloat16, None)
        network = config.get_model(weights, "", device="meta")
        return comfy.model_patcher.ModelPatcher(network, torch.device("cpu"), torch.device("cpu"))

    return make


def released_adapter(module):
    shapes = recipe.adapter_shapes(dim=5120, ffn=13824, blocks=40, hidden=1024)
    weights = {name.replace(".default.weight", ""): tensor for name, tensor in on_meta(shapes).items()}
    encoder = {name: weights[name] for name in weights if not name.startswith("blocks")}
    return module("ex4d_ops.checkpoint").Adapter(
        encoder, {name: weights[name] for name in weights if name.startswith("blocks")}, 16.0)


WAN_14B = dict(dim=5120, ffn_dim=13824, num_heads=40, num_layers=40)
WAN_1_3B = dict(dim=1536, ffn_dim=8960, num_heads=12, num_layers=30)


# ---- the ones that fit --------------------------------------------------------------------------


def test_the_lora_finds_ten_layers_of_every_block(module, apply_lora, model, adapter_file):
    assert apply_lora(model, load(module, adapter_file)) == {"0": 10, "1": 10, "2": 10}


def test_the_lora_finds_ten_layers_of_every_block_of_the_real_one(module, apply_lora, meta_model):
    assert apply_lora(meta_model(**WAN_14B), released_adapter(module)) == {str(block): 10 for block in range(40)}


def test_parameters_are_reported_as_found(module, adapter_file):
    counts = {name: weight.numel() for name, weight in recipe.adapter_weights().items()}
    lora = sum(count for name, count in counts.items() if ".lora_" in name)
    assert f"together {sum(counts.values()) / 1e6:.1f} M" in load(module, adapter_file).describe()
    assert f"3 blocks of dim 256: {lora / 1e6:.1f} M parameters" in load(module, adapter_file).describe()
    assert "76.7 M parameters; encoder: 23.1 M; together 99.8 M" in released_adapter(module).describe()


def said_of(module, model, adapter, caplog) -> str:
    caplog.clear()
    module("nodes.injection").check_model(model, adapter)
    return caplog.text


@pytest.mark.parametrize("kind", ["i2v", "t2v"])
@pytest.mark.parametrize("base", ["Wan 2.1 I2V", "Wan 2.2 I2V"])
@pytest.mark.parametrize("sizes", [WAN_14B, WAN_1_3B])
def test_every_adapter_fits_every_image_model_of_its_shapes_and_is_doubted_on_another(module, meta_model, caplog, kind,
                                                                                     base, sizes):
    shapes = recipe.adapter_shapes(dim=sizes["dim"], ffn=sizes["ffn_dim"], blocks=sizes["num_layers"], hidden=64)
    lora = {name.replace(".default.weight", ""): tensor for name, tensor in on_meta(shapes).items() if "lora" in name}
    adapter = module("ex4d_ops.checkpoint").Adapter({}, lora, 16.0, base)
    said = said_of(module, meta_model(kind, in_dim=36, **sizes), adapter, caplog)
    name = {"i2v": "Wan 2.1 I2V", "t2v": "Wan 2.2 I2V"}[kind]
    size = "14B" if sizes is WAN_14B else "1.3B"
    doubted = f"the model is {name} {size}, but the adapter was trained on {base}" in said
    assert doubted == (name != base)


def test_the_lora_finds_ten_layers_of_every_block_of_both_experts(module, apply_lora, meta_model):
    expert = meta_model("t2v", in_dim=36, **WAN_14B)
    assert apply_lora(expert, released_adapter(module)) == {str(block): 10 for block in range(40)}


# ---- the ones that don't ------------------------------------------------------------------------


@pytest.mark.parametrize("name, make", [
    ("Wan 2.1 T2V 14B", lambda meta: meta("t2v", in_dim=16, **WAN_14B)),
    ("Wan 2.1 T2V 1.3B", lambda meta: meta("t2v", in_dim=16, **WAN_1_3B)),
    ("Wan 2.2 TI2V 5B", lambda meta: meta("t2v", in_dim=48, out_dim=48, dim=3072, ffn_dim=14336, num_heads=24,
                                          num_layers=30)),
    ("Wan 2.1 FUN CONTROL 14B", lambda meta: meta("i2v", in_dim=48, **WAN_14B)),
])
def test_other_wans_are_refused_by_name(module, meta_model, name, make):
    with pytest.raises(ValueError, match=f"model: this is {name}, but the adapter needs Wan 2.1 I2V 14B; load it"):
        module("nodes.injection").check_model(make(meta_model), released_adapter(module))


def test_a_small_image_model_is_refused_by_name_and_size(module, meta_model):
    sentence = (r"model: this is Wan 2.1 I2V 1.3B; the adapter was made for Wan 2.1 I2V 14B, with 40 blocks of dim "
                r"5120 \(ffn 13824\), the model has 30 of dim 1536 \(ffn 8960\)")
    with pytest.raises(ValueError, match=sentence):
        module("nodes.injection").check_model(meta_model(**WAN_1_3B), released_adapter(module))


def test_another_network_is_refused_by_name(module, adapter_file):
    import comfy.model_patcher
    import comfy.supported_models

    class Network(torch.nn.Module):
        model_config = comfy.supported_models.SDXL({})

    stranger = comfy.model_patcher.ModelPatcher(Network(), torch.device("cpu"), torch.device("cpu"))
    with pytest.raises(ValueError, match="model: this is SDXL, but the adapter needs Wan 2.1 I2V of 3 blocks of 256"):
        module("nodes.injection").check_model(stranger, load(module, adapter_file))


def test_a_wan_that_lacks_layers_is_refused_with_the_count(module, apply_lora, meta_model, adapter_file):
    broken = meta_model()
    del broken.model.diffusion_model.blocks[1].ffn[2].weight
    with pytest.raises(ValueError, match="model: only 29 of the LoRA's 30 layers fit Wan 2.1 I2V"):
        apply_lora(broken, load(module, adapter_file))


def test_an_adapter_for_another_wan_is_refused(model, apply, save_adapter_as):
    weights = {name: torch.zeros(shape) for name, shape in recipe.adapter_shapes(blocks=2).items()}
    with pytest.raises(ValueError, match="made for Wan 2.1 I2V of 2 blocks of 256, with 2 blocks of dim 256"):
        apply(model, adapter=save_adapter_as("two_blocks.ckpt", weights))


@pytest.mark.parametrize("weights, sentence", [
    ({}, "does not contain weights of EX-4D"),
    ({"latent_encoder.0.weight": torch.zeros(8, 32, 1, 1, 1)}, "encoder without its LoRA"),
])
def test_files_that_are_no_adapter_are_refused(model, apply, save_adapter_as, weights, sentence):
    with pytest.raises(ValueError, match=sentence):
        apply(model, adapter=save_adapter_as("not_one.ckpt", weights))


def test_a_file_that_has_gone_is_refused(model, apply):
    with pytest.raises(ValueError, match="adapter: there is no 'gone.ckpt' in models/ex4d or models/loras"):
        apply(model, adapter="gone.ckpt")


def test_a_start_after_the_end_is_refused(model, apply, prior):
    with pytest.raises(ValueError, match=r"start_percent: 0.8 is after end_percent \(0.2\); swap them"):
        apply(model, prior, start_percent=0.8, end_percent=0.2)


# ---- files --------------------------------------------------------------------------------------


@pytest.fixture
def reads(module, monkeypatch) -> list[str]:
    adapter, names = module("nodes.adapter"), []
    load = adapter.load_adapter
    monkeypatch.setattr(adapter, "load_adapter", lambda path: names.append(path) or load(path))
    adapter.load.cache_clear()
    return names


def test_a_file_is_read_once_until_it_changes(model, apply, save_adapter_as, reads):
    name = save_adapter_as("read.ckpt", recipe.adapter_weights())
    apply(model, adapter=name)
    apply(model, adapter=name, lora_strength=0.5)
    assert len(reads) == 1
    os.utime(reads[0], ns=(1, 1))
    apply(model, adapter=name)
    assert len(reads) == 2


def test_a_changed_file_changes_what_comfyui_compares(nodes, save_adapter_as, reads, model, apply):
    name = save_adapter_as("compared.ckpt", recipe.adapter_weights())
    node = nodes.by_id["ApplyEX4DLoRA"]
    first = node.fingerprint_inputs(adapter=name, lora_strength=1.0)
    assert node.fingerprint_inputs(adapter=name, lora_strength=1.0) == first
    apply(model, adapter=name)
    os.utime(reads[0], ns=(1, 1))
    assert node.fingerprint_inputs(adapter=name, lora_strength=1.0) != first


def test_files_of_both_folders_are_offered(nodes, adapter_file, tmp_path, monkeypatch):
    import folder_paths

    (tmp_path / "wan").mkdir()
    for name in ("wan/ex4d.safetensors", "notes.txt"):
        (tmp_path / name).touch()
    monkeypatch.setitem(folder_paths.folder_names_and_paths, "loras", ([str(tmp_path)], {".safetensors", ".ckpt"}))
    monkeypatch.setattr(folder_paths, "filename_list_cache", {})
    (choice,) = [item for item in nodes.by_id["ApplyEX4DLoRA"].define_schema().inputs if item.id == "adapter"]
    assert adapter_file in choice.options and os.path.join("wan", "ex4d.safetensors") in choice.options
    assert not any("notes" in option for option in choice.options)
