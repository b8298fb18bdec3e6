"""The node measures what the library measures, and refuses what does not belong together in one sentence."""

import json

import pytest
import torch

from ex4d_ops.clip import Clip
from ex4d_ops.evaluation.agreement import Reference
from ex4d_ops.evaluation.cell import Cell
from ex4d_ops.evaluation.one_run import fit_video, measure
from ex4d_ops.prior import render_prior


@pytest.fixture(scope="module")
def prior(take):
    return render_prior(take.mesh, take.path)


def test_the_figures_are_the_librarys_and_the_report_holds_their_means(nodes, prior):
    shaken = torch.stack([frame.roll(t % 2, 1) for t, frame in enumerate(prior.color)])
    report, figures = nodes.run("EX4DEvaluate", images=shaken, color=prior.color, visible=prior.visible.float())
    cell = Cell(Clip(prior.color, 1.0), Reference(prior.color, prior.visible, False), None)
    assert json.loads(figures) == json.loads(json.dumps(measure(fit_video(shaken, cell))))
    assert "PSNR inside" in report and "rotation" not in report and "exact" not in report


def test_cameras_are_found_and_the_subject_looked_for_where_the_mesh_is_known(nodes, take, prior):
    subject = torch.zeros(take.images.shape[:3])
    subject[:, 8:20, 12:30] = 1
    report, figures = nodes.run("EX4DEvaluate", images=prior.color, color=prior.color, visible=prior.visible.float(),
                                mesh=take.mesh, cameras=take.path, exact=prior.color, subject=subject)
    known = json.loads(figures)
    assert {"rotation", "found", "subject", "exact_psnr"} <= set(known)
    assert max(value or 0 for value in known["subject"]) == 0 and "subject off" in report
    assert not any(known["rotation"])  # the exact view is its own measure


@pytest.mark.parametrize("changed, said", [
    ({"mesh": None}, "mesh, cameras: one comes without the other; connect both, or neither"),
    ({"mesh": None, "cameras": None, "subject": torch.zeros(5, 32, 48)}, "connect mesh and cameras too"),
    ({"subject": torch.zeros(5, 9, 9)}, "subject: 5 frames of 9x9, but mesh has 5 frames of"),
    ({"exact": torch.zeros(5, 9, 9, 3)}, "exact: 5 frames of 9x9, but color has"),
    ({"images": torch.zeros(3, 32, 48, 3), "differing": "stop"}, "images: has 3 frames, but 5 are planned"),
    ({"images": torch.zeros(1, 32, 48, 3)}, "images: has one frame, but 2 or more are needed")])
def test_what_does_not_belong_together_is_refused_in_one_sentence(nodes, take, prior, changed, said):
    inputs = {"images": prior.color, "color": prior.color, "visible": prior.visible.float(), "mesh": take.mesh,
              "cameras": take.path} | changed
    with pytest.raises(ValueError, match=said):
        nodes.run("EX4DEvaluate", **{name: value for name, value in inputs.items() if value is not None})
