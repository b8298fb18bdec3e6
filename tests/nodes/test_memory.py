"""What a node gives away is its own: writing into it changes neither what came in nor what the node makes again."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from fractions import Fraction

import pytest
import torch

from ex4d_ops.files import write_depth, write_path

from ..narrow_device import NARROW, narrow_device

KEYFRAMES = '[{"frame": 0}, {"frame": 4, "yaw": 30}]'
EDITS = ["chain", "blend", "reverse", "ping-pong", "retime", "freeze"]


def tensors_of(value) -> Iterator[torch.Tensor]:
    """Every tensor within a value that flows between nodes."""
    if isinstance(value, torch.Tensor):
        yield value
    elif is_dataclass(value):
        for field in fields(value):
            yield from tensors_of(getattr(value, field.name))
    elif isinstance(value, dict):
        for entry in value.values():
            yield from tensors_of(entry)
    elif isinstance(value, (list, tuple)):
        for entry in value:
            yield from tensors_of(entry)
    elif hasattr(value, "vertices"):  # core's mesh
        yield from tensors_of(vars(value))
    elif hasattr(value, "get_components"):  # core's video
        yield from tensors_of(value.get_components())


def video_of(images: torch.Tensor):
    """The images as a video of core's in memory, with sound."""
    from comfy_api.latest import InputImpl, Types

    parts = Types.VideoComponents(images=images, audio=make_sound(), frame_rate=Fraction(5))
    return InputImpl.VideoFromComponents(parts)


def make_sound() -> dict:
    return {"waveform": torch.linspace(-1, 1, 400).repeat(1, 2, 1), "sample_rate": 400}


def inputs_of(case: str, take) -> tuple[str, dict]:
    """The node of a case, and inputs for it."""
    node, _, variant = case.partition(" ")
    packets = {"da3": {"mode": "multiview", "image": take.images, "depth": take.mesh.depth,
                       "extrinsics": take.path.cam_from_world[None, :, :3], "intrinsics": take.path.intrinsics[None]},
               "moge": {"image": take.images, "depth": take.mesh.depth,
                        "intrinsics": take.path.intrinsics / torch.tensor([[48.0], [32.0], [1.0]])}}
    edit = {"operation": variant, **({"second": take.path} if variant in ("chain", "blend") else {})}
    return node, {
        "EX4DSampleScene": {"frames": 2, "width": 48, "height": 32},
        "EX4DClipFromVideo": {"video": video_of(take.images), "frames": 0, "size": {
            "size": variant or "same as the video", "width": 32, "height": 32}},
        "EX4DDepthFromImages": {"images": take.images[..., :1].repeat(1, 1, 1, 3),
                                "convention": {"convention": variant}},
        "EX4DDepthFromGeometry": {"geometry": packets.get(variant)},
        "EX4DLoadDepth": {"file": "depth.npz"},
        "EX4DSaveDepth": {"depth": take.depth},
        "EX4DDepthToImages": {"depth": take.depth, "colors": variant},
        "EX4DMotionMask": {"images": take.images, "depth": take.depth},
        "BuildDWMesh": {"images": take.images, "depth": take.depth},
        "EX4DMeshToMesh": {"mesh": take.mesh, "faces": variant},
        "CameraTrajectory": {"frames": 5, "scene": take.depth},
        "EX4DCameraKeyframes": {"keyframes": KEYFRAMES, "frames": 5, "scene": take.depth},
        "EX4DComposeCameras": {"cameras": take.path, "operation": edit},
        "EX4DSourceCameras": {"scene": take.depth},
        "EX4DStereoCameras": {"cameras": take.path, "scene": take.depth},
        "EX4DStereoVideo": {"mesh": take.mesh, "left": take.path, "right": take.path,
                            "layout": {"layout": "side by side"}},
        "EX4DAnchorFrames": {"color": take.images, "visible": torch.ones(take.images.shape[:3]),
                             "pictures": take.images[:1]},
        "EX4DGuideVideo": {"color": take.images, "visible": torch.ones(take.images.shape[:3]), "source": take.images,
                           "style": "black", "frame_rate": "as given",
                           "audio": make_sound()},
        "EX4DSoundForCameras": {"audio": make_sound(), "cameras": take.path, "fps": 5.0},
        "EX4DLoadCameras": {"file": "path.json", "scene": take.depth},
        "EX4DSaveCameras": {"cameras": take.path},
        "EX4DCameraFromLoad3D": {"cameras": take.path, "frame": 4, "camera_info": {
            "position": {"x": 0.5, "y": 0, "z": 0}, "target": {"x": 0, "y": 0, "z": -3}, "fov": 35}},
        "EX4DCameraToLoad3D": {"cameras": take.path},
        "EX4DCoverageMap": {"mesh": take.mesh, "step": 45.0},
        "RenderDWMesh": {"mesh": take.mesh, "cameras": take.path, **(
            {"moving": torch.zeros(take.depth.depth.shape)} if variant == "moving" else {})},
        "EstimateVideoDepth": {"images": take.images, "model": {"model": "depth input", "depth": take.depth}},
        "EX4DEvaluate": {"images": take.images, "color": take.images, "visible": torch.ones(take.images.shape[:3]),
                         "mesh": take.mesh, "cameras": take.path},
        "EX4DRenderingMask": {"mesh": take.mesh},
        "EX4DTrackingMask": {"images": take.images},
        "EX4DRandomMask": {"images": take.images},
        "EX4DSmoothCrop": {"images": take.images, "depth": take.depth},
    }[node]


CASES = [
    "EX4DSampleScene", "EX4DDepthFromImages released", "EX4DDepthFromImages depth",
    "EX4DDepthFromImages normalized-depth", "EX4DDepthFromGeometry da3", "EX4DDepthFromGeometry moge", "EX4DLoadDepth",
    "EX4DSaveDepth", "EX4DDepthToImages turbo", "EX4DDepthToImages gray", "BuildDWMesh", "EX4DMeshToMesh visible",
    "EX4DMeshToMesh all", "CameraTrajectory", "EX4DCameraKeyframes", *[f"EX4DComposeCameras {edit}" for edit in EDITS],
    "EX4DClipFromVideo", "EX4DClipFromVideo custom", "EX4DSourceCameras", "EX4DLoadCameras", "EX4DSaveCameras",
    "EX4DCameraFromLoad3D",
    "EX4DCameraToLoad3D", "EX4DStereoCameras", "EX4DStereoVideo", "EX4DAnchorFrames", "EX4DGuideVideo",
    "EX4DSoundForCameras", "RenderDWMesh", "RenderDWMesh moving", "EX4DMotionMask", "EX4DCoverageMap",
    "EstimateVideoDepth", "EX4DEvaluate", "EX4DRenderingMask", "EX4DTrackingMask", "EX4DRandomMask", "EX4DSmoothCrop",
]
WITH_MODELS = {"EX4DPriorEncode", "ApplyEX4DLoRA", "EX4DTrainAdapter"}  # tested beside their models
WORK_WHERE_INPUTS_LIE = ("BuildDWMesh", "EX4DMeshToMesh", "EX4DCameraFromLoad3D", "EstimateVideoDepth",
                         "EX4DMotionMask", "EX4DCoverageMap", "RenderDWMesh moving",  # they show a picture
                         "EX4DRenderingMask", "EX4DTrackingMask", "EX4DRandomMask", "EX4DSmoothCrop")


def test_every_node_is_a_case(nodes):
    assert {case.partition(" ")[0] for case in CASES} == set(nodes.by_id) - WITH_MODELS


@pytest.fixture
def files(take, folders) -> None:
    """What the loaders load."""
    write_depth(folders / "input" / "depth.npz", take.depth)
    write_path(folders / "input" / "path.json", take.path)


@pytest.mark.parametrize("case", CASES)
def test_outputs_are_no_views_and_writing_into_them_changes_nothing_else(nodes, take, files, case):
    node, inputs = inputs_of(case, take)
    given = list(tensors_of(inputs))
    before = [tensor.clone() for tensor in given]
    outputs = list(tensors_of(nodes.run(node, **inputs)))
    places = [tensor.untyped_storage().data_ptr() for tensor in outputs]
    assert len(set(places)) == len(places)
    assert not set(places) & {tensor.untyped_storage().data_ptr() for tensor in given}

    first = [tensor.clone() for tensor in outputs]
    with torch.inference_mode():
        for tensor in outputs:
            tensor.fill_(True if tensor.dtype == torch.bool else -7)
    assert all(torch.equal(tensor, kept) for tensor, kept in zip(given, before))
    assert all(torch.equal(*pair) for pair in zip(tensors_of(nodes.run(node, **inputs)), first))


@pytest.mark.parametrize("case", [case for case in CASES if not case.startswith(WORK_WHERE_INPUTS_LIE)])
def test_outputs_go_where_comfyui_keeps_what_flows(nodes, take, files, monkeypatch, case):
    import comfy.model_management

    monkeypatch.setattr(comfy.model_management, "intermediate_device", lambda: NARROW)
    node, inputs = inputs_of(case, take)
    with narrow_device():
        assert all(tensor.device == NARROW for tensor in tensors_of(nodes.run(node, **inputs)))
