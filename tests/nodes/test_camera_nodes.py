"""The camera nodes make the paths that the library makes, from moves, keyframes, files and 3D viewers."""

import json
from dataclasses import replace

import pytest
import torch
from PIL import Image

from ex4d_ops.camera import default_intrinsics, intrinsics_from_focal, resize_intrinsics
from ex4d_ops.files import read_path, write_path
from ex4d_ops.mesh import build_dw_mesh
from ex4d_ops.plot import plot_path
from ex4d_ops.scene import sample_clip
from ex4d_ops.trajectory import MOVES, automatic_radius, editing, make_move, move_path, parse_moves
from ex4d_ops.trajectory.keyframes import keyframe_path, parse_keyframes
from ex4d_ops.trajectory.viewer import camera_from_load3d, load3d_from_camera

KEYFRAMES = '[{"frame": 0},\n {"frame": 4, "yaw": 30, "zoom": 1.5}]'
SUFFIXES = {"ex4d": ".json", "released": ".npz", "colmap": "", "chan": ".chan", "realestate": ".txt",
            "recammaster": ".json"}
ORBIT_OF_TRAJECTORYCRAFTER = "0 10 20\n0 30 0\n0 0.1 0.2\n"


def moved(take, moves: str, frames: int = 5, **other):
    """The library's path of these moves around the clip."""
    wanted = {"radius": automatic_radius(take.depth), "intrinsics": take.depth.intrinsics, "size": take.depth.size}
    return move_path(parse_moves(moves), frames, **wanted | other)


# ---- moves and keyframes ------------------------------------------------------------------------


@pytest.mark.parametrize("name", MOVES)
def test_a_move_left_as_it_is_is_the_move_of_that_name(nodes, take, same, name):
    path, _ = nodes.run("CameraTrajectory", move={"move": name}, frames=5, scene=take.depth)
    wanted = [make_move(name, {setting.name: setting.offered for setting in MOVES[name].parameters})]
    assert same(path, move_path(wanted, 5, automatic_radius(take.depth), take.depth.intrinsics, take.depth.size))


def test_a_new_node_orbits_by_30_degrees_and_text_without_a_number_by_60(nodes, take, same):
    path, _ = nodes.run("CameraTrajectory", frames=5, scene=take.depth)
    assert same(path, moved(take, "orbit:yaw=30"))
    text, _ = nodes.run("CameraTrajectory", move={"move": "combined", "moves": "orbit"}, frames=5, scene=take.depth)
    assert same(text, moved(take, "orbit:yaw=60"))


def test_the_widgets_of_a_move_are_its_settings(nodes, take, same):
    widgets = {"move": "orbit", "yaw": 40.0, "yaw_start": -20.0, "pitch": 10.0, "ease": "ease-out"}
    path, _ = nodes.run("CameraTrajectory", move=widgets, frames=5, scene=take.depth)
    assert same(path, moved(take, "orbit:yaw=-20..40,pitch=10,ease=ease-out"))


def test_combined_moves_are_read_as_on_the_command_line(nodes, take, same):
    text = "orbit:yaw=-30..60,ease=ease-in-out+zoom:factor=1.2"
    path, _ = nodes.run("CameraTrajectory", move={"move": "combined", "moves": text}, frames=5, scene=take.depth)
    assert same(path, moved(take, text))


def test_radius_size_and_focal_overrule_the_scene(nodes, take, same):
    path, _ = nodes.run("CameraTrajectory", move={"move": "arc"}, frames=5, scene=take.depth, radius=2.5, width=80,
                        height=64, focal=70.0)
    assert same(path, moved(take, "arc", radius=2.5, intrinsics=intrinsics_from_focal(70.0, (64, 80)), size=(64, 80)))


def test_a_mesh_lends_radius_size_and_lens_as_depth_does(nodes, take, same):
    path, _ = nodes.run("CameraTrajectory", move={"move": "arc"}, frames=5, scene=take.mesh)
    assert same(path, moved(take, "arc", radius=automatic_radius(take.mesh)))


def test_a_first_frame_of_sky_has_no_radius_to_lend(nodes, take):
    sky = replace(take.depth, depth=torch.cat([torch.full((1, 32, 48), torch.inf), take.depth.depth[1:]]))
    with pytest.raises(ValueError, match="radius: .* more than sky"):
        nodes.run("CameraTrajectory", frames=5, scene=sky)
    path, _ = nodes.run("CameraTrajectory", frames=5, scene=sky, radius=2.0)
    assert torch.isfinite(path.cam_from_world).all()


def test_another_size_keeps_the_scene_s_view(nodes, take, same):
    path, _ = nodes.run("CameraTrajectory", move={"move": "arc"}, frames=5, scene=take.depth, width=96, height=64)
    assert same(path, moved(take, "arc", intrinsics=resize_intrinsics(take.depth.intrinsics, (32, 48), (64, 96)),
                            size=(64, 96)))


def test_without_a_scene_the_lens_is_the_released_one(nodes, same):
    path, _ = nodes.run("CameraTrajectory", move={"move": "dolly"}, frames=5, radius=3.0, width=512, height=288)
    assert same(path, move_path([make_move("dolly")], 5, 3.0, default_intrinsics((288, 512)), (288, 512)))


def test_a_scene_of_another_length_lends_its_first_lens(nodes, take, same):
    path, _ = nodes.run("CameraTrajectory", move={"move": "dolly"}, frames=9, scene=take.depth)
    assert same(path, moved(take, "dolly", 9, intrinsics=take.depth.intrinsics[0]))


def test_the_plot_is_the_librarys(nodes, take, same):
    path, plot = nodes.run("CameraTrajectory", move={"move": "orbit"}, frames=5, scene=take.depth)
    assert same(plot, plot_path(path, take.depth)[None]) and plot.std() > 0.01


@pytest.mark.parametrize("smooth", [True, False])
def test_keyframes_make_the_librarys_path(nodes, take, same, smooth):
    path, _ = nodes.run("EX4DCameraKeyframes", keyframes=KEYFRAMES, frames=5, scene=take.depth, smooth=smooth)
    wanted = keyframe_path(parse_keyframes(KEYFRAMES, 5), 5, automatic_radius(take.depth), take.depth.intrinsics,
                           take.depth.size, smooth)
    assert same(path, wanted)


MAKERS = ("CameraTrajectory", "EX4DCameraKeyframes")


@pytest.mark.parametrize("node", MAKERS)
@pytest.mark.parametrize("frames", [2, 3, 5, 49, 81])
def test_every_path_of_0_frames_is_as_long_as_the_scene_is(nodes, node, frames):
    images, depth = sample_clip("colonnade", frames, (16, 16))
    for scene in (depth, build_dw_mesh(images, depth)):
        assert len(nodes.run(node, scene=scene)[0]) == frames
        assert len(nodes.run(node, scene=scene, frames=7)[0]) == 7


@pytest.mark.parametrize("node", MAKERS)
def test_a_single_image_is_held_as_long_as_ex4d_s_clips_are(nodes, node):
    images, depth = sample_clip("colonnade", 1, (16, 16))
    mesh = build_dw_mesh(images, depth)
    path, _ = nodes.run(node, scene=mesh)
    assert len(path) == len(nodes.run("RenderDWMesh", mesh=mesh, cameras=path)[0]) == 49


@pytest.mark.parametrize("node", MAKERS)
def test_without_a_scene_a_length_is_needed(nodes, node):
    with pytest.raises(ValueError, match="frames: 0 takes the length from scene, .*; connect depth .* or set the num"):
        nodes.run(node, radius=1.0, width=64, height=64)
    assert len(nodes.run(node, radius=1.0, width=64, height=64, frames=9)[0]) == 9


def test_keyframes_are_refused_before_anything_runs_with_their_line(nodes):
    validate = nodes.by_id["EX4DCameraKeyframes"].validate_inputs
    assert validate(KEYFRAMES, 5) is True
    assert validate(KEYFRAMES.replace("30", '"far"'), 5) == "keyframe 1 (line 2): yaw must be a number in -3600..3600"
    assert validate(KEYFRAMES, 3) == "keyframe 1 (line 2): frame must be a number in 0..2"
    assert "frames: -1 is out of range" in validate(KEYFRAMES, -1)
    assert validate(None, 5) is True and validate(KEYFRAMES, None) is True  # linked, not known yet


def test_keyframes_for_a_length_that_is_not_known_yet_are_refused_where_they_fit_none(nodes):
    validate = nodes.by_id["EX4DCameraKeyframes"].validate_inputs
    assert validate(KEYFRAMES, 0) is True and validate(nodes.package.nodes.directing.EXAMPLE_KEYFRAMES, 0) is True
    assert validate('[{"frame": 24}, {"time": 0.1}]', 0) is True  # right from 241 frames on
    assert validate('[{"time": 0.5}, {"time": 0.1}]', 0) == "keyframe 1 (line 1): time must come after the keyframe " \
                                                             "before it"
    for text in ('[{"frame": 24}, {"time": 1.1}]', '[{"frame": 9}, {"frame": 9}]', '[{"frame": 10000}]', "[{}]", "["):
        assert isinstance(validate(text, 0), str), text


def test_the_plot_is_shown_on_every_node_that_makes_a_path_and_has_no_editor(nodes, take, folders):
    path, plot = nodes.run("CameraTrajectory", scene=take.depth)
    write_path(folders / "input" / "path.json", path)
    inputs = {"CameraTrajectory": {"scene": take.depth}, "EX4DLoadCameras": {"file": "path.json"},
              "EX4DSourceCameras": {"scene": take.depth},
              "EX4DComposeCameras": {"cameras": path, "operation": {"operation": "reverse"}}}
    for node, given in inputs.items():
        (shown,) = nodes.ui(node, **given)["images"]
        picture = Image.open(folders / "temp" / shown["filename"])
        assert picture.size == (880, 540), node
    assert "images" not in nodes.ui("EX4DCameraKeyframes", scene=take.depth)


# ---- edits --------------------------------------------------------------------------------------


EDITS = {
    "chain": (lambda a, b: editing.chain([a, b]), {"second": True}),
    "blend": (lambda a, b: editing.blend(a, b, 0.25), {"second": True, "weight": 0.25}),
    "reverse": (lambda a, b: editing.reverse(a), {}),
    "ping-pong": (lambda a, b: editing.ping_pong(a), {}),
    "retime": (lambda a, b: editing.retime(a, 9, "ease-in", "cameras"), {"frames": 9, "speed": "ease-in",
                                                                       "what": "cameras"}),
    "fit": (lambda a, b: editing.fit(a, 7), {"frames": 7}),
    "freeze": (lambda a, b: editing.freeze(a, 3), {"frame": 3}),
}


def test_every_edit_that_is_offered_is_tested(nodes, choices):
    operation = nodes.by_id["EX4DComposeCameras"].define_schema().inputs[1]
    assert set(choices(operation)) == set(EDITS)


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_is_the_librarys(nodes, take, same, name):
    edit, widgets = EDITS[name]
    second = moved(take, "dolly:distance=0.2")
    widgets = widgets | ({"second": second} if "second" in widgets else {})
    path, _ = nodes.run("EX4DComposeCameras", cameras=take.path, operation={"operation": name, **widgets})
    assert same(path, edit(take.path, second))


# ---- files --------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", SUFFIXES)
def test_saved_cameras_are_loaded_as_the_library_reads_them(nodes, take, same, folders, format):
    said = nodes.ui("EX4DSaveCameras", cameras=take.path, filename_prefix="paths/take", format=format)["files"][0]
    file = folders / "output" / "paths" / f"take_00001_{SUFFIXES[format]}"
    assert (said["subfolder"], said["filename"]) == ("paths", file.name) and file.exists()
    path, _ = nodes.run("EX4DLoadCameras", file=f"paths/{file.name} [output]", scene=take.depth, world="file")
    assert same(path, read_path(file, take.depth.size, world="file", intrinsics=take.depth.intrinsics[0]))
    assert (path.cam_from_world - take.path.cam_from_world).abs().max() < 2e-6
    assert torch.allclose(path.intrinsics, take.path.intrinsics, rtol=1e-5)


def test_every_format_the_library_reads_is_offered(nodes):
    from ex4d_ops.files.paths import FORMATS

    inputs = {widget.id: widget for widget in nodes.by_id["EX4DLoadCameras"].define_schema().inputs}
    assert inputs["format"].options == ["auto", *FORMATS]
    inputs = {widget.id: widget for widget in nodes.by_id["EX4DSaveCameras"].define_schema().inputs}
    assert inputs["format"].options == [name for name, kind in FORMATS.items() if kind.write]


def test_formats_without_a_lens_take_the_scene_s(nodes, take, folders):
    write_path(folders / "input" / "path.json", take.path, "recammaster")
    path, _ = nodes.run("EX4DLoadCameras", file="path.json", scene=take.depth, width=96, height=64)
    lens = resize_intrinsics(take.depth.intrinsics[0], (32, 48), (64, 96))
    assert path.size == (64, 96) and torch.equal(path.intrinsics, lens.expand(5, 3, 3))


def test_the_camera_named_is_the_one_read(nodes, take, same, folders):
    files = [folders / "input" / f"{name}.json" for name in ("first", "second")]
    for file, moves in zip(files, ("orbit:yaw=20", "dolly:distance=0.3")):
        write_path(file, moved(take, moves), "recammaster")
    first, second = (json.loads(file.read_text()) for file in files)
    both = {frame: {"cam01": first[frame]["cam01"], "cam02": second[frame]["cam01"]} for frame in first}
    (folders / "input" / "both.json").write_text(json.dumps(both))
    path, _ = nodes.run("EX4DLoadCameras", file="both.json", scene=take.depth, camera="cam02")
    assert same(path, nodes.run("EX4DLoadCameras", file="second.json", scene=take.depth)[0])
    with pytest.raises(ValueError, match="cam01, cam02; give the name of one"):
        nodes.run("EX4DLoadCameras", file="both.json", scene=take.depth)


@pytest.mark.parametrize("name, text", [("keys.json", KEYFRAMES), ("orbit.txt", ORBIT_OF_TRAJECTORYCRAFTER)])
def test_radius_and_length_reach_the_formats_that_need_them(nodes, take, same, folders, name, text):
    file = folders / "input" / name
    file.write_text(text)
    path, _ = nodes.run("EX4DLoadCameras", file=name, scene=take.depth, frames=5)
    assert same(path, read_path(file, (32, 48), 5, radius=automatic_radius(take.depth),
                                intrinsics=take.depth.intrinsics[0]))
    nearer, _ = nodes.run("EX4DLoadCameras", file=name, scene=take.depth, frames=5, radius=1.0)
    assert same(nearer, read_path(file, (32, 48), 5, radius=1.0, intrinsics=take.depth.intrinsics[0]))


def test_the_world_is_the_file_s_or_the_first_camera(nodes, take, folders):
    late = moved(take, "truck:distance=0.2..0.5")
    write_path(folders / "input" / "late.json", late)
    kept, anchored = (nodes.run("EX4DLoadCameras", file="late.json", world=world)[0] for world in ("file", "first"))
    assert torch.equal(kept.cam_from_world, late.cam_from_world)
    assert torch.allclose(anchored.cam_from_world[0], torch.eye(4), atol=1e-6)


def test_every_setting_of_reading_is_a_widget_with_the_librarys_choices(nodes):
    from ex4d_ops.files.path_settings import SETTINGS

    inputs = {widget.id: widget for widget in nodes.by_id["EX4DLoadCameras"].define_schema().inputs}
    for name, setting in SETTINGS.items():
        assert tuple(getattr(inputs[name], "options", None) or ()) == setting.choices
        assert inputs[name].tooltip == setting.help


def test_rotation_order_length_and_scale_are_the_librarys(nodes, take, same, folders):
    file = folders / "input" / "shot.chan"
    file.write_text("".join(f"{t} {t} 2 3 {-5 * t} {9 * t} {2 * t} 50\n" for t in range(1, 10)))
    path, _ = nodes.run("EX4DLoadCameras", file="shot.chan", scene=take.depth, frames=5, world="first",
                        rotation_order="XYZ", length="fit", scale=0.1)
    assert same(path, read_path(file, take.depth.size, 5, world="first", rotation_order="XYZ", length="fit", scale=0.1))


def test_a_scale_of_0_lays_the_path_onto_the_scene_s_cameras(nodes, take, same, folders):
    file = folders / "input" / "shot.json"
    write_path(file, editing.scale_places(take.path, 30.0))
    source = torch.linalg.inv(take.path.cam_from_world)
    for scene in (replace(take.depth, world_from_cam=source), replace(take.mesh, world_from_cam=source)):
        path, _ = nodes.run("EX4DLoadCameras", file="shot.json", scene=scene, scale=0.0)
        assert same(path, read_path(file, take.depth.size, scale="auto", source=source))
        assert (path.cam_from_world - take.path.cam_from_world).abs().max() < 1e-4
    still = replace(take.depth, world_from_cam=torch.eye(4).expand_as(source))
    for scene in (still, None):
        with pytest.raises(ValueError, match="the motion of the clip's own camera is not known"):
            nodes.run("EX4DLoadCameras", file="shot.json", scene=scene, scale=0.0)


@pytest.mark.parametrize("name, text, message", [("none.json", "[]", "list of objects"), ("none.txt", "", "is empty"),
                                                 ("none.txt", "https://x\n", "does not contain a camera")])
def test_files_without_a_camera_get_one_sentence(nodes, take, folders, name, text, message):
    (folders / "input" / name).write_text(text)
    with pytest.raises(ValueError, match=message) as error:
        nodes.run("EX4DLoadCameras", file=name, scene=take.depth, frames=5)
    assert "\n" not in str(error.value)


def test_half_a_size_is_refused(nodes, take, folders):
    write_path(folders / "input" / "path.json", take.path)
    with pytest.raises(ValueError, match="width, height"):
        nodes.run("EX4DLoadCameras", file="path.json", width=64)


def test_without_a_scene_the_file_says_it_all(nodes, take, same, folders):
    write_path(folders / "input" / "path.json", take.path)
    assert same(nodes.run("EX4DLoadCameras", file="path.json")[0], take.path)


# ---- 3D viewers ---------------------------------------------------------------------------------


def test_a_camera_goes_to_the_viewer_and_comes_back(nodes, take, same):
    (info,) = nodes.run("EX4DCameraToLoad3D", cameras=take.path, frame=4, target_distance=2.0)
    assert info == load3d_from_camera(take.path, 4, 2.0)
    still = moved(take, "static")
    path, _ = nodes.run("EX4DCameraFromLoad3D", cameras=still, camera_info=info, frame=4)
    assert same(path, editing.arrive(still, camera_from_load3d(info, (32, 48)), 4))
    assert torch.allclose(path.cam_from_world[4], take.path.cam_from_world[4], atol=1e-5)
    assert torch.allclose(path.intrinsics[4], take.path.intrinsics[4], rtol=1e-5)


def test_the_viewer_s_placing_of_the_mesh_is_undone(nodes, take):
    (info,) = nodes.run("EX4DCameraToLoad3D", cameras=take.path, frame=4)
    placed = {"position": {"x": 1.0, "y": -2.0, "z": 0.5}, "scale": {"x": 0.5, "y": 0.5, "z": 0.5},
              "quaternion": {"w": 1.0, "x": 0.0, "y": 0.0, "z": 0.0}}
    for axis in "xyz":
        info["position"][axis] = info["position"][axis] * 0.5 + placed["position"][axis]
    path, _ = nodes.run("EX4DCameraFromLoad3D", cameras=take.path, camera_info=info, frame=4, model_3d_info=[placed])
    assert torch.allclose(path.cam_from_world[4], take.path.cam_from_world[4], atol=1e-5)
