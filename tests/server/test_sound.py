"""The sound of what a server makes of a video, along paths that play it, hold it, retime it and run it backward."""

import numpy as np
import pytest

from ..videos_with_sound import FPS, RATE, SECONDS, SILENT, STEP, loudness, write_tone

FRAMES = FPS * SECONDS
PLAYED = np.arange(FRAMES) / FPS  # seconds into the video, by output frame
PATHS = {  # by its name in Compose Cameras: inputs, and which moment each output frame shows
    "as it is": ({}, PLAYED),
    "reverse": ({}, PLAYED),
    "freeze": ({"operation__frame": 30}, np.full(FRAMES, 30 / FPS)),
    "retime": ({"operation__frames": 2 * FRAMES, "operation__speed": "linear"}, np.repeat(PLAYED, 2)),
}
HEARD = [("as it is", "silence", True), ("as it is", "stretch", True), ("reverse", "silence", True),
         ("freeze", "silence", False), ("freeze", "stretch", False), ("retime", "silence", False),
         ("retime", "stretch", True)]


@pytest.fixture(scope="module")
def film(server) -> str:
    (server.base / "input").mkdir(exist_ok=True)
    write_tone(server.base / "input" / "tone.mp4")
    return "tone.mp4"


@pytest.mark.parametrize("path, retimed, heard", HEARD)
def test_every_path_is_heard_where_it_shows_what_sounds(server, workflow, film, path, retimed, heard):
    video = workflow.add("LoadVideo", file=film)
    parts = workflow.add("GetVideoComponents", video=[video, 0])
    depth = workflow.add("EX4DDepthFromImages", images=[parts, 0])
    mesh = workflow.add("BuildDWMesh", images=[parts, 0], depth=[depth, 0])
    cameras = workflow.add("CameraTrajectory", move="orbit", frames=0, scene=[mesh, 0])
    inputs, moments = PATHS[path]
    if path != "as it is":
        cameras = workflow.add("EX4DComposeCameras", cameras=[cameras, 0], operation=path, **inputs)
    sound = workflow.add("EX4DSoundForCameras", audio=[parts, 1], cameras=[cameras, 0], fps=[parts, 2], retimed=retimed)
    prior = workflow.add("RenderDWMesh", mesh=[mesh, 0], cameras=[cameras, 0])
    made = workflow.add("CreateVideo", images=[prior, 0], fps=[parts, 2], audio=[sound, 0])
    workflow.add("SaveVideo", video=[made, 0], filename_prefix=f"sound/{path}_{retimed}")
    (file,) = server.files(server.run(workflow))
    steps = loudness(file)[:len(moments) * RATE // FPS // STEP]
    shown = moments[(np.arange(len(steps)) * STEP * FPS // RATE).astype(int)]
    wanted = (shown >= SILENT) & heard
    wrong = (steps > 0.1) != wanted
    changes = np.flatnonzero(np.diff(wanted)) + 1
    near = np.min(abs(np.arange(len(steps))[:, None] - changes), 1, initial=99) <= 2  # where the tone begins and ends
    assert len(steps) >= len(moments) * RATE // FPS // STEP - 2 and not (wrong & ~near).any()
