"""Every node that works on a clip asks for the cancel button at every frame, and stops at the next one."""

import pytest

from .test_memory import CASES, files, inputs_of  # noqa: F401

# Cameras, single frames and sound are done at once; files hold all their frames in one read, as do videos of that size.
AT_ONCE = ("EX4DMeshToMesh", "CameraTrajectory", "EX4DCameraKeyframes", "EX4DComposeCameras", "EX4DLoadCameras",
           "EX4DSaveCameras", "EX4DCameraFromLoad3D", "EX4DCameraToLoad3D", "EX4DDepthFromGeometry", "EX4DLoadDepth",
           "EX4DSaveDepth", "EX4DSourceCameras", "EX4DStereoCameras", "EX4DAnchorFrames", "EX4DSoundForCameras")
BY_FRAME = [case for case in CASES if not case.startswith(AT_ONCE) and case != "EX4DClipFromVideo"]
FRAMES = {"EX4DSampleScene": 2}


class Cancelled(Exception):
    """What ComfyUI raises."""


@pytest.mark.parametrize("frame", [1, 2])
@pytest.mark.parametrize("case", BY_FRAME)
def test_a_node_stops_at_the_next_frame(nodes, take, files, monkeypatch, case, frame):  # noqa: F811
    import comfy.model_management

    asked = []

    def press_cancel() -> None:
        asked.append(True)
        if len(asked) >= frame:
            raise Cancelled

    monkeypatch.setattr(comfy.model_management, "throw_exception_if_processing_interrupted", press_cancel)
    node, inputs = inputs_of(case, take)
    with pytest.raises(Cancelled):
        nodes.run(node, **inputs)
    assert len(asked) == frame


@pytest.mark.parametrize("case", BY_FRAME)
def test_a_node_asks_at_every_frame(nodes, take, files, monkeypatch, case):  # noqa: F811
    import comfy.model_management

    asked = []
    monkeypatch.setattr(comfy.model_management, "throw_exception_if_processing_interrupted",
                        lambda: asked.append(True))
    node, inputs = inputs_of(case, take)
    nodes.run(node, **inputs)
    assert len(asked) >= FRAMES.get(node, len(take.images)) - 1
