"""EstimateVideoDepth in ComfyUI, with tiny random models in its folders: what the library makes, and where it stops."""

import sys

import pytest
import torch

from ex4d_ops.estimators.clip_depth import estimate_clip_depth, steady_given_depth
from ex4d_ops.estimators.estimate import place_on
from ex4d_ops.estimators.video_depth_anything import VideoDepthAnything, load_video_depth_anything
from ex4d_ops.scene import sample_clip
from tests.tiny_depth_models import save_depth_anything, save_depthcrafter, save_video_depth_anything

TINY = "tiny.pth"


@pytest.fixture
def model_folders(comfy, nodes, tmp_path, monkeypatch):
    """ComfyUI's folders for depth models, empty and for one test only."""
    import folder_paths

    for name in ("video_depth_anything", "depthcrafter", "depth"):
        (tmp_path / "models" / name).mkdir(parents=True)
        monkeypatch.setitem(folder_paths.folder_names_and_paths, name, ([str(tmp_path / "models" / name)], set()))
    return tmp_path / "models"


@pytest.fixture
def tiny(model_folders):
    """A tiny Video-Depth-Anything in its folder."""
    save_video_depth_anything(model_folders / "video_depth_anything" / TINY)
    return {"model": "Video-Depth-Anything", "file": TINY, "resolution": 28}


@pytest.fixture(scope="module")
def clip():
    return sample_clip("colonnade", 5, (48, 64))


def test_depth_is_the_librarys(nodes, same, tiny, model_folders, clip):
    depth, preview, notes = nodes.run("EstimateVideoDepth", images=clip[0], model=tiny)
    model = load_video_depth_anything(model_folders / "video_depth_anything" / TINY)
    cpu = place_on(torch.device("cpu"))
    made = estimate_clip_depth(clip[0], lambda shot, _: model.estimate(clip[0][shot], cpu, 28), False)
    assert same(depth, made.depth) and notes == "\n".join(made.notes)
    assert preview.shape == (5, 48, 64, 3)


def test_depthcrafter_runs_part_by_part(nodes, model_folders, clip):
    pytest.importorskip("diffusers", reason="pip install diffusers to test DepthCrafter")
    save_depthcrafter(model_folders / "depthcrafter")
    settings = {widget.id: widget.default for widget in model_widgets(nodes, "DepthCrafter")}
    depth, *_ = nodes.run("EstimateVideoDepth", images=clip[0], model={
        "model": "DepthCrafter", **settings, "steps": 1, "window": 4, "overlap": 1})
    assert depth.size == (48, 64) and depth.depth.min() == pytest.approx(10000 / 3900)


def test_a_per_frame_model_is_found_by_its_folder_and_aligned(nodes, model_folders, clip):
    pytest.importorskip("transformers")
    save_depth_anything(model_folders / "depth" / "mine", "metric")
    depth, _, notes = nodes.run("EstimateVideoDepth", images=clip[0], scale={"scale": "as given"}, model={
        "model": "per-frame model", "folder": "mine", "meaning": "as it says"})
    assert depth.metric and "aligned by scale" in notes


def test_the_model_is_read_once_and_moved_by_comfyui(nodes, tiny, clip, monkeypatch):
    import comfy.model_management

    moved, read = [], []
    load_models = comfy.model_management.load_models_gpu
    monkeypatch.setattr(comfy.model_management, "load_models_gpu",
                        lambda patchers, *room, **how: (moved.extend(patchers), load_models(patchers, *room, **how)))
    models = sys.modules["comfyui_ex4d.nodes.depth_memory"]
    models.read_once.cache_clear()
    loaded = models.Loaded
    monkeypatch.setattr(models, "Loaded", lambda model: (read.append(model), loaded(model))[1])
    for _ in range(2):
        nodes.run("EstimateVideoDepth", images=clip[0], model=tiny)
    assert len(read) == 1 and len(moved) == 2 and moved[0] is moved[1]
    assert moved[0].model.part is read[0] and moved[0].load_device == comfy.model_management.get_torch_device()


@pytest.mark.parametrize("precision, dtype", [("auto", torch.float32), ("float32", torch.float32),
                                              ("bfloat16", torch.bfloat16)])
def test_precision_is_what_was_asked_for(nodes, tiny, clip, monkeypatch, precision, dtype):
    seen = []
    forward = VideoDepthAnything.look
    monkeypatch.setattr(sys.modules["comfyui_ex4d.ex4d_ops.estimators.video_depth_anything"].VideoDepthAnything, "look",
                        lambda self, pictures: seen.append(self.pretrained.cls_token.dtype) or forward(self, pictures))
    nodes.run("EstimateVideoDepth", images=clip[0], model=tiny, precision=precision)
    assert set(seen) == {dtype}


def test_cancel_stops_it_and_the_next_run_works(nodes, tiny, clip):
    import comfy.model_management

    comfy.model_management.interrupt_current_processing(True)
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        nodes.run("EstimateVideoDepth", images=clip[0], model=tiny)
    assert nodes.run("EstimateVideoDepth", images=clip[0], model=tiny)[0].size == (48, 64)


@pytest.mark.parametrize("model, facts", [
    ({"model": "Video-Depth-Anything"}, ["video_depth_anything_vits.pth is missing", "116 MB", "Apache-2.0"]),
    ({"model": "DepthCrafter"}, ["config.json is missing", "research use only", "tencent/DepthCrafter"]),
    ({"model": "per-frame model"}, ["config.json is missing", "Depth-Anything-V2-Small-hf", "Apache-2.0"]),
])
def test_missing_weights_are_named_and_not_fetched(nodes, model_folders, clip, model, facts):
    model = {widget.id: widget.default for widget in model_widgets(nodes, model["model"])} | model
    with pytest.raises(ValueError) as refusal:
        nodes.run("EstimateVideoDepth", images=clip[0], model=model)
    for fact in [*facts, "https://huggingface.co/", str(model_folders), "ex4d download"]:
        assert fact in str(refusal.value)


def model_widgets(nodes, key):
    inputs = nodes.by_id["EstimateVideoDepth"].define_schema().inputs
    model = next(widget for widget in inputs if widget.id == "model")
    return next(option.inputs for option in model.options if option.key == key)


def test_weights_that_are_there_are_offered_and_folders_beside_the_public_ones(nodes, tiny, model_folders):
    (model_folders / "depth" / "mine").mkdir()
    (model_folders / "depth" / "mine" / "config.json").write_text("{}")
    files, folders = (model_widgets(nodes, key)[0].options for key in ("Video-Depth-Anything", "per-frame model"))
    assert files == [TINY]  # those that are named and not there, the front end offers for download
    assert folders == ["Depth-Anything-V2-Small-hf", "mine"]


def test_depth_by_socket_is_made_steady(nodes, same, clip):
    images, truth = clip
    (depth, _, notes) = nodes.run("EstimateVideoDepth", images=images, model={"model": "depth input", "depth": truth},
                                  scale={"scale": "as given"}, lens={"lens": "as given"})
    assert same(depth, steady_given_depth(images, truth).depth) and "aligned by scale" in notes
    assert same(depth.world_from_cam, truth.world_from_cam), "the cameras of multiview depth are kept"


@pytest.mark.parametrize("packet", ["da3", "moge"])
def test_geometry_of_other_nodes_comes_in_by_socket(nodes, clip, packet):
    images, truth = clip
    geometry = {"depth": truth.depth, "image": images}
    geometry |= {"mode": "mono"} if packet == "da3" else {"intrinsics": torch.tensor(
        [[0.9, 0, 0.5], [0, 1.2, 0.5], [0, 0, 1]]).expand(5, 3, 3)}
    depth, *_ = nodes.run("EstimateVideoDepth", images=images, model={"model": "depth input", "depth": geometry},
                          scale={"scale": "as given"}, lens={"lens": "as given"})
    assert torch.equal(depth.depth.isinf(), truth.depth.isinf())
    assert depth.intrinsics[0, 0, 0] == pytest.approx(0.9 * 64 if packet == "moge" else 500 * 64 / 512)


def test_parallax_needs_no_file_and_refuses_a_camera_at_rest(nodes):
    still, _ = sample_clip("gallery", 3, (48, 64))
    with pytest.raises(ValueError, match="the camera stands still or only turns"):
        nodes.run("EstimateVideoDepth", images=still, model={"model": "parallax"})


def test_cuts_are_refused_or_split(nodes, tiny):
    images = torch.cat([sample_clip(scene, 3, (48, 64))[0] for scene in ("gallery", "street")])
    with pytest.raises(ValueError, match="cuts to another shot at frame 3"):
        nodes.run("EstimateVideoDepth", images=images, model=tiny)
    assert "2 shots" in nodes.run("EstimateVideoDepth", images=images, model=tiny, cuts="split")[2]


def test_scale_rules_reach_the_library(nodes, tiny, clip):
    depth, *_ = nodes.run("EstimateVideoDepth", images=clip[0], model=tiny,
                          scale={"scale": "near and far", "near": 2.0, "far": 9.0})
    assert depth.depth.min() == pytest.approx(2) and depth.depth.max() == pytest.approx(9)
    with pytest.raises(ValueError, match="relative disparity, which does not have units"):
        nodes.run("EstimateVideoDepth", images=clip[0], model=tiny, scale={"scale": "as given"})


def test_the_source_camera_is_estimated_when_asked(nodes):
    images, truth = sample_clip("colonnade", 7, (144, 192))
    depth, _, notes = nodes.run(
        "EstimateVideoDepth", images=images, model={"model": "depth input", "depth": truth}, alignment="none",
        scale={"scale": "as given"}, lens={"lens": "as given"}, source_camera="estimate")
    assert "matched points are off by " in notes
    assert (depth.world_from_cam - truth.world_from_cam).abs().max() < 0.05
