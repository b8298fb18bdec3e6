"""The nodes that simulate training masks, run inside ComfyUI."""

from pathlib import Path

import pytest
import torch

SMALL = {"frames": 5, "width": 64, "height": 48}


@pytest.fixture
def clip(nodes):
    """A small procedural clip and its depth."""
    return nodes.run("EX4DSampleScene", **SMALL)[:2]


def check_masked(images, source, visible):
    """A masked clip is its source where visible, black elsewhere."""
    shown = visible > 0.5
    assert set(visible.unique().tolist()) <= {0.0, 1.0} and shown.any() and not shown.all()
    assert torch.equal(images[shown], source[shown]) and not images[~shown].any()


def test_rendering_masks_hide_most_at_the_ends_of_the_sweep(nodes, clip):
    images, depth = clip
    mesh = nodes.run("BuildDWMesh", images=images, depth=depth)[0]
    colors, visible = nodes.run("EX4DRenderingMask", mesh=mesh)
    check_masked(colors, images, visible)
    share = visible.mean((1, 2))
    assert share[2] == share.max() and share[0] < 0.7 * share[2]


def test_a_rendering_mask_looks_along_any_path(nodes, clip):
    images, depth = clip
    mesh = nodes.run("BuildDWMesh", images=images, depth=depth)[0]
    path = nodes.run("CameraTrajectory", move={"move": "static"}, frames=5, scene=depth)[0]
    still = nodes.run("EX4DRenderingMask", mesh=mesh, cameras=path)[1]
    assert (still.mean((1, 2)) - still.mean()).abs().max() < 0.1
    opened = nodes.run("EX4DRenderingMask", mesh=mesh, surface="visible")[1]
    assert opened.sum() > nodes.run("EX4DRenderingMask", mesh=mesh)[1].sum()
    short = nodes.run("CameraTrajectory", move={"move": "static"}, frames=3, scene=depth)[0]
    sentence = "cameras: the path has 3 frames of 64x48, but the clip has 5 of 64x48; make the path for this clip"
    with pytest.raises(ValueError, match=sentence):
        nodes.run("EX4DRenderingMask", mesh=mesh, cameras=short)


def test_tracking_masks_begin_after_the_first_frame(nodes, clip):
    images, _ = clip
    colors, visible, tracks = nodes.run("EX4DTrackingMask", images=images, fewest_points=12, most_points=12)
    check_masked(colors, images, visible)
    assert (visible[0] == 1).all()
    assert tracks["track_path"].shape == (5, 12, 2) and tracks["track_visibility"].dtype == torch.bool
    again = nodes.run("EX4DTrackingMask", images=images, fewest_points=12, most_points=12)[1]
    other = nodes.run("EX4DTrackingMask", images=images, fewest_points=12, most_points=12, seed=1)[1]
    assert torch.equal(visible, again) and not torch.equal(visible, other)


def test_tracks_are_drawn_by_comfyui_s_own_node(nodes, clip):
    from comfy_extras.nodes_wanmove import WanMoveVisualizeTracks

    images, _ = clip
    tracks = nodes.run("EX4DTrackingMask", images=images)[2]
    drawn = WanMoveVisualizeTracks.execute(images, 24, 3, 1.0, 2, tracks).result[0]
    assert drawn.shape == images.shape and (drawn - images).abs().amax() > 0.1


def test_trackers_with_weights_say_what_they_miss(nodes, clip):
    with pytest.raises(FileNotFoundError, match="none.pth"):
        nodes.run("EX4DTrackingMask", images=clip[0],
                  tracker={"tracker": "cotracker", "weights": "none.pth", "code": ""})


def test_a_repository_outside_the_models_folder_is_refused(nodes, clip, tmp_path, monkeypatch):
    import folder_paths

    (tmp_path / "w.pth").write_bytes(b"")
    monkeypatch.setitem(folder_paths.folder_names_and_paths, "ex4d_trackers", ([str(tmp_path)], set()))
    with pytest.raises(ValueError, match="is outside models/ex4d_trackers"):
        nodes.run("EX4DTrackingMask", images=clip[0],
                  tracker={"tracker": "cotracker", "weights": "w.pth", "code": "../../.."})


def test_random_masks_hide_anew_in_every_frame(nodes, clip):
    colors, visible = nodes.run("EX4DRandomMask", images=clip[0])
    check_masked(colors, clip[0], visible)
    assert all(not torch.equal(visible[t], visible[t + 1]) for t in range(4))


def test_a_smooth_crop_takes_the_depth_along(nodes, clip):
    images, depth = clip
    cropped, cropped_depth = nodes.run("EX4DSmoothCrop", images=images, depth=depth)
    assert cropped.shape == images.shape and cropped_depth.size == depth.size
    assert (cropped_depth.intrinsics[:, 0, 0] > depth.intrinsics[:, 0, 0] / 0.96).all()
    assert not torch.equal(cropped, images)
    assert nodes.run("EX4DSmoothCrop", images=images)[1] is None


def test_ranges_that_end_before_they_begin_are_refused(nodes, clip):
    with pytest.raises(ValueError, match="fewest_points: 9 is more than most_points"):
        nodes.run("EX4DTrackingMask", images=clip[0], fewest_points=9, most_points=8)
    with pytest.raises(ValueError, match="smallest: 0.9 is more than largest"):
        nodes.run("EX4DSmoothCrop", images=clip[0], smallest=0.9, largest=0.8)


@pytest.mark.parametrize("node", ["EX4DTrackingMask", "EX4DRandomMask", "EX4DSmoothCrop"])
def test_every_mask_comes_with_a_preview(nodes, clip, node):
    import folder_paths

    cls = nodes.by_id[node]
    widgets = {widget.id: widget.default for widget in cls.define_schema().inputs
               if getattr(widget, "default", None) is not None}
    tracker = {"tracker": {"tracker": "lk"}} if node == "EX4DTrackingMask" else {}
    shown = cls.EXECUTE_NORMALIZED(**widgets, **tracker, images=clip[0]).ui.as_dict()["images"]
    assert len(shown) == 5
    assert all((Path(folder_paths.get_temp_directory()) / entry["filename"]).is_file() for entry in shown)
