"""From an estimator to depth: scale rules, shots, what is said; and tiny per-frame models, from disk."""

import json
import os
import pickle
import subprocess
import sys
import threading
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch

from ex4d_ops.estimators.clip_depth import ClipRules, estimate_clip_depth, steady_given_depth
from ex4d_ops.estimators.estimate import Estimate, place_on
from ex4d_ops.scene import sample_clip
from tests.tiny_depth_models import save_depth_anything

FRAMES, SIZE = 7, (48, 64)


@cache
def filmed(name="gallery"):
    return sample_clip(name, FRAMES, SIZE)


def knows(depth, kind="disparity", noise=0.0, **said):
    """An estimator that knows the truth, each frame in a scale of its own."""
    scale = torch.exp(noise * torch.randn(len(depth), 1, 1, generator=torch.Generator().manual_seed(1)))
    return lambda shot, progress: Estimate(1 / depth * scale if kind == "disparity" else depth * scale, kind, **said)


def test_released_rule_puts_the_nearest_at_2564():
    clip, truth = filmed()
    found = estimate_clip_depth(clip, knows(truth.depth), False).depth
    assert found.depth.min() == pytest.approx(10000 / 3900) and not found.metric


def test_near_and_far_are_met():
    clip, truth = filmed()
    found = estimate_clip_depth(clip, knows(truth.depth), False, ClipRules("near and far", 2.0, 30.0)).depth
    assert torch.allclose(torch.stack(found.depth.aminmax()), torch.tensor([2.0, 30.0]))
    order = truth.depth.flatten().argsort()
    assert (found.depth.flatten()[order].diff() >= -1e-4).all(), "what was farther is farther"


def test_metres_as_given_are_the_truth():
    clip, truth = filmed()
    found = estimate_clip_depth(clip, knows(truth.depth, "depth", metric=True, focal=40.0), False,
                                ClipRules("as given")).depth
    assert torch.allclose(found.depth, truth.depth, rtol=1e-5) and found.metric
    assert found.intrinsics[0, 0, 0] == 40


def test_relative_disparity_as_given_is_refused():
    with pytest.raises(ValueError, match="relative disparity, which does not have units"):
        estimate_clip_depth(filmed()[0], knows(filmed()[1].depth), False, ClipRules("as given"))


def test_an_estimator_that_sees_each_frame_alone_is_made_steady():
    clip, truth = filmed()
    made = estimate_clip_depth(clip, knows(truth.depth, "depth", 0.2), True, ClipRules("as given"), truth.intrinsics[0])
    ratio = (made.depth.depth / truth.depth).flatten(1).median(1).values
    assert (ratio / ratio.mean() - 1).abs().max() < 0.01
    assert any(note.startswith("aligned by scale: disparity changed by") for note in made.notes)


@pytest.mark.parametrize("scale", ["released", "near and far", "as given"])
def test_sky_stays_infinitely_far(scale):
    clip, truth = filmed("garden")
    made = estimate_clip_depth(clip, knows(truth.depth, "depth"), True, ClipRules(scale, smoothing=1, landing=2)).depth
    assert torch.equal(made.depth.isinf(), truth.depth.isinf())


def test_shots_are_estimated_by_themselves_or_refused():
    clip = torch.cat([filmed("gallery")[0], filmed("street")[0]])
    seen = []

    def estimate(shot, progress):
        seen.append(shot)
        return Estimate(clip[shot].mean(-1) + 0.1, "disparity")
    with pytest.raises(ValueError, match="cuts to another shot at frame 7"):
        estimate_clip_depth(clip, estimate, False)
    made = estimate_clip_depth(clip, estimate, False, ClipRules(cuts="split"))
    assert seen == [slice(0, 7), slice(7, 14)] and made.notes[0] == "2 shots, beginning at frames 0, 7"


@pytest.mark.parametrize("rules, nearest", [(ClipRules(cuts="split"), 10000 / 3900),
                                            (ClipRules("near and far", 2.0, 30.0, cuts="split"), 2.0)])
def test_relative_disparity_of_each_shot_has_a_scale_of_its_own(rules, nearest):
    parts = [filmed("gallery"), filmed("street")]
    clip = torch.cat([images for images, _ in parts])
    disparity = torch.cat([unit / truth.depth for unit, (_, truth) in zip((1.0, 50.0), parts)])
    made = estimate_clip_depth(clip, lambda shot, _: Estimate(disparity[shot], "disparity"), False, rules).depth
    for shot in (slice(0, FRAMES), slice(FRAMES, 2 * FRAMES)):
        assert made.depth[shot].min() == pytest.approx(nearest)


def test_swapped_numbers_are_warned_of(caplog):
    clip, truth = filmed("street")
    estimate_clip_depth(clip, lambda shot, progress: Estimate(1 / truth.depth + 0.01, "depth"), False)
    assert "look like disparity" in caplog.text


def test_no_surface_at_all_is_refused():
    with pytest.raises(ValueError, match="found no surface"):
        estimate_clip_depth(filmed()[0], knows(torch.full((FRAMES, *SIZE), torch.nan), "depth"), False)


ON_MEMORY = [("disparity", ClipRules(smoothing=1, landing=2)),
             ("depth", ClipRules("near and far", alignment="none", cuts="ignore")),
             ("depth", ClipRules("as given", alignment="none", cuts="ignore"))]


def resident() -> int:
    """Bytes of this process in memory now, without pages of files, which the system takes and brings as it likes."""
    return 1024 * int(Path("/proc/self/status").read_text().partition("RssAnon:")[2].split()[0])


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells what of a process is in memory")
@pytest.mark.parametrize("case", range(len(ON_MEMORY)))
def test_memory_is_a_few_times_that_of_the_depth(case):
    code = f"from tests.ops.test_clip_depth import *; print(measure_peak(*ON_MEMORY[{case}]))"
    at_once = {"MALLOC_MMAP_THRESHOLD_": str(10**6)}  # else glibc may keep planes that were freed
    ran = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], capture_output=True, text=True,
                         env=os.environ | at_once)
    assert float(ran.stdout) < 3, f"what it is made from, and itself {ran.stderr}"


def measure_peak(kind: str, rules: ClipRules) -> float:
    """Most memory that this process, which has freed none yet, takes for a clip's depth, in times that depth's own."""
    clip, truth = sample_clip("street", 1, (512, 512))
    count = 80
    frames, depth = clip.expand(count, -1, -1, -1), truth.depth.expand(count, -1, -1)
    estimate_clip_depth(frames[:3], knows(depth[:3], kind), True, rules)  # loads what is loaded once
    ended, sizes = threading.Event(), [resident()]

    def watch() -> None:
        while not ended.wait(0.002):
            sizes.append(resident())

    watcher = threading.Thread(target=watch)
    watcher.start()
    made = estimate_clip_depth(frames, knows(depth, kind), True, rules)
    ended.set()
    watcher.join()
    return (max(sizes) - sizes[0]) / made.depth.depth.nbytes


def test_progress_goes_forward_and_cancels():
    clip, truth = filmed()
    told = []
    estimate_clip_depth(clip, knows(truth.depth), True, progress=lambda done, total: told.append(done / total))
    assert told == sorted(told) and told[-1] == 1

    def cancel(done, total):
        raise InterruptedError
    with pytest.raises(InterruptedError):
        estimate_clip_depth(clip, knows(truth.depth), True, progress=cancel)


def test_given_depth_is_made_steady_and_keeps_its_cameras():
    clip, truth = filmed("colonnade")
    scale = torch.exp(0.2 * torch.randn(FRAMES, 1, 1, generator=torch.Generator().manual_seed(2)))
    made = steady_given_depth(clip, replace(truth, depth=truth.depth * scale)).depth
    seen = truth.depth.isfinite()
    ratio = torch.stack([(made.depth[t] / truth.depth[t])[seen[t]].median() for t in range(FRAMES)])
    assert (ratio / ratio.mean() - 1).abs().max() < 0.02 and made.metric
    assert torch.equal(made.world_from_cam, truth.world_from_cam) and torch.equal(made.intrinsics, truth.intrinsics)


def test_cameras_of_given_depth_are_dropped_where_its_scale_is():
    clip, truth = filmed("colonnade")
    made = steady_given_depth(clip, truth, ClipRules("released"))
    assert torch.equal(made.depth.world_from_cam, torch.eye(4).expand(FRAMES, 4, 4))
    assert "source camera: at rest, because its motion is in the given scale" in made.notes


# ---- per-frame models of transformers -----------------------------------------------------------


@pytest.mark.parametrize("declared, kind, metric", [("relative", "disparity", False), ("metric", "depth", True)])
def test_depth_anything_says_itself_what_its_numbers_are(tmp_path, declared, kind, metric):
    pytest.importorskip("transformers", reason="pip install transformers to test per-frame models")
    from ex4d_ops.estimators.per_frame import load_per_frame

    save_depth_anything(tmp_path, declared)
    model, told = load_per_frame(tmp_path), []
    found = model.estimate(filmed()[0], place_on(torch.device("cpu")), lambda done, total: told.append((done, total)))
    assert (found.kind, found.metric) == (kind, metric) and told == [(4, 7), (7, 7)]
    assert found.values.shape == (FRAMES, *SIZE) and torch.isfinite(found.values).all()
    alone = model.estimate(filmed()[0][3:4], place_on(torch.device("cpu"))).values
    assert torch.allclose(found.values[3:4], alone, atol=1e-4), "no frame depends on another"


def test_a_per_frame_model_runs_as_transformers_own_pipeline(tmp_path):
    transformers = pytest.importorskip("transformers")
    from ex4d_ops.estimators.per_frame import load_per_frame

    save_depth_anything(tmp_path, "relative")
    from PIL import Image

    frame = (filmed()[0][0] * 255).round() / 255
    expected = transformers.pipeline("depth-estimation", str(tmp_path), device="cpu")(
        Image.fromarray((frame * 255).byte().numpy()))["predicted_depth"]
    found = load_per_frame(tmp_path).estimate(frame[None], place_on(torch.device("cpu"))).values[0]
    assert (found - expected.reshape(found.shape)).abs().max() < 2e-2 * found.max()


def test_a_model_that_tells_nothing_asks(tmp_path):
    from types import SimpleNamespace

    from ex4d_ops.estimators.per_frame import meaning

    with pytest.raises(ValueError, match="does not say whether a newer model gives depth or disparity"):
        meaning(tmp_path, SimpleNamespace(model_type="newer"), None)
    assert meaning(tmp_path, SimpleNamespace(model_type="newer"), "depth") == ("depth", False)
    assert meaning(tmp_path, SimpleNamespace(model_type="depth_pro"), None) == ("depth", True)


METRES, DISPARITY = ("depth", True), ("disparity", False)


@pytest.mark.parametrize("backbone, expected", [
    ("Dinov2Config", METRES), ("Dinov2WithRegistersConfig", METRES), ("BeitConfig", DISPARITY),
    ("Swinv2Config", DISPARITY), (None, DISPARITY),
])
def test_every_dpt_gives_disparity_but_with_a_dinov2_backbone_metres(tmp_path, backbone, expected):
    transformers = pytest.importorskip("transformers")
    from ex4d_ops.estimators.per_frame import meaning

    config = transformers.DPTConfig(
        backbone_config=backbone and getattr(transformers, backbone)(out_indices=[1, 2, 3, 4]))
    config.save_pretrained(tmp_path)
    assert meaning(tmp_path, transformers.AutoConfig.from_pretrained(str(tmp_path)), None) == expected


@pytest.mark.parametrize("shards", [False, True])
def test_a_folder_of_pytorch_model_bin_is_the_same_model(tmp_path, shards):
    pytest.importorskip("transformers")
    from ex4d_ops.estimators.per_frame import load_per_frame

    save_depth_anything(tmp_path, "relative")
    expected = load_per_frame(tmp_path).model.state_dict()
    as_pytorch_bin(tmp_path, shards)
    found = load_per_frame(tmp_path).model.state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def as_pytorch_bin(folder, shards: bool = False) -> None:
    """Turn a folder's model.safetensors into what older programs wrote."""
    from safetensors.torch import load_file

    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    if not shards:
        torch.save(tensors, folder / "pytorch_model.bin")
        return
    names = {name: f"pytorch_model-0000{1 + k % 2}-of-00002.bin" for k, name in enumerate(sorted(tensors))}
    for file in set(names.values()):
        torch.save({name: tensors[name] for name in tensors if names[name] == file}, folder / file)
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"metadata": {}, "weight_map": names}))


@pytest.mark.parametrize("spoil, sentence", [
    (lambda file: file.write_bytes(file.read_bytes()[:1000]), "cannot be loaded"),
    (lambda file: file.write_bytes(b""), "cannot be loaded"),
    (lambda file: torch.save({"weight": torch.zeros(2)}, file), "lacks"),
    (lambda file: torch.save({"weight": Runs(file.with_name("ran"))}, file), "cannot be loaded"),
    (lambda file: file.write_bytes(pickle.dumps(Runs(file.with_name("ran")))), "cannot be loaded"),
])
def test_a_pytorch_model_bin_is_read_as_tensors_or_refused_in_a_sentence(tmp_path, spoil, sentence):
    pytest.importorskip("transformers")
    from ex4d_ops.estimators.per_frame import load_per_frame

    save_depth_anything(tmp_path, "relative")
    as_pytorch_bin(tmp_path)
    spoil(tmp_path / "pytorch_model.bin")
    with pytest.raises(ValueError, match=sentence) as refusal:
        load_per_frame(tmp_path)
    assert "\n" not in str(refusal.value) and not (tmp_path / "ran").exists()


class Runs:
    """What a hostile weights file would run when it is read: it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


def test_a_folder_without_a_model_is_refused(tmp_path):
    pytest.importorskip("transformers")
    from ex4d_ops.estimators.per_frame import load_per_frame

    with pytest.raises(ValueError, match="not the folder of a transformers model"):
        load_per_frame(tmp_path)
