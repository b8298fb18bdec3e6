"""Nodes whose path follows something make the library's paths, and keep what the camera editor shows."""

import json
from dataclasses import replace

import pytest
import torch

from ex4d_ops.trajectory import make_subject, move_path, parse_moves, source_path, subject_target, text_path
from ex4d_ops.trajectory.follow import follow

KEYS = '[{"frame": 0}, {"frame": 4, "yaw": 30}]'
HELD = json.dumps({"keys": json.loads(KEYS), "retime": [{"frame": 1, "source": 1}, {"frame": 4, "source": 1}]})


def mask_of(take, t: slice = slice(0, 1)) -> torch.Tensor:
    mask = torch.zeros(take.depth.depth.shape)
    mask[:, 18:22, 30:36] = 1
    return mask[t]


@pytest.mark.parametrize("relative", ["world", "source"])
@pytest.mark.parametrize("frames", [slice(0, 1), slice(None)])
@pytest.mark.parametrize("keep_aim", [False, True])
def test_moves_and_keyframes_follow_as_the_library_does(nodes, take, same, relative, frames, keep_aim):
    subject = make_subject(subject_target(mask_of(take, frames), take.depth), keep_aim)
    view = (5, subject.distance, take.depth.intrinsics, take.depth.size)
    wanted = {"CameraTrajectory": move_path(parse_moves("orbit:yaw=25"), *view, subject),
              "EX4DCameraKeyframes": text_path(KEYS, *view, subject=subject)}
    for node, given in {"CameraTrajectory": {"move": {"move": "orbit", "yaw": 25.0}},
                        "EX4DCameraKeyframes": {"keyframes": KEYS}}.items():
        path, _ = nodes.run(node, **given, frames=5, scene=take.depth, relative=relative, subject=mask_of(take, frames),
                            keep_aim=keep_aim)
        assert same(path, follow(wanted[node], take.depth, relative, subject)), node


def test_a_radius_is_the_distance_of_the_subject_too(nodes, take, same):
    subject = make_subject(subject_target(mask_of(take), take.mesh))
    path, _ = nodes.run("CameraTrajectory", move={"move": "orbit", "yaw": 25.0}, frames=5, scene=take.mesh,
                        subject=mask_of(take), radius=1.5)
    wanted = move_path(parse_moves("orbit:yaw=25"), 5, 1.5, take.mesh.intrinsics, take.mesh.size, subject)
    assert same(path, follow(wanted, take.mesh, "world", subject, 1.5))


def test_a_mask_of_another_size_is_fitted(nodes, take, same):
    large = mask_of(take).repeat_interleave(2, 1).repeat_interleave(2, 2)
    first, second = (nodes.run("CameraTrajectory", frames=5, scene=take.depth, subject=mask)[0]
                     for mask in (mask_of(take), large))
    assert same(first, second)


@pytest.mark.parametrize("given, message", [
    ({"scene": None, "relative": "source", "width": 64, "height": 48, "radius": 2.0}, "relative: source follows"),
    ({"scene": None, "subject": torch.ones(1, 32, 48), "width": 64, "height": 48}, "subject: its place"),
    ({"subject": torch.zeros(1, 32, 48)}, "subject: frame 0 shows nothing"),
    ({"subject": torch.ones(3, 32, 48)}, "subject: 3 masks, but the scene has 5 frames"),
    ({"frames": 9, "relative": "source"}, "shows source frame 8, but the clip has 5 frames")])
@pytest.mark.parametrize("node", ["CameraTrajectory", "EX4DCameraKeyframes"])
def test_what_cannot_be_followed_is_named(nodes, take, node, given, message):
    with pytest.raises(ValueError, match=message):
        nodes.run(node, **{"scene": take.depth, "frames": 5} | given)


def test_a_retime_curve_holds_the_clip(nodes, take):
    path, _ = nodes.run("EX4DCameraKeyframes", keyframes=HELD, frames=5, scene=take.depth)
    assert path.source_frame.tolist() == [0, 1, 1, 1, 1]
    validate = nodes.by_id["EX4DCameraKeyframes"].validate_inputs
    assert validate(HELD, 5) is True and validate(HELD, 0) is True
    short = HELD.replace('{"frame": 4, "yaw"', '{"frame": 2, "yaw"')
    assert "retime 1 (line 1): frame must be a number in 0..2" in validate(short, 3)


def test_a_curve_beyond_the_clip_is_refused_but_not_of_a_single_image(nodes, take):
    keys = HELD.replace('"source": 1}]', '"source": 30}]')
    with pytest.raises(ValueError, match="source frame 30 is not in the clip; use 0..4"):
        nodes.run("EX4DCameraKeyframes", keyframes=keys, frames=5, scene=take.depth)
    alone = replace(take.depth, depth=take.depth.depth[:1], intrinsics=take.depth.intrinsics[:1],
                    world_from_cam=take.depth.world_from_cam[:1])
    assert len(nodes.run("EX4DCameraKeyframes", keyframes=keys, frames=5, scene=alone)[0]) == 5


@pytest.mark.parametrize("smoothed", ["all", "rotation"])
@pytest.mark.parametrize("smoothing", [0, 2])
def test_source_cameras_are_the_librarys(nodes, take, same, smoothing, smoothed):
    for scene in (take.depth, take.mesh):
        path, _ = nodes.run("EX4DSourceCameras", scene=scene, smoothing=smoothing, smoothed=smoothed)
        assert same(path, source_path(scene, smoothing, smoothed))


# ---- what the editor shows ----------------------------------------------------------------------


@pytest.fixture
def kept(nodes, tmp_path, monkeypatch):
    """The module that keeps scenes, with a folder of its own."""
    import folder_paths

    monkeypatch.setattr(folder_paths, "user_directory", str(tmp_path))
    return nodes.package.nodes.kept_scenes


def key_of(nodes, **given) -> str | None:
    return nodes.ui("EX4DCameraKeyframes", **{"keyframes": KEYS, "frames": 5} | given)["ex4d_scene"][0]


def test_a_scene_is_kept_once_however_often_its_path_changes(nodes, take, kept):
    keys = {key_of(nodes, scene=take.mesh, keyframes=keys) for keys in (KEYS, HELD, '[{"frame": 0}]')}
    (key,) = keys
    scene = kept.find_scene(key)
    assert torch.equal(scene.frame(2).depth[0], take.mesh.depth[2])
    assert len(kept.list_scenes()) == 1


def test_another_subject_is_another_scene(nodes, take, kept):
    masks = (None, mask_of(take), mask_of(take))
    first, second, again = (key_of(nodes, scene=take.mesh, subject=mask) for mask in masks)
    assert first != second == again
    assert torch.equal(kept.find_scene(second).shot.subject[0], subject_target(mask_of(take), take.mesh))


def test_without_a_scene_there_is_nothing_to_show(nodes, kept, folders):
    given = {"scene": None, "width": 64, "height": 48, "radius": 2.0}
    assert key_of(nodes, **given) is None and not kept.list_scenes()


def test_two_hundred_scenes_leave_the_latest_few_within_their_bytes(nodes, take, kept, monkeypatch):
    monkeypatch.setattr(kept, "MOST_BYTES", 1 << 20)
    keys = [key_of(nodes, scene=replace(take.mesh)) for _ in range(200)]
    files = kept.list_scenes()
    assert 1 < len(files) <= kept.MOST_SCENES and keys[-1] in files
    assert sum(file.stat().st_size for file in files.values()) <= 1 << 20
    assert kept.find_scene(keys[0]) is None and len(kept.kept) <= 3  # scenes that nobody holds are forgotten


def test_a_scene_too_large_is_kept_alone(nodes, take, kept, monkeypatch):
    monkeypatch.setattr(kept, "MOST_BYTES", 1)
    first, second = key_of(nodes, scene=take.mesh), key_of(nodes, scene=take.depth)
    assert list(kept.list_scenes()) == [second] != [first]


def test_a_node_whose_scene_has_gone_runs_again(nodes, take, kept):
    key = key_of(nodes, scene=take.mesh)
    count = kept.count_losses("")
    assert kept.count_losses("") == count == nodes.by_id["EX4DCameraKeyframes"].fingerprint_inputs()
    kept.list_scenes()[key].unlink()
    assert kept.count_losses("") == count + 1 == kept.count_losses("")
    assert key_of(nodes, scene=take.mesh) != key and kept.count_losses("") == count + 1


def test_keys_are_of_this_server_and_cannot_be_guessed(nodes, take, kept):
    keys = {key_of(nodes, scene=replace(take.mesh)) for _ in range(5)}
    assert len(keys) == 5 and {len(key) for key in keys} == {48}
    for forged in ("0" * 48, next(iter(keys))[:-1] + "x", "", "../secret"):
        with pytest.raises(kept.ForgedKey):
            kept.find_scene(forged)


def test_what_cannot_be_kept_is_said_and_the_path_is_made_all_the_same(nodes, take, kept, monkeypatch, caplog):
    def full(*_):
        raise OSError("no space left")

    monkeypatch.setattr(kept, "write_small_scene", full)
    assert key_of(nodes, scene=replace(take.mesh)) is None and "no space left" in caplog.text
