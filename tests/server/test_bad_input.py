"""Bad input gets a sentence that names the input and says what to do, and the server lives on."""

import re

import numpy as np
import pytest

from headless.server import Failed, Refused

from ..videos_with_sound import write_tone

SAVERS = {"EX4DLoadDepth": ("EX4DSaveDepth", "depth"), "EX4DLoadCameras": ("EX4DSaveCameras", "cameras")}


@pytest.fixture(autouse=True)
def lives_on(server, new_workflow):
    """After each of these tests the server still works."""
    yield
    alive = new_workflow()
    alive.add("PreviewImage", images=[alive.clip(frames=1), 0])
    assert server.run(alive)


def load(workflow, loader: str, name: str | list, **widgets) -> str:
    """A loader, and what saves what it has loaded."""
    loaded = workflow.add(loader, file=name, **widgets)
    saver, socket = SAVERS[loader]
    workflow.add(saver, **{socket: [loaded, 0]})
    return loaded


# ---- refused before anything runs ---------------------------------------------------------------


@pytest.mark.parametrize("loader, name", [
    ("EX4DLoadDepth", "nothing.npz"), ("EX4DLoadDepth", "../../etc/passwd"), ("EX4DLoadDepth", "/etc/passwd"),
    ("EX4DLoadDepth", "../secret.npz [output]"), ("EX4DLoadDepth", ""), ("EX4DLoadCameras", "nothing.json"),
    ("EX4DLoadCameras", "../../etc/passwd"),
])
def test_files_outside_comfyui_s_folders_or_missing_are_refused_at_once(server, workflow, loader, name):
    (server.base / "secret.npz").touch()
    loaded = load(workflow, loader, name)
    with pytest.raises(Refused) as refused:
        server.queue(workflow)
    (error,) = refused.value.reply["node_errors"][loaded]["errors"]
    assert error["details"] == (f"file - there is no '{name}' in ComfyUI's input folder; put it there, or write "
                                "'NAME [output]' for one in the output folder")


def test_bad_keyframes_are_refused_at_once_with_their_line(server, workflow):
    text = '[\n  {"frame": 0},\n  {"frame": 4,\n   "yaw": "left"}\n]'
    keys = workflow.add("EX4DCameraKeyframes", keyframes=text, frames=5, radius=3.0, width=48, height=32)
    workflow.add("PreviewImage", images=[keys, 1])
    with pytest.raises(Refused, match=r"keyframes - keyframe 1 \(line 4\): yaw must be a number in -3600..3600"):
        server.queue(workflow)
    workflow[keys]["inputs"]["keyframes"] = '[\n  {"frame": 0}\n  {"frame": 4}]'
    with pytest.raises(Refused, match="keyframes - keyframes: line 3 is not JSON"):
        server.queue(workflow)
    workflow[keys]["inputs"] |= {"keyframes": '[{"time": 2}]', "frames": 0}
    with pytest.raises(Refused, match=r"keyframe 0 \(line 1\): time must be a number in 0..1"):
        server.queue(workflow)
    workflow[keys]["inputs"] |= {"keyframes": '[{"frame": 0}]', "frames": -1}
    with pytest.raises(Refused, match="frames: -1 is out of range; use 0..10000"):
        server.queue(workflow)


MISSPELT = {
    "orbit:yow=3": r"move - move orbit: 'yow' is not a setting; use yaw, pitch, ease",
    "orbet": r"move - move: 'orbet' is not a move; use one of static, ",
    "": r"move - move: '' is not a move; use one of static, ",
    "orbit:yaw=far": r"move - move orbit: yaw='far' is not a number; write e\.g\. yaw=30",
    "orbit:yaw=400": r"move - move orbit: yaw=400 is out of range; use -360\.\.360",
    "dolly+orbit:ease=slow": r"move - move orbit: 'slow' is not an ease; use one of linear",
}


@pytest.mark.parametrize("moves", MISSPELT)
def test_every_move_misspelt_is_refused_at_once_and_once(server, workflow, moves):
    path = workflow.add("CameraTrajectory", move="combined", move__moves=moves, frames=5, radius=3.0, width=48,
                        height=32)
    workflow.add("PreviewImage", images=[path, 1])
    with pytest.raises(Refused, match=MISSPELT[moves]) as refused:
        server.queue(workflow)
    assert len(refused.value.reply["node_errors"][path]["errors"]) == 1


CLIPS = {  # frames of a clip as its node says them, and how many there are, or are at most
    "EX4DSampleScene": ({"frames": 9}, 9, ""), "EX4DClipFromVideo": ({"frames": 11}, 9, "at most "),
    "ImageFromBatch": ({"length": 9}, 9, "at most ")}


@pytest.fixture
def film(input_folder) -> str:
    input_folder.mkdir(exist_ok=True)
    if not (input_folder / "film.mp4").is_file():
        write_tone(input_folder / "film.mp4")
    return "film.mp4"


def clip_of(workflow, node: str, film: str) -> list:
    """The link to the pictures of a clip that a node takes."""
    inputs, _, _ = CLIPS[node]
    if node == "EX4DSampleScene":
        return [workflow.clip(**inputs), 0]
    video = workflow.add("LoadVideo", file=film)
    if node == "EX4DClipFromVideo":
        return [workflow.add(node, video=[video, 0], size="same as the video", **inputs), 0]
    return [workflow.add(node, image=[workflow.add("GetVideoComponents", video=[video, 0]), 0], **inputs), 0]


def prior_of(workflow, clip: list, path: str, **inputs) -> str:
    if workflow[clip[0]]["class_type"] == "EX4DSampleScene":
        depth = [clip[0], 1]
    else:
        depth = [workflow.add("EX4DDepthFromImages", images=clip), 0]
    mesh = workflow.add("BuildDWMesh", images=clip, depth=depth)
    cameras = workflow.add(path, scene=depth, **inputs)
    return workflow.add("RenderDWMesh", mesh=[mesh, 0], cameras=[cameras, 0])


@pytest.mark.parametrize("node", CLIPS)
@pytest.mark.parametrize("path, keys", [
    ("CameraTrajectory", {}), ("EX4DCameraKeyframes", {"keyframes": '[{"frame": 0}]'})])
@pytest.mark.parametrize("longer", [0, 1])
def test_every_path_that_is_longer_than_its_clip_is_refused_at_once(server, workflow, film, node, path, keys, longer):
    _, frames, about = CLIPS[node]
    prior = prior_of(workflow, clip_of(workflow, node, film), path, frames=frames + longer, **keys)
    workflow.add("PreviewImage", images=[prior, 0])
    if not longer:
        server.run(workflow)
        return
    with pytest.raises(Refused, match=f"cameras - cameras: the path has {frames + longer} frames, but the clip has "
                                      f"{about}{frames}; set frames of the path to 0, or to {frames} or less"):
        server.queue(workflow)


@pytest.mark.parametrize("node", CLIPS)
def test_every_path_that_fits_because_it_is_as_long_as_the_scene_or_holds_a_frame_runs(server, workflow, film, node):
    clip = clip_of(workflow, node, film)
    workflow.add("PreviewImage", images=[prior_of(workflow, clip, "CameraTrajectory", frames=0), 0])
    held = '{"keys": [{"frame": 0}], "retime": [{"frame": 0, "source": 2}, {"frame": 39, "source": 2}]}'
    workflow.add("PreviewImage", images=[prior_of(workflow, clip, "EX4DCameraKeyframes", frames=40, keyframes=held), 0])
    server.run(workflow)


@pytest.mark.parametrize("length, rule, refused", [
    (9, "refuse", False), (13, "refuse", True), (5, "refuse", True), (13, "pad", False), (5, "trim", False)])
def test_every_prior_of_another_length_than_what_is_generated_is_refused_at_once(server, workflow, length, rule,
                                                                                 refused):
    clip = workflow.clip(frames=9)
    _, _, prior = workflow.prior(clip, frames=0)
    node = workflow.add("EX4DPriorEncode", vae=[clip, 0], color=[prior, 0], visible=[prior, 1], length=length,
                        other_length=rule)
    workflow.add("PreviewImage", images=[node, 1])
    with pytest.raises(Refused) as found:  # in any case: what it has for a VAE is none
        server.queue(workflow)
    said = str(found.value.reply["node_errors"].get(node, ""))
    assert (f"color: it has 9 frames, but {length} are to be generated" in said) == refused


def test_numbers_out_of_range_and_unknown_choices_are_refused_at_once(server, new_workflow):
    for name, value, words in (("min_angle", -1.0, "smaller than min of 0"), ("filter", "magic", "not in list")):
        workflow = new_workflow()
        clip = workflow.clip()
        mesh = workflow.add("BuildDWMesh", images=[clip, 0], depth=[clip, 1], **{name: value})
        workflow.add("MaskPreview", mask=[mesh, 1])
        with pytest.raises(Refused, match=f"BuildDWMesh: .*{words}.*{name}"):
            server.queue(workflow)


MISSING = {
    "Video-Depth-Anything": r"model - video-depth-anything-small: video_depth_anything_vits\.pth is missing \(116 MB, "
                            r"license: Apache-2\.0\); download it from https://huggingface\.co/depth-anything/",
    "DepthCrafter": r"model - depthcrafter: config\.json is missing \(license: Tencent, academic and research use only",
    "per-frame model": r"model - depth-anything-v2-small: config\.json is missing \(license: Apache-2\.0\)",
}


@pytest.mark.parametrize("model", MISSING)
def test_every_depth_model_that_is_not_there_is_named_before_anything_runs(server, workflow, model):
    depth = workflow.add("EstimateVideoDepth", images=[workflow.clip(), 0], model=model)
    workflow.add("EX4DSaveDepth", depth=[depth, 0])
    with pytest.raises(Refused, match=MISSING[model]) as refused:
        server.queue(workflow)
    said = str(refused.value)
    assert "ex4d download" in said and str(server.base / "models") in said


@pytest.mark.parametrize("model", ["parallax", "depth input"])
def test_what_needs_no_model_is_not_held_up(server, workflow, model):
    clip = workflow.clip(frames=3)
    link = {"model__depth": [clip, 1]} if model == "depth input" else {}
    depth = workflow.add("EstimateVideoDepth", images=[clip, 0], model=model, **link)
    workflow.add("EX4DSaveDepth", depth=[depth, 0])
    assert server.queue(workflow)


# ---- found out while it runs --------------------------------------------------------------------


def of_images(kind: str, **widgets):
    """Test images straight into depth."""
    def build(workflow) -> None:
        images = workflow.add("TestImages", kind=kind)
        depth = workflow.add("EX4DDepthFromImages", images=[images, 0], **widgets)
        workflow.add("EX4DSaveDepth", depth=[depth, 0])
    return build


def of_mesh(kind: str):
    """Test images as the clip of a mesh, with depth of three frames."""
    def build(workflow) -> None:
        images = workflow.add("TestImages", kind=kind)
        mesh = workflow.add("BuildDWMesh", images=[images, 0], depth=[workflow.clip(frames=3), 1])
        workflow.add("MaskPreview", mask=[mesh, 1])
    return build


def wrong_lengths(workflow) -> None:
    clip, longer = workflow.clip(frames=3), workflow.clip(frames=5)
    mesh = workflow.add("BuildDWMesh", images=[clip, 0], depth=[longer, 1])
    workflow.add("MaskPreview", mask=[mesh, 1])


def too_long_a_path(workflow) -> None:
    mesh, path, prior = workflow.prior(workflow.clip(frames=3), frames=9)
    turned = workflow.add("EX4DComposeCameras", cameras=[path, 0], operation="reverse")
    workflow[prior]["inputs"]["cameras"] = [turned, 0]
    workflow.add("PreviewImage", images=[prior, 0])


def colored_depth(workflow) -> None:
    colors = workflow.add("EX4DDepthToImages", depth=[workflow.clip(), 1], colors="turbo")
    depth = workflow.add("EX4DDepthFromImages", images=[colors, 0])
    workflow.add("EX4DSaveDepth", depth=[depth, 0])


def all_sky(workflow) -> None:
    black = workflow.add("EmptyImage", width=48, height=32, batch_size=3, color=0)
    depth = workflow.add("EX4DDepthFromImages", images=[black, 0], convention="disparity")
    workflow.add("EX4DSaveDepth", depth=[depth, 0])


def near_beyond_far(workflow) -> None:
    gray = workflow.add("EX4DDepthToImages", depth=[workflow.clip(), 1], colors="gray")
    depth = workflow.add("EX4DDepthFromImages", images=[gray, 0], convention="normalized-depth", convention__near=9.0,
                         convention__far=2.0)
    workflow.add("EX4DSaveDepth", depth=[depth, 0])


def trajectory(**widgets):
    def build(workflow) -> None:
        workflow.add("PreviewImage", images=[workflow.add("CameraTrajectory", **{"frames": 5} | widgets), 1])
    return build


def sizes_that_differ(workflow) -> None:
    first, second = (workflow.add("CameraTrajectory", frames=5, radius=3.0, width=width, height=32)
                     for width in (48, 64))
    both = workflow.add("EX4DComposeCameras", cameras=[first, 0], operation="chain", operation__second=[second, 0])
    workflow.add("PreviewImage", images=[both, 1])


def a_frame_too_many(workflow) -> None:
    clip = workflow.clip(frames=3)
    mesh = workflow.add("BuildDWMesh", images=[clip, 0], depth=[clip, 1])
    core = workflow.add("EX4DMeshToMesh", mesh=[mesh, 0], frame=3)
    workflow.add("SaveGLB", mesh=[core, 0])


def orthographic_viewer(workflow) -> None:
    still = workflow.add("CameraTrajectory", move="static", frames=5, radius=3.0, width=48, height=32)
    viewer = workflow.add("CreateCameraInfo", mode="orbit", camera_type="orthographic")
    led = workflow.add("EX4DCameraFromLoad3D", cameras=[still, 0], camera_info=[viewer, 0], frame=4)
    workflow.add("PreviewImage", images=[led, 1])


def prefix_outside(workflow) -> None:
    workflow.add("EX4DSaveDepth", depth=[workflow.clip(frames=1), 1], filename_prefix="../../outside")


def linked_name(workflow) -> None:
    name = workflow.add("TestFileName", name="../../etc/passwd")
    load(workflow, "EX4DLoadDepth", [name, 0])


def linked_moves(workflow) -> None:
    moves = workflow.add("TestFileName", name="orbit:yow=3")
    trajectory(move="combined", move__moves=[moves, 0], radius=3.0, width=48, height=32)(workflow)


CASES = {
    "lengths": (wrong_lengths, r"depth: 5 frames, but the clip has 3; read both with the same start and length"),
    "a NaN in the clip": (of_mesh("one is NaN"), r"images: contains NaN or infinity; check the node"),
    "an empty clip": (of_mesh("none"), r"images: the shape \[0, 32, 48, 3\] is not one or more frames"),
    "a clip of one pixel": (of_mesh("one pixel"), r"images: the shape \[3, 1, 1, 3\] .* at least 2x2 pixels"),
    "depth with holes": (of_images("gray with holes"), r"images: depth: 4 of 4608 pixels are NaN.* \(fill\)"),
    "depth of NaN": (of_images("all are NaN", convention="depth"), r"images: depth: no pixel is a positive number"),
    "no depth": (of_images("none"), r"images: the shape \[0, 32, 48, 3\] is not one or more frames"),
    "colored depth": (colored_depth, r"images: they are in color, .*; connect gray images"),
    "nothing but sky": (all_sky, r"images: depth: inf everywhere, .*; check the source"),
    "near and far": (near_beyond_far, r"near and far: got 9 and 2, need 0 < near < far"),
    "a path too long": (too_long_a_path, r"cameras: output frame 3 shows source frame 3, but the mesh has frames "
                                         r"0\.\.2; fit the path to 3 frames"),
    "no length": (trajectory(radius=3.0, width=48, height=32, frames=0),
                  r"frames: 0 takes the length from scene, which is not connected; connect"),
    "no size": (trajectory(radius=3.0), r"width, height: 0 takes the size from scene, which is not connected; connect"),
    "no radius": (trajectory(width=48, height=32),
                  r"radius: 0 takes it from scene, which is not connected or shows only sky in frame 0; connect"),
    "a linked move misspelt": (linked_moves, r"move orbit: 'yow' is not a setting; use yaw, pitch, ease"),
    "sizes of paths": (sizes_that_differ, r"paths: their sizes are 48x32 and 64x32; make both with the same size"),
    "a frame too many": (a_frame_too_many, r"frame: the mesh does not have a frame 3; use 0\.\.2"),
    "an orthographic viewer": (orthographic_viewer, r"camera_info: the camera is orthographic; switch the viewer"),
    "a prefix outside": (prefix_outside, r"filename_prefix: '\.\./\.\./outside' leads out of ComfyUI's"),
    "a linked name outside": (linked_name, r"file: there is no '\.\./\.\./etc/passwd' in ComfyUI's input folder"),
}
FILES = {  # name, content -> loader, widgets, what is said
    ("damaged.npz", b"PK\x03\x04 not really"): ("EX4DLoadDepth", {}, "cannot be read as npz"),
    ("zeros.mp4", b"\x00" * 64): ("EX4DLoadDepth", {}, "cannot be read as a video"),
    ("words.json", b'{"hello": 1}'): ("EX4DLoadCameras", {}, "lacks cam_from_world; a camera path in JSON must be"),
    ("keys.json", b'[{"frame": 0}]'): ("EX4DLoadCameras", {}, "is a list of keyframes; give the number of frames"),
    ("words.chan", b"one two\n"): ("EX4DLoadCameras", {"width": 48, "height": 32}, "'one two' should read: frame tx"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_goes_wrong_is_said_in_a_sentence(server, workflow, case):
    build, sentence = CASES[case]
    build(workflow)
    with pytest.raises(Failed, match=sentence):
        server.run(workflow)


@pytest.mark.parametrize("name, content", FILES)
def test_files_of_no_use_are_named_with_what_is_wrong(server, workflow, input_folder, name, content):
    loader, widgets, sentence = FILES[name, content]
    (input_folder / name).write_bytes(content)
    load(workflow, loader, name, **widgets)
    with pytest.raises(Failed, match=f"{re.escape(name)}: {re.escape(sentence)}"):
        server.run(workflow)


def test_pickled_files_are_never_run(server, workflow, input_folder):
    np.save(input_folder / "pickled.npy", np.array([{"a": 1}], object), allow_pickle=True)
    load(workflow, "EX4DLoadDepth", "pickled.npy", convention="depth")
    with pytest.raises(Failed, match=r"pickled\.npy: cannot be read as npy"):
        server.run(workflow)
