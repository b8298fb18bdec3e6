"""Whatever is broken about a file, one line says so: archives, shards, weights, configs, and the json beside depth."""

import io
import json
import tarfile

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save

from ex4d_ops.dataset import LATENT_NAMES, open_dataset
from ex4d_ops.depth import DepthUnits
from ex4d_ops.files import read_depth, write_depth, write_video
from ex4d_ops.files.damage import quote, reading
from ex4d_ops.scene import sample_clip
from ex4d_ops.training.config import read_config

MANY = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
ANYTHING = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
                        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=30)


def expect_one_line(call, *words: str) -> None:
    with pytest.raises(ValueError) as refused:
        call()
    said = str(refused.value)
    assert "\n" not in said and len(said) < 1000 and all(word in said for word in words), said


@pytest.mark.parametrize("error", [RuntimeError("a\nb"), KeyError("depth"), AttributeError(""), MemoryError(),
                                   RecursionError("deep"), ValueError("x" * 10_000), NotImplementedError("  "),
                                   SyntaxError("bad"), OSError(5, "Input/output error")])
def test_every_error_of_a_reader_is_one_line_that_names_the_file(error):
    def read() -> None:
        with reading("a.npz", "npz", "download it again"):
            raise error

    expect_one_line(read, "a.npz: cannot be read as npz (", "); download it again")


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_stops_the_program_is_no_damage(stop):
    with pytest.raises(stop), reading("a.npz", "npz"):
        raise stop


@MANY
@given(value=ANYTHING)
def test_every_value_is_quoted_on_one_short_line(value):
    said = quote(value)
    assert "\n" not in said and len(said) <= 160


def test_a_value_that_repeats_itself_a_billion_times_is_quoted_at_once():
    laugh = ["ha"] * 10
    for _ in range(9):
        laugh = [laugh] * 10
    assert len(quote(laugh)) <= 160


# ---- json beside depth --------------------------------------------------------------------------

NUMBERS = ("scale", "shift", "near", "far")
ODD = [("kind", 3), ("kind", None), ("kind", ["depth"]), ("kind", "x" * 10_000), ("metric", "no"), ("metric", 1),
       ("metric", None), ("feet", 3), ("x" * 10_000, 1), *((name, value) for name in NUMBERS for value in (
           "1", True, [1], {}, float("nan"), 10**400, -1e400))]


@pytest.mark.parametrize("name, value", ODD)
def test_every_odd_setting_beside_depth_is_refused(tmp_path, name, value):
    write_depth(tmp_path / "pngs", sample_clip("gallery", 1, (16, 16), 0)[1], "png")
    sidecar = tmp_path / "pngs" / "depth.json"
    said = json.loads(sidecar.read_text())
    said["depth_units"] |= {"kind": "normalized-depth", "near": 1.0, "far": 2.0} | {name: value}
    sidecar.write_text(json.dumps(said))
    expect_one_line(lambda: read_depth(tmp_path / "pngs"), "depth.json: cannot be read as the description of a depth "
                                                           "file")


@MANY
@given(units=ANYTHING, lens=ANYTHING, motion=ANYTHING)
def test_every_json_beside_depth_is_read_or_refused(tmp_path_factory, units, lens, motion):
    folder = tmp_path_factory.mktemp("json")
    write_video(folder / "depth.mkv", torch.linspace(0.1, 1, 24).reshape(1, 4, 6), 10)
    said = {"depth_units": units, "intrinsics": lens, "world_from_cam": motion}
    (folder / "depth.json").write_text(json.dumps(said), encoding="utf-8")
    expect_one_line(lambda: read_depth(folder / "depth.mkv"), "depth.json: cannot be read")


@pytest.mark.parametrize("content", [b"\xff\xfe{}", b"[" * 100_000, b'{"depth_units": 1e999}', b"\0"])
def test_json_that_is_none_is_named(tmp_path, content):
    write_video(tmp_path / "depth.mkv", torch.linspace(0.1, 1, 24).reshape(1, 4, 6), 10)
    (tmp_path / "depth.json").write_bytes(content)
    expect_one_line(lambda: read_depth(tmp_path / "depth.mkv", DepthUnits("released")), "depth.json: cannot be read")


# ---- shards of clips ----------------------------------------------------------------------------


def shard(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return file.getvalue()


def latents() -> bytes:
    return save({name: torch.zeros(2, 3) for name in LATENT_NAMES})


GOOD = {"a.clip.json": b'{"key": "a"}', "a.latents.safetensors": latents()}
BROKEN_SHARDS = {
    "text": b"x" * 2048, "empty": b"", "an empty tar": bytes(10_240), "of nothing known": shard({"a.txt": b"a"}),
    "compressed": b"\x1f\x8b" + bytes(600), "cut in a header": shard(GOOD)[:1200],
    "cut between two": shard(GOOD)[:1024], "damaged in a header": shard(GOOD).replace(b"a.latents", b"b.latents"),
    "no json": shard({"a.clip.json": b"{"}), "another's json": shard({"a.clip.json": b"[1]"}),
    "without a key": shard({"a.clip.json": b"{}"}), "of a number for a key": shard({"a.clip.json": b'{"key": 3}'}),
    "of bytes for a key": shard({"a.clip.json": b'{"key": "\xff"}'}),
}


def read_all(folder) -> None:
    for clip in open_dataset(folder):
        assert all(torch.is_tensor(value) for value in clip.values())


@pytest.mark.parametrize("kind", BROKEN_SHARDS)
def test_every_broken_shard_is_named(tmp_path, kind):
    (tmp_path / "clips-000000.tar").write_bytes(BROKEN_SHARDS[kind])
    expect_one_line(lambda: open_dataset(tmp_path), "clips-000000.tar: cannot be read as", "restore it, or prepare")


@pytest.mark.parametrize("members, word", [
    ({"a.clip.json": GOOD["a.clip.json"]}, "lacks video.mkv, visible.mkv"),
    (GOOD | {"a.latents.safetensors": b"x" * 100}, "Error while deserializing"),
    (GOOD | {"a.latents.safetensors": save({"context": torch.zeros(2)})}, "lacks video_latent, prior_latent"),
    ({"a.clip.json": GOOD["a.clip.json"], "a.video.mkv": b"x", "a.visible.mkv": b"x"}, "video.mkv"),
])
def test_every_clip_that_lacks_something_is_named(tmp_path, members, word):
    (tmp_path / "clips-000000.tar").write_bytes(shard(members))
    clips = open_dataset(tmp_path)
    expect_one_line(lambda: clips[0], "clips-000000.tar: cannot be read as a shard with clip 'a'", word)


@pytest.mark.parametrize("line", [b"{", b"[]", b"3", b'{"shard": "clips-000000.tar"}', b'{"key": []}', b"\xff",
                                  b'{"key": "a", "shard": "../clips.tar"}', b'{"key": "a", "shard": 3}',
                                  b'{"key": "a", "shard": "/etc/passwd"}', b"[" * 10_000])
def test_every_odd_line_of_a_manifest_is_refused(tmp_path, line):
    (tmp_path / "clips-000000.tar").write_bytes(shard(GOOD))
    (tmp_path / "manifest.jsonl").write_bytes(line + b"\n")
    expect_one_line(lambda: open_dataset(tmp_path), "manifest.jsonl: cannot be read as the description of a clip")


@MANY
@given(places=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=5), keep=st.floats(0, 1))
def test_damaged_shards_are_read_or_refused_in_one_line(tmp_path_factory, places, keep):
    data = bytearray(shard(GOOD))
    for place, value in places:
        data[int(place * (len(data) - 1))] = value
    folder = tmp_path_factory.mktemp("shards")
    (folder / "clips-000000.tar").write_bytes(data[:int(keep * len(data)) + 1])
    try:
        read_all(folder)
    except ValueError as error:
        assert "\n" not in str(error) and len(str(error)) < 1000


# ---- configs ------------------------------------------------------------------------------------


def config(folder, text: str):
    for name in ("d", "b"):
        (folder / name).touch()
    (folder / "run.yaml").write_text(text, encoding="utf-8")
    return folder / "run.yaml"


LAUGH = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9) if n else 'ha'}]\n" for n in range(9))
ODD_YAML = ["data: [", "a: b: c", "\t", "? [a]: b", "data: 2001-13-45", "&a [*a]", "- " * 3000 + "a",
            "!!python/name:os.system", "data: \"\\0\"\nbase: b\nout: o", "data: ~no-such-user/x\nbase: b\nout: o",
            f"data: {'x' * 5000}\nbase: b\nout: o", LAUGH, LAUGH + "data: *l8\nbase: b\nout: o",
            "x" * 10_000, "data: d\nbase: b\nout: o\nrules: &r {steps: *r}", f"{'x' * 5000}: 1"]


@pytest.mark.parametrize("text", ODD_YAML, ids=range(len(ODD_YAML)))
def test_every_odd_config_is_refused_in_one_line(tmp_path, text):
    expect_one_line(lambda: read_config(config(tmp_path, text)), "run.yaml: ")


ODD_VALUES = [".inf", "-.inf", ".nan", "[bfloat16]", "{a: 1}", "1" + "0" * 400, "1e999", "2001-01-01", "null-ish",
              "!!binary aGk=", "!!set {a}", "'" + "x" * 5000 + "'", "yes", "0x_", "1:30"]


@pytest.mark.parametrize("name", ["steps", "seed", "rank", "learning_rate", "ema", "recompute", "objective"])
@pytest.mark.parametrize("value", ODD_VALUES, ids=range(len(ODD_VALUES)))
def test_every_odd_value_of_a_rule_is_taken_as_its_kind_or_refused(tmp_path, name, value):
    path = config(tmp_path, f"data: d\nbase: b\nout: o\nrules: {{{name}: {value}}}\n")
    try:
        read = getattr(read_config(path).rules, name)
    except ValueError as error:
        assert str(error).startswith(f"{path}: ") and "\n" not in str(error) and len(str(error)) < 500
    else:
        assert value in ("yes", "1:30") and type(read) in (bool, int, float)


@pytest.mark.parametrize("name, value", [
    (name, value) for name in ("base_dtype", "data", "base", "out", "vae") for value in ODD_VALUES
    if name != "out" or not value.startswith("'x") and value not in ("null-ish", "0x_", "1e999")])  # new names will do
def test_every_odd_value_of_a_run_is_refused(tmp_path, name, value):
    values = {"data": "d", "base": "b", "out": "o"} | {name: value}
    text = "".join(f"{key}: {kept}\n" for key, kept in values.items())
    expect_one_line(lambda: read_config(config(tmp_path, text)), "run.yaml: ")


def test_only_plain_yaml_is_read(tmp_path):
    text = "data: d\nbase: b\nout: o\nrules: {steps: !!python/object/apply:builtins.int [3]}"
    expect_one_line(lambda: read_config(config(tmp_path, text)), "run.yaml: cannot be read as YAML")
