"""The stereo nodes make what the library makes, and say what is hard on the eyes."""

from dataclasses import replace

import pytest
import torch

from ex4d_ops.prior import RenderRules
from ex4d_ops.trajectory import automatic_radius
from ex4d_ops.trajectory.editing import fit
from ex4d_ops.trajectory.stereo import eye_distance_of_share, stereo_paths
from ex4d_ops.two_eyes import render_eyes

SHARE = {"eye_distance": "share of the width", "percent": 3.0}
LAYOUTS = [{"layout": "side by side"}, {"layout": "half side by side"}, {"layout": "over and under"},
           {"layout": "half over and under"}, {"layout": "VR180", "side": 64}]


@pytest.mark.parametrize("distance, units", [(SHARE, None), ({"eye_distance": "scene units", "distance": 0.1}, 0.1)])
@pytest.mark.parametrize("convergence", [0.0, 4.0])
def test_every_eye_is_the_librarys(nodes, take, same, distance, units, convergence):
    left, right, said = nodes.run("EX4DStereoCameras", cameras=take.path, scene=take.mesh, eye_distance=distance,
                                  convergence=convergence)
    plane = convergence or automatic_radius(take.mesh)
    wanted = stereo_paths(take.path, units or eye_distance_of_share(take.path, 0.03, plane), plane)
    assert same(left, wanted[0]) and same(right, wanted[1])
    assert said.startswith("The parallax is between") and f"meet at {plane:.4g}" in said


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout["layout"])
def test_every_layout_is_the_librarys(nodes, take, same, layout):
    left, right = stereo_paths(take.path, 0.1, 3.0)
    color, visible = nodes.run("EX4DStereoVideo", mesh=take.mesh, left=left, right=right, layout=layout)
    wanted = render_eyes(take.mesh, left, right, layout["layout"], RenderRules("face", False, 0), side=64)
    assert same(color, wanted.color) and same(visible, wanted.visible.float())


def test_what_other_frames_saw_fills_both_eyes(nodes, take):
    left, right = stereo_paths(take.path, 0.3, 3.0)
    eyes = {"mesh": take.mesh, "left": left, "right": right, "layout": LAYOUTS[0]}
    _, alone = nodes.run("EX4DStereoVideo", **eyes)
    _, filled = nodes.run("EX4DStereoVideo", **eyes, moving=torch.zeros(5, *take.mesh.size))
    assert (filled >= alone).all()


def test_a_distance_that_is_hard_on_the_eyes_is_said(nodes, take, caplog):
    nodes.run("EX4DStereoCameras", cameras=take.path, scene=take.mesh,
              eye_distance={"eye_distance": "share of the width", "percent": 20.0})
    assert "of the width, and more than 5% is hard on the eyes" in caplog.text


def test_a_scene_of_sky_alone_needs_a_distance(nodes, take):
    sky = replace(take.depth, depth=torch.full_like(take.depth.depth, torch.inf))
    with pytest.raises(ValueError, match="^convergence: 0 takes it from scene, which shows only sky.*; set a distance"):
        nodes.run("EX4DStereoCameras", cameras=take.path, scene=sky)


def test_eyes_of_two_paths_are_refused(nodes, take):
    with pytest.raises(ValueError, match="^right: 3 frames of 48x32, but left has 5 of 48x32; connect both from"):
        nodes.run("EX4DStereoVideo", mesh=take.mesh, left=take.path, right=fit(take.path, 3), layout=LAYOUTS[0])
