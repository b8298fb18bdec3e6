"""Training as a node: what it leaves, what it leaves alone, and cancelling."""

from pathlib import Path

import pytest
import torch

from ex4d_ops.checkpoint import load_adapter
from ex4d_ops.dataset import gather, mend, pack_latents, write_part
from headless.tiny_wan import draw_tiny_wan

from ..ops.test_training import make_clip

pytest.importorskip("peft", reason="needs the packages of the extra `train`")
pytest.importorskip("accelerate", reason="needs the packages of the extra `train`")
ASKED = {"clips": "prepared", "name": "mine", "steps": 4, "rank": 4, "hidden_channels": 8, "learning_rate": 1e-3,
         "save_every": 3, "base_dtype": "float32"}


@pytest.fixture
def home(folders, monkeypatch) -> Path:
    """ComfyUI's folders, with two prepared clips in the one for input."""
    import folder_paths

    monkeypatch.setitem(folder_paths.folder_names_and_paths, "ex4d", ([str(folders / "models" / "ex4d")], {".ckpt"}))
    prepared = folders / "input" / "prepared"
    mend(prepared)
    for number in range(2):
        write_part(prepared, f"clip{number}", {"key": f"clip{number}"}, pack_latents(make_clip(number)))
    gather(prepared, ["clip0", "clip1"], 0)
    return folders


@pytest.fixture
def model(comfy):
    """The tiny Wan as a loader node hands it on."""
    import comfy.sd

    with torch.inference_mode():
        return comfy.sd.load_diffusion_model_state_dict(draw_tiny_wan(), {"dtype": torch.float32})


def test_a_trained_adapter_lies_where_it_is_applied_from(nodes, home, model):
    adapter, curve, loss = nodes.run("EX4DTrainAdapter", model=model, **ASKED)
    stored = load_adapter(home / "models" / "ex4d" / adapter)
    stored.check_base(256, 512, 3)
    run = home / "output" / "ex4d_training" / "mine"
    assert {file.name for file in run.iterdir()} == {"ex4d-000003.ckpt", "ex4d-000004.ckpt", "loss.png", "state.pt"}
    released = load_adapter(run / "ex4d-000004.ckpt")
    assert stored.rank == 4 and all(torch.equal(stored.lora[name], released.lora[name]) for name in stored.lora)
    assert tuple(curve.shape) == (1, 450, 800, 3) and loss == torch.load(run / "state.pt")["losses"][-1]


def test_training_leaves_the_model_as_it_was(nodes, home, model):
    import comfy.model_management

    before = {name: weight.clone() for name, weight in model.model.state_dict().items()}
    nodes.run("EX4DTrainAdapter", model=model, **ASKED)
    after = model.model.state_dict()
    assert after.keys() == before.keys() and all(torch.equal(after[name], before[name]) for name in before)
    assert not comfy.model_management.in_training


def test_a_cancelled_training_goes_on_where_it_stopped(nodes, home, model, monkeypatch):
    import comfy.model_management
    import comfy.utils

    monkeypatch.setattr(comfy.utils, "PROGRESS_BAR_HOOK", lambda done, total, preview, **_: (
        pictures.append(preview), done == 1 and comfy.model_management.interrupt_current_processing()))
    pictures = []
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        nodes.run("EX4DTrainAdapter", model=model, **ASKED)
    assert pictures[0][0] == "JPEG" and pictures[0][1].size == (800, 450)
    monkeypatch.setattr(comfy.utils, "PROGRESS_BAR_HOOK", None)
    run = home / "output" / "ex4d_training" / "mine"
    assert len(torch.load(run / "state.pt")["losses"]) == 1
    nodes.run("EX4DTrainAdapter", model=model, **ASKED)
    nodes.run("EX4DTrainAdapter", model=model, **ASKED | {"name": "straight"})
    adapters = [home / "output" / "ex4d_training" / name / "ex4d-000004.ckpt" for name in ("mine", "straight")]
    assert adapters[0].read_bytes() == adapters[1].read_bytes()


@pytest.mark.parametrize("name", ["", "../mine", "a/b", ".hidden", "/root", "x" * 101])
def test_a_name_that_leads_elsewhere_is_refused(nodes, home, model, name):
    assert "use letters, digits" in nodes.by_id["EX4DTrainAdapter"].validate_inputs(clips="prepared", name=name)
    with pytest.raises(ValueError, match="use letters, digits"):
        nodes.run("EX4DTrainAdapter", model=model, **ASKED | {"name": name})


def test_clips_of_nowhere_are_refused(nodes, home):
    assert "there is no 'elsewhere'" in nodes.by_id["EX4DTrainAdapter"].validate_inputs(clips="elsewhere", name="mine")
    with pytest.raises(ValueError, match="clips: there is no 'elsewhere'"):
        nodes.by_id["EX4DTrainAdapter"].fingerprint_inputs(clips="elsewhere")
