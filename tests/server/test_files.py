"""What one workflow saves another loads, through ComfyUI's own folders and no others."""

import pytest
import torch

from ex4d_ops import files
from ex4d_ops.scene import sample_clip
from ex4d_ops.trajectory import automatic_radius, move_path, parse_moves

SUFFIXES = {"ex4d": ".json", "released": ".npz", "colmap": "", "chan": ".chan", "realestate": ".txt",
            "recammaster": ".json"}
FORMS = {"npz": ".npz", "exr": "", "png": "", "video": ".mkv"}


@pytest.fixture(scope="module")
def clip():
    return sample_clip("colonnade", 5, (32, 48))


def as_choice(said: dict) -> str:
    """The name of a saved file as a loader's widget offers it."""
    return f"{said['subfolder']}/{said['filename']} [output]"


@pytest.mark.parametrize("form", FORMS)
def test_depth_goes_through_every_kind_of_file(server, new_workflow, clip, form):
    saving = new_workflow()
    node = saving.add("EX4DSaveDepth", depth=[saving.clip(), 1], filename_prefix=f"trip/{form}", format=form)
    (said,) = server.run(saving)[node]["files"]
    assert said["filename"] == f"{form}_00001_{FORMS[form]}"

    offered = server.get("/object_info/EX4DLoadDepth")["EX4DLoadDepth"]["input"]["required"]["file"][1]["options"]
    assert as_choice(said) in offered
    loading = new_workflow()
    loaded = loading.add("EX4DLoadDepth", file=as_choice(said))
    loading.add("EX4DSaveDepth", depth=[loaded, 0], filename_prefix=f"trip/{form}_again")
    (file,) = server.files(server.run(loading))
    depth, exact = files.read_depth(file), clip[1]
    assert torch.equal(depth.intrinsics, exact.intrinsics) and torch.equal(depth.world_from_cam, exact.world_from_cam)
    step = 0.51 / (65535 * exact.depth.min()) if form in ("png", "video") else 0.0
    assert depth.metric and (1 / depth.depth - 1 / exact.depth).abs().max() <= step


@pytest.mark.parametrize("format", SUFFIXES)
def test_cameras_go_through_every_kind_of_file(server, new_workflow, clip, format):
    saving = new_workflow()
    path = saving.add("CameraTrajectory", move="orbit", move__yaw=40.0, frames=5, scene=[saving.clip(), 1])
    node = saving.add("EX4DSaveCameras", cameras=[path, 0], filename_prefix=f"trip/{format}", format=format)
    (said,) = server.run(saving)[node]["files"]
    assert said["filename"] == f"{format}_00001_{SUFFIXES[format]}"

    loading = new_workflow()
    loaded = loading.add("EX4DLoadCameras", file=as_choice(said), scene=[loading.clip(), 1], world="file")
    loading.add("EX4DSaveCameras", cameras=[loaded, 0], filename_prefix=f"trip/{format}_again")
    (file,) = server.files(server.run(loading))
    wanted = move_path(parse_moves("orbit:yaw=40"), 5, automatic_radius(clip[1]), clip[1].intrinsics, (32, 48))
    cameras = files.read_path(file)
    assert (cameras.cam_from_world - wanted.cam_from_world).abs().max() < 2e-6
    assert torch.allclose(cameras.intrinsics, wanted.intrinsics, rtol=1e-5)


def test_a_video_of_the_user_s_goes_in_and_out(server, workflow, clip, input_folder, pictures):
    files.write_video(input_folder / "mine.mkv", clip[0], 15)
    video = workflow.add("LoadVideo", file="mine.mkv")
    frames = workflow.add("GetVideoComponents", video=[video, 0])
    mesh = workflow.add("BuildDWMesh", images=[frames, 0], depth=[workflow.clip(), 1])
    path = workflow.add("CameraTrajectory", move="static", frames=5, scene=[mesh, 0])
    prior = workflow.add("RenderDWMesh", mesh=[mesh, 0], cameras=[path, 0])
    node = workflow.add("PreviewImage", images=[prior, 0])
    assert (pictures(server.run(workflow)[node])[0] - clip[0][0]).abs().max() <= 2 / 255


def test_a_changed_file_is_read_again_and_an_unchanged_one_is_not(server, new_workflow, clip, input_folder):
    def cached() -> set[str]:
        loading = new_workflow()
        depth = loading.add("EX4DLoadDepth", file="changing.npz")
        loading.add("PreviewImage", images=[loading.add("EX4DDepthToImages", depth=[depth, 0]), 0])
        return server.cached(loading)

    files.write_depth(input_folder / "changing.npz", clip[1])
    assert cached() == set() and cached() == {"1", "2", "3"}
    files.write_depth(input_folder / "changing.npz", sample_clip("gallery", 3, (24, 32))[1])
    assert cached() == set()
