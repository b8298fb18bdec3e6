"""Workflows through /prompt: what they save is what the library makes when called directly."""

import json

import pytest
import torch
import trimesh

from ex4d_ops import files
from ex4d_ops.camera import default_intrinsics
from ex4d_ops.files.meshes import linear_from_srgb
from ex4d_ops.mesh import build_dw_mesh, occluded_share
from ex4d_ops.plot import draw_depth, plot_path
from ex4d_ops.prior import render_prior
from ex4d_ops.scene import sample_clip
from ex4d_ops.trajectory import automatic_radius, move_path, parse_moves

# These run in tests of their own, with the models that feed them.
BEHIND_MODELS = {"EX4DDepthFromGeometry", "EX4DPriorEncode", "ApplyEX4DLoRA", "EX4DTrainAdapter"}
ONE_STEP = 1 / 255 + 1e-6  # of an 8-bit picture


@pytest.fixture(scope="module")
def wanted():
    """The library's own: images, depth, mesh, path, prior."""
    images, depth = sample_clip("colonnade", 5, (32, 48))
    mesh = build_dw_mesh(images, depth)
    path = move_path(parse_moves("orbit:yaw=25"), 5, automatic_radius(depth), depth.intrinsics, depth.size)
    return images, depth, mesh, path, render_prior(mesh, path)


def test_a_prior_video_is_made_and_saved(server, workflow, wanted):
    clip = workflow.clip()
    _, _, prior = workflow.prior(clip)
    video = workflow.add("CreateVideo", images=[prior, 0], fps=[clip, 2])
    workflow.add("SaveVideo", video=[video, 0], filename_prefix="prior")
    (file,) = server.files(server.run(workflow))
    saved, color = files.read_video(file), wanted[-1].color
    assert saved.frames.shape == color.shape and saved.fps == 15
    assert (saved.frames - color).abs().mean() < 0.05  # lossy


def test_every_picture_along_the_way_is_the_librarys(server, workflow, pictures, wanted):
    images, depth, mesh, path, prior = wanted
    clip = workflow.clip()
    built, trajectory, rendered = workflow.prior(clip)
    drawn = workflow.add("EX4DDepthToImages", depth=[clip, 1])
    shares = torch.stack([occluded_share(frame) for frame in mesh.occluded])
    says = {workflow.add(kind, **{name: link}): picture for kind, name, link, picture in [
        ("SaveImage", "images", [clip, 0], images),
        ("PreviewImage", "images", [drawn, 0], draw_depth(depth.depth)),
        ("PreviewImage", "images", [trajectory, 1], plot_path(path, depth)[None]),
        ("SaveImage", "images", [rendered, 0], prior.color),
        ("MaskPreview", "mask", [rendered, 1], prior.visible[..., None].float()),
        ("MaskPreview", "mask", [built, 1], shares[..., None])]}
    text = workflow.add("PreviewAny", source=[rendered, 2])
    outputs = server.run(workflow)
    for node, picture in says.items():
        assert (pictures(outputs[node]) - picture).abs().max() <= ONE_STEP
    assert outputs[text]["text"] == [prior.describe_coverage()]


def test_one_frame_is_exported_as_a_glb_that_opens(server, workflow, wanted):
    clip = workflow.clip()
    built = workflow.add("BuildDWMesh", images=[clip, 0], depth=[clip, 1])
    for faces in ("visible", "all"):
        mesh = workflow.add("EX4DMeshToMesh", mesh=[built, 0], frame=3, faces=faces)
        workflow.add("SaveGLB", mesh=[mesh, 0], filename_prefix=f"3d/{faces}")
    found = {file.name.split("_")[0]: trimesh.load(file, force="mesh", process=False)
             for file in server.files(server.run(workflow))}
    mesh = wanted[2]
    points = (mesh.vertices(3) * torch.tensor([1.0, -1.0, -1.0])).numpy()
    assert abs(found["all"].vertices - points).max() < 1e-4 and len(found["all"].faces) == len(mesh.faces())
    assert len(found["visible"].faces) == len(mesh.visible_faces(3)) < len(mesh.faces())
    assert found["visible"].bounds[1][2] < 0  # y up, z back: everything lies in front of the camera


def test_a_glb_holds_linear_colors_and_no_light(server, workflow, wanted):
    clip = workflow.clip()
    built = workflow.add("BuildDWMesh", images=[clip, 0], depth=[clip, 1])
    mesh = workflow.add("EX4DMeshToMesh", mesh=[built, 0], faces="all")
    workflow.add("SaveGLB", mesh=[mesh, 0], filename_prefix="3d/colors")
    (file,) = server.files(server.run(workflow))
    content = file.read_bytes()
    length = int.from_bytes(content[12:16], "little")  # of the JSON chunk, which stands between two headers
    tree, buffer = json.loads(content[20:20 + length]), content[28 + length:]
    (primitive,) = tree["meshes"][0]["primitives"]
    view = tree["bufferViews"][tree["accessors"][primitive["attributes"]["COLOR_0"]]["bufferView"]]
    stored = torch.frombuffer(bytearray(buffer), dtype=torch.float32, offset=view["byteOffset"],
                              count=view["byteLength"] // 4).reshape(-1, 3)
    mesh = wanted[2]
    seen = (mesh.colors[0] * mesh.vertex_visible(0)[..., None]).reshape(-1, 3)
    assert torch.allclose(stored, linear_from_srgb(seen), atol=1e-6)
    assert "KHR_materials_unlit" in tree["materials"][primitive["material"]]["extensions"]


def test_keyframes_and_edits_run_and_are_rendered(server, workflow, pictures):
    clip = workflow.clip()
    mesh = workflow.add("BuildDWMesh", images=[clip, 0], depth=[clip, 1])
    keys = workflow.add("EX4DCameraKeyframes", keyframes='[{"frame": 0}, {"frame": 4, "yaw": 30}]', frames=5,
                        scene=[mesh, 0])
    path = workflow.add("CameraTrajectory", move="dolly", frames=5, scene=[mesh, 0])
    edits = [workflow.add("EX4DComposeCameras", cameras=[keys, 0], operation="blend", operation__second=[path, 0]),
             workflow.add("EX4DComposeCameras", cameras=[keys, 0], operation="reverse"),
             workflow.add("EX4DComposeCameras", cameras=[keys, 0], operation="retime", operation__frames=9),
             workflow.add("EX4DComposeCameras", cameras=[keys, 0], operation="ping-pong")]
    chained = workflow.add("EX4DComposeCameras", cameras=[keys, 0], operation="chain", operation__second=[path, 0])
    edits += [workflow.add("EX4DComposeCameras", cameras=[cameras, 0], operation="freeze", operation__frame=2)
              for cameras in (chained, edits.pop())]
    saved = [workflow.add("PreviewImage", images=[workflow.add("RenderDWMesh", mesh=[mesh, 0], cameras=[edit, 0]), 0])
             for edit in edits]
    outputs = server.run(workflow)
    assert [len(outputs[node]["images"]) for node in saved] == [5, 5, 9, 9, 9]
    assert all(pictures(outputs[node]).std() > 0.05 for node in saved)


def test_a_viewer_s_camera_leads_the_path_and_a_path_s_camera_the_viewer(server, workflow):
    still = workflow.add("CameraTrajectory", move="static", frames=5, radius=3.0, width=48, height=32)
    viewer = workflow.add("CreateCameraInfo", mode="look_at", mode__position_x=1.0, mode__position_y=0.5,
                          mode__position_z=0.0, target_z=-3.0, fov=40.0)
    led = workflow.add("EX4DCameraFromLoad3D", cameras=[still, 0], camera_info=[viewer, 0], frame=4)
    info = workflow.add("EX4DCameraToLoad3D", cameras=[led, 0], frame=4)
    back = workflow.add("EX4DCameraFromLoad3D", cameras=[still, 0], camera_info=[info, 0], frame=4)
    for node in (led, back):
        workflow.add("EX4DSaveCameras", cameras=[node, 0], filename_prefix="viewer")
    first, again = (files.read_path(file) for file in sorted(server.files(server.run(workflow))))
    assert torch.allclose(first.eye[4], torch.tensor([1.0, -0.5, 0.0]), atol=1e-5)  # y up there, down here
    assert torch.allclose(first.cam_from_world[0], torch.eye(4), atol=1e-6)
    assert torch.allclose(first.cam_from_world, again.cam_from_world, atol=1e-5)
    assert torch.allclose(first.intrinsics[0], default_intrinsics((32, 48)))


def test_gray_depth_pictures_of_any_node_make_the_same_prior(server, workflow, pictures):
    clip = workflow.clip()
    gray = workflow.add("EX4DDepthToImages", depth=[clip, 1], colors="gray")
    depth = workflow.add("EX4DDepthFromImages", images=[gray, 0], convention="normalized-disparity",
                         convention__near=[gray, 1], convention__far=[gray, 2])
    path = workflow.add("CameraTrajectory", move="truck", frames=5, scene=[depth, 0])
    saved = []
    for source in ([clip, 1], [depth, 0]):
        mesh = workflow.add("BuildDWMesh", images=[clip, 0], depth=source)
        prior = workflow.add("RenderDWMesh", mesh=[mesh, 0], cameras=[path, 0], anchor_first_frame=False)
        saved.append(workflow.add("PreviewImage", images=[prior, 0]))
    outputs = server.run(workflow)
    exact, read_back = (pictures(outputs[node]) for node in saved)
    assert ((exact[0] - read_back[0]).abs().amax(-1) < 0.02).float().mean() > 0.9  # both begin at the source camera


def test_every_node_runs_in_two_graphs(server, workflow, new_workflow, object_info):
    clip = workflow.clip()
    built, path, prior = workflow.prior(clip)
    gray = workflow.add("EX4DDepthToImages", depth=[clip, 1], colors="gray")
    depth = workflow.add("EX4DDepthFromImages", images=[gray, 0])
    keys = workflow.add("EX4DCameraKeyframes", frames=49, scene=[depth, 0])
    reverse = workflow.add("EX4DComposeCameras", cameras=[keys, 0], operation="reverse")
    info = workflow.add("EX4DCameraToLoad3D", cameras=[path, 0], frame=2)
    led = workflow.add("EX4DCameraFromLoad3D", cameras=[reverse, 0], camera_info=[info, 0])
    mesh = workflow.add("EX4DMeshToMesh", mesh=[built, 0])
    film = workflow.add("CreateVideo", images=[clip, 0], fps=[clip, 2])
    part = workflow.add("EX4DClipFromVideo", video=[film, 0], size="same as the video")
    follow = workflow.add("EX4DSourceCameras", scene=[clip, 1])
    eyes = workflow.add("EX4DStereoCameras", cameras=[follow, 0], scene=[built, 0])
    both = workflow.add("EX4DStereoVideo", mesh=[built, 0], left=[eyes, 0], right=[eyes, 1])
    guide = workflow.add("EX4DGuideVideo", color=[prior, 0], visible=[prior, 1], style="black", frame_rate="as given")
    last = workflow.add("ImageFromBatch", image=[clip, 0], batch_index=4, length=1)
    anchored = workflow.add("EX4DAnchorFrames", color=[prior, 0], visible=[prior, 1], pictures=[last, 0])
    for node in (part, both, guide, anchored):
        workflow.add("PreviewImage", images=[node, 0])
    sound = workflow.add("EX4DSoundForCameras", audio=[part, 1], cameras=[path, 0])
    workflow.add("PreviewAny", source=[sound, 0])
    workflow.add("EX4DSaveDepth", depth=[clip, 1], filename_prefix="all/depth")
    workflow.add("EX4DSaveCameras", cameras=[led, 0], filename_prefix="all/cameras")
    workflow.add("SaveGLB", mesh=[mesh, 0], filename_prefix="all/mesh")
    steady = workflow.add("EstimateVideoDepth", images=[clip, 0], model="depth input", model__depth=[clip, 1])
    crop = workflow.add("EX4DSmoothCrop", images=[clip, 0], depth=[steady, 0])
    coverage = workflow.add("EX4DCoverageMap", mesh=[built, 0])
    workflow.add("PreviewImage", images=[coverage, 0])
    workflow.add("EX4DEvaluate", images=[prior, 0], color=[prior, 0], visible=[prior, 1])
    moving = workflow.add("EX4DMotionMask", images=[clip, 0], depth=[clip, 1])
    workflow.add("MaskPreview", mask=[moving, 0])
    masks = [workflow.add("EX4DRenderingMask", mesh=[built, 0]), workflow.add("EX4DTrackingMask", images=[crop, 0]),
             workflow.add("EX4DRandomMask", images=[crop, 0])]
    for node in (prior, *masks):
        workflow.add("PreviewImage", images=[node, 0])
    server.run(workflow)
    loads = new_workflow()
    loaded = loads.add("EX4DLoadDepth", file="all/depth_00001_.npz [output]")
    cameras = loads.add("EX4DLoadCameras", file="all/cameras_00001_.json [output]")
    loads.add("PreviewImage", images=[loads.add("EX4DDepthToImages", depth=[loaded, 0]), 0])
    loads.add("PreviewImage", images=[cameras, 1])
    server.run(loads)
    ours = {name for name, node in object_info.items() if node["category"].startswith("EX-4D/")}
    used = {node["class_type"] for node in [*workflow.values(), *loads.values()]}
    assert ours - used == BEHIND_MODELS
