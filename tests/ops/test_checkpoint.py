"""Laws of the checkpoint reader: the same weights however a file calls them, one sentence for every other file."""

import io
import json
import os
import pickle
import struct
import zipfile
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from ex4d_ops import cli
from ex4d_ops.checkpoint import LAYERS, PREFIXES, Adapter, load_adapter, ranges, save_adapter, save_parts, stock_lora

from ..golden import recipe

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # torch's, of the files made up here
Weights = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def weights() -> Weights:
    return recipe.adapter_weights()


def save(path: Path, values: object) -> Path:
    (save_file if path.suffix == ".safetensors" else torch.save)(values, path)
    return path


def load_from(tmp_path: Path, values: object) -> Adapter:
    return load_adapter(save(tmp_path / "some.ckpt", values))


def plain(weights: Weights) -> Weights:
    """By the names that Adapter uses."""
    return {name.replace(".default.weight", ""): weight for name, weight in weights.items()}


def all_of(adapter: Adapter) -> Weights:
    return {**adapter.encoder, **adapter.lora}


def assert_same(adapter: Adapter, weights: Weights) -> None:
    got = all_of(adapter)
    assert got.keys() == plain(weights).keys()
    for name, weight in plain(weights).items():
        assert got[name].dtype == weight.dtype and torch.equal(got[name], weight), name


# ---- the same weights, whatever the file --------------------------------------------------------


@pytest.mark.parametrize("name", ["ex4d.ckpt", "ex4d.pt", "ex4d.safetensors"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_every_kind_of_file_holds_the_same_weights(weights, tmp_path, name, dtype):
    typed = {key: weight.to(dtype) for key, weight in weights.items()}
    assert_same(load_adapter(save(tmp_path / name, typed)), typed)


def test_files_of_old_torch_are_read(weights, tmp_path):
    torch.save(weights, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    assert_same(load_adapter(tmp_path / "old.pth"), weights)


@given(prefixes=st.lists(st.sampled_from([*PREFIXES, "pipe.dit.", "base_model.model."]), max_size=3),
       default=st.booleans())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_prefixes_and_default_are_understood(weights, tmp_path, prefixes, default):
    renamed = {"".join(prefixes) + (key if default else key.replace(".default", "")): weight
               for key, weight in weights.items()}
    assert_same(load_from(tmp_path, renamed), weights)


@pytest.mark.parametrize("wrap", [
    lambda weights: {"state_dict": weights, "epoch": 3, "global_step": 41},
    lambda weights: {"module": {"pipe.dit." + key: weight for key, weight in weights.items()}},
])
def test_weights_inside_a_training_checkpoint_are_found(weights, tmp_path, wrap):
    assert_same(load_from(tmp_path, wrap(weights)), weights)


def test_further_keys_are_named_in_one_warning(weights, tmp_path, caplog):
    more = {f"blocks.{n}.cross_attn.k_img.lora_A.default.weight": torch.zeros(16, 256) for n in range(3)}
    adapter = load_from(tmp_path, {**weights, **more, "head.bias": torch.zeros(4), "step": 7})
    assert_same(adapter, weights)
    (record,) = caplog.records
    assert all(key in record.getMessage() for key in (*more, "head.bias", "step"))


def test_an_expected_file_is_read_without_a_warning(weights, tmp_path, caplog):
    load_from(tmp_path, weights)
    assert not caplog.records


def test_weights_outlive_their_file(weights, tmp_path):
    adapter = load_from(tmp_path, weights)
    os.truncate(tmp_path / "some.ckpt", 0)  # what was still mapped from it would now crash
    assert_same(adapter, weights)


# ---- what it tells ------------------------------------------------------------------------------


def test_rank_alpha_and_sizes_are_found(weights, tmp_path):
    adapter = load_from(tmp_path, weights)
    assert (adapter.rank, adapter.alpha, adapter.dim, adapter.ffn_dim, adapter.blocks) == (16, 16, 256, 512, 3)


@pytest.mark.parametrize("rank, alpha", [(4, None), (4, 8.0), (32, 16.0)])
def test_alpha_is_that_of_the_file_or_the_rank(tmp_path, rank, alpha):
    weights = {key: torch.randn(shape) for key, shape in recipe.adapter_shapes(rank=rank).items()}
    if alpha:
        weights |= {key.replace("lora_A.default.weight", "alpha"): torch.tensor(alpha)
                    for key in weights if ".lora_A." in key}
    adapter = load_from(tmp_path, weights)
    assert adapter.rank == rank and adapter.alpha == (alpha or rank)


def test_the_released_sizes_have_a_hundred_million_parameters():
    shapes = recipe.adapter_shapes(dim=5120, ffn=13824, blocks=40, hidden=1024)
    weights = {key.replace(".default.weight", ""): torch.empty(shape, device="meta") for key, shape in shapes.items()}
    lora = {key: weight for key, weight in weights.items() if ".lora_" in key}
    adapter = Adapter({key: weights[key] for key in weights.keys() - lora.keys()}, lora, 16.0)
    assert len(lora) == 800 and len(adapter.encoder) == 8 and adapter.blocks == 40 and len(LAYERS) == 10
    assert "40 blocks of dim 5120: 76.7 M parameters; encoder: 23.1 M; together 99.8 M" in adapter.describe()


@pytest.mark.parametrize("base", [(128, 512, 3), (256, 512, 4), (256, 256, 3)])
def test_another_base_model_is_refused_with_both_sizes(weights, tmp_path, base):
    adapter = load_from(tmp_path, weights)
    adapter.check_base(256, 512, 3)
    with pytest.raises(ValueError, match=rf"3 blocks of dim 256 \(ffn 512\), the model has {base[2]} of dim {base[0]} "
                                         rf"\(ffn {base[1]}\)"):
        adapter.check_base(*base)


# ---- bad files ----------------------------------------------------------------------------------


def without(weights: Weights, *parts: str) -> Weights:
    return {key: weight for key, weight in weights.items() if not any(part in key for part in parts)}


@pytest.mark.parametrize("spoil, sentence", [
    (lambda w: without(w, "blocks"), "is EX-4D's encoder without its LoRA; choose the whole adapter"),
    (lambda w: without(w, "latent"), "is a LoRA without EX-4D's encoder"),
    (lambda w: {"lora_unet_down_blocks_0.lora_down.weight": torch.zeros(4, 4)},
     "does not contain weights of EX-4D, only lora_un"),
    (lambda w: {}, "does not contain weights of EX-4D, only an empty table"),
    (lambda w: [torch.zeros(3)], "does not contain named tensors"),
    (lambda w: torch.zeros(3), "does not contain named tensors"),
    (lambda w: without(w, "ffn.2.lora_B"), "3 of its tensors are wrong: blocks.0-2.ffn.2.lora_B: missing; "),
    (lambda w: without(w, "blocks.1."), "20 of its tensors are wrong: blocks.1.self_attn.q.lora_A: missing; "),
    (lambda w: without(w, "latent_encoder.4"), "2 of its tensors are wrong: latent_encoder.4.weight: missing; latent_"),
    (lambda w: without(w, "latent_patch_embedding.weight"), "latent_patch_embedding.weight: missing"),
    (lambda w: w | {"latent_encoder.2.bias": torch.zeros(63)}, r"latent_encoder.2.bias: \[63\], must be \[64\]"),
    (lambda w: w | {"latent_encoder.2.bias": torch.zeros(())}, r"latent_encoder.2.bias: \[\], must be \[64\]"),
    (lambda w: w | {"latent_encoder.0.weight": torch.zeros(64, 40, 1, 1, 1)},
     r"latent_encoder.0.weight: \[64, 40, 1, 1, 1\], must be \[64, 32, 1, 1, 1\]"),
    (lambda w: w | {"blocks.2.ffn.0.lora_A.default.weight": torch.zeros(8, 256)},
     r"blocks.2.ffn.0.lora_A: \[8, 256\], must be \[16, 256\]"),
    (lambda w: w | {"latent_encoder.0.bias": torch.full((64,), torch.nan)}, "latent_encoder.0.bias: NaN or infinite"),
    (lambda w: w | {"blocks.1.self_attn.k.lora_B.default.weight": torch.full((256, 16), torch.inf)},
     "blocks.1.self_attn.k.lora_B: NaN or infinite"),
    (lambda w: w | {"latent_encoder.0.bias": torch.zeros(64, dtype=torch.float64)}, "float64, must be float32, float"),
    (lambda w: w | {"latent_encoder.0.bias": torch.zeros(64).to_sparse()}, "float32 sparse_coo, must be float32"),
    (lambda w: w | {"latent_encoder.0.bias": torch.zeros(64, device="meta")}, "float32 without values, must be"),
    (lambda w: w | {"blocks.0.ffn.0.alpha": torch.tensor(-4.0)}, "blocks.0.ffn.0.alpha: not a positive number"),
    (lambda w: w | {"blocks.0.ffn.0.alpha": torch.tensor(1j)}, "blocks.0.ffn.0.alpha: not a positive number"),
    (lambda w: w | {"blocks.0.ffn.0.alpha": torch.ones(1).to_sparse()}, "blocks.0.ffn.0.alpha: not a positive number"),
    (lambda w: w | {"blocks.0.ffn.0.alpha": torch.ones((), device="meta")},
     "blocks.0.ffn.0.alpha: not a positive number"),
    (lambda w: w | {"blocks.0.ffn.0.alpha": torch.tensor(4.0), "blocks.1.ffn.0.alpha": torch.tensor(8.0)},
     "blocks.1.ffn.0.alpha: not a positive number that all blocks share"),
    (lambda w: w | {"model.latent_encoder.0.bias": torch.zeros(64)}, "contains latent_encoder.0.bias twice"),
])
def test_weights_that_are_not_the_adapter_get_one_sentence(weights, tmp_path, spoil, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        load_from(tmp_path, spoil(dict(weights)))
    assert str(caught.value).startswith(str(tmp_path / "some.ckpt")) and "\n" not in str(caught.value)


def test_every_wrong_tensor_is_listed(weights, tmp_path):
    spoiled = without(weights, "cross_attn.o", "latent_encoder.2")
    spoiled["latent_encoder.4.bias"] = torch.zeros(3)
    with pytest.raises(ValueError) as caught:
        load_from(tmp_path, spoiled)
    for name in ("latent_encoder.2.weight", "latent_encoder.2.bias", "latent_encoder.4.bias",
                 "blocks.0-2.cross_attn.o.lora_A", "blocks.0-2.cross_attn.o.lora_B", "9 of its tensors"):
        assert name in str(caught.value)


@pytest.mark.parametrize("claim", [
    lambda value: value.new_zeros(1).expand(10**9, *value.shape[1:]) if value.ndim == 1 else
    value.new_zeros(1, *value.shape[1:]).expand(10**7, *value.shape[1:]),
    lambda value: torch.as_strided(value, (10**6, *value.shape[1:]), (0,) * value.ndim)])
@pytest.mark.parametrize("key", ["latent_encoder.0.weight", "latent_encoder.0.bias", "blocks.0.ffn.0.lora_B"])
def test_tensors_that_claim_more_than_is_stored_are_refused_unread(weights, tmp_path, claim, key):
    name = next(name for name in weights if name.startswith(key))
    path = save(tmp_path / "some.ckpt", weights | {name: claim(weights[name].clone())})
    assert path.stat().st_size < 2**24
    # The first tensor tells the sides of the others.
    with pytest.raises(ValueError, match=f"{key}: .* (but only .* bytes of it are stored|must be)"):
        load_adapter(path)


@pytest.mark.parametrize("alpha", [float("inf"), float("-inf"), float("nan"), 0.0, -1.0])
def test_an_alpha_that_is_no_scale_is_refused(weights, tmp_path, alpha):
    changed = weights | {f"blocks.{block}.{layer}.alpha": torch.tensor(alpha) for block in range(3)
                         for layer in LAYERS}
    with pytest.raises(ValueError, match="not a positive number that all blocks share"):
        load_from(tmp_path, changed)


@pytest.mark.parametrize("name", ["some.ckpt", "some.safetensors"])
@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.99])
def test_truncated_files_get_one_sentence(weights, tmp_path, name, share):
    path = save(tmp_path / name, weights)
    os.truncate(path, int(path.stat().st_size * share))
    with pytest.raises(ValueError, match="is empty" if share == 0 else "cannot be read as a file of tensors alone"):
        load_adapter(path)


def test_a_missing_file_is_said_to_be_missing(tmp_path):
    with pytest.raises(ValueError, match="nowhere.ckpt: there is no such file"):
        load_adapter(tmp_path / "nowhere.ckpt")


class Harmful:
    """Unpickling it creates a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("write", [
    lambda path, harm, weights: torch.save({**weights, "x": harm}, path),
    lambda path, harm, weights: torch.save({**weights, "x": harm}, path, _use_new_zipfile_serialization=False),
    lambda path, harm, weights: path.write_bytes(pickle.dumps(harm)),
    lambda path, harm, weights: path.write_bytes(pickle.dumps(harm, protocol=0)),
])
def test_a_pickle_is_never_executed(weights, tmp_path, write):
    path, mark = tmp_path / "some.ckpt", tmp_path / "mark"
    write(path, Harmful(mark), weights)
    with pytest.raises(ValueError, match="cannot be read as a file of tensors alone") as refusal:
        load_adapter(path)
    assert not mark.exists() and "weights_only" not in str(refusal.value)  # no advice to run it after all
    pickle.loads(pickle.dumps(Harmful(mark)))
    assert mark.exists()  # so it would have been


TINY = {key: torch.zeros(shape) for key, shape in
        recipe.adapter_shapes(dim=2, ffn=2, blocks=1, hidden=2, rank=1).items()}


def saved_bytes(name: str) -> bytes:
    buffer = io.BytesIO()
    if name.endswith(".safetensors"):
        from safetensors.torch import save as to_bytes

        return to_bytes(TINY)
    torch.save(TINY, buffer, _use_new_zipfile_serialization=name.endswith(".ckpt"))
    return buffer.getvalue()


GOOD = {name: saved_bytes(name) for name in ("fuzz.ckpt", "fuzz.pth", "fuzz.safetensors")}


@given(name=st.sampled_from(sorted(GOOD)), data=st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_bytes_are_read_or_get_one_sentence(tmp_path, name, data):
    content = bytearray(GOOD[name])
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    expect_sense(tmp_path / name, bytes(content))


@given(name=st.sampled_from(sorted(GOOD)), content=st.binary(min_size=1, max_size=200))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_random_bytes_get_one_sentence(tmp_path, name, content):
    expect_sense(tmp_path / name, content)


json_values = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=9),
                           lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner))


@given(header=json_values)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_safetensors_with_any_header_get_one_sentence(tmp_path, header):
    text = json.dumps(header).encode()
    expect_sense(tmp_path / "fuzz.safetensors", struct.pack("<Q", len(text)) + text + bytes(64))


@given(content=st.binary(max_size=200))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_archives_with_any_pickle_get_one_sentence(tmp_path, content):
    with zipfile.ZipFile(tmp_path / "fuzz.ckpt", "w") as archive:
        archive.writestr("fuzz/data.pkl", content)
        archive.writestr("fuzz/version", "3")
    expect_sense(tmp_path / "fuzz.ckpt", (tmp_path / "fuzz.ckpt").read_bytes())


def expect_sense(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    try:
        adapter = load_adapter(path)
    except ValueError as error:
        assert "\n" not in str(error) and str(error).startswith(str(path))
    else:
        assert plain(TINY).keys() == all_of(adapter).keys()


# ---- writing ------------------------------------------------------------------------------------


def test_weights_stored_column_by_column_can_be_saved(weights, tmp_path):
    turned = {key: weight.mT.contiguous().mT if weight.ndim == 2 else weight for key, weight in weights.items()}
    save_adapter(tmp_path / "saved.safetensors", load_from(tmp_path, turned))
    assert_same(load_adapter(tmp_path / "saved.safetensors"), weights)


@pytest.mark.parametrize("alpha", [16.0, 4.0])
def test_what_is_saved_is_what_is_loaded(weights, tmp_path, alpha):
    adapter = load_from(tmp_path, weights)
    save_adapter(tmp_path / "saved.safetensors", Adapter(adapter.encoder, adapter.lora, alpha))
    again = load_adapter(tmp_path / "saved.safetensors")
    assert_same(again, weights)
    assert again.alpha == alpha


def test_a_saved_file_says_what_it_is(weights, tmp_path):
    save_adapter(tmp_path / "saved.safetensors", load_from(tmp_path, weights))
    with safe_open(tmp_path / "saved.safetensors", "pt") as file:
        about = file.metadata()
    assert about["model"] == "EX-4D" and about["rank"] == "16" and about["alpha"] == "16"
    assert about["base"] == "Wan 2.1 I2V, 3 blocks of dim 256" and "M parameters" in about["contents"]


def test_parts_hold_each_their_own(weights, tmp_path):
    adapter = load_from(tmp_path, weights)
    save_parts(tmp_path / "lora.safetensors", tmp_path / "encoder.safetensors", adapter)
    lora, encoder = load_file(tmp_path / "lora.safetensors"), load_file(tmp_path / "encoder.safetensors")
    assert lora.keys() == stock_lora(adapter).keys() and encoder.keys() == adapter.encoder.keys()
    assert all(key.startswith("diffusion_model.blocks.") and key.endswith(".weight") for key in lora)


def test_the_scale_of_a_stock_lora_is_alpha_over_rank(weights, tmp_path):
    adapter = load_from(tmp_path, weights)
    stock = stock_lora(Adapter(adapter.encoder, adapter.lora, 8.0))
    alphas = {key: value for key, value in stock.items() if key.endswith(".alpha")}
    assert len(alphas) == 30 and all(value == 8 for value in alphas.values())
    assert not any(key.endswith(".alpha") for key in stock_lora(adapter))  # 16 / 16: what loaders take it for


def test_convert_checkpoint_writes_and_reports(weights, tmp_path, capsys):
    source, target = save(tmp_path / "ex4d.ckpt", weights), tmp_path / "ex4d.safetensors"
    assert cli.main(["convert-checkpoint", str(source), str(target), "--split"]) == 0
    said = capsys.readouterr().out
    assert "rank 16, alpha 16 on 3 blocks of dim 256" in said and "ex4d-lora.safetensors" in said
    assert {file.name for file in tmp_path.iterdir()} == {
        "ex4d.ckpt", "ex4d.safetensors", "ex4d-lora.safetensors", "ex4d-encoder.safetensors"}
    assert_same(load_adapter(target), weights)


def test_convert_checkpoint_writes_one_file_unless_asked(weights, tmp_path):
    source = save(tmp_path / "ex4d.ckpt", weights)
    assert cli.main(["convert-checkpoint", str(source), str(tmp_path / "a.safetensors")]) == 0
    assert {file.name for file in tmp_path.iterdir()} == {"ex4d.ckpt", "a.safetensors"}


@pytest.mark.parametrize("source, target, sentence", [
    ("nowhere.ckpt", "a.safetensors", "nowhere.ckpt"),
    ("ex4d.ckpt", "a.ckpt", "is not a .safetensors file name; use a.safetensors"),
    ("empty.ckpt", "a.safetensors", "is empty"),
    ("ex4d.ckpt", "nowhere/a.safetensors", "cannot be written"),
])
def test_convert_checkpoint_refuses_in_one_sentence(weights, tmp_path, capsys, source, target, sentence):
    save(tmp_path / "ex4d.ckpt", weights)
    (tmp_path / "empty.ckpt").touch()
    before = set(tmp_path.iterdir())
    assert cli.main(["convert-checkpoint", str(tmp_path / source), str(tmp_path / target)]) == 2
    assert sentence in capsys.readouterr().err
    assert set(tmp_path.iterdir()) == before


@given(st.sets(st.integers(0, 60), min_size=1))
def test_ranges_name_every_number_once(numbers):
    named = []
    for run in ranges(sorted(numbers)).split(","):
        first, _, last = run.partition("-")
        named += range(int(first), int(last or first) + 1)
    assert named == sorted(numbers)
