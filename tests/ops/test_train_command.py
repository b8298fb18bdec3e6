"""`ex4d train` as its user meets it: one sentence for every mistake, many processes, and kills at any moment."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml

from ex4d_ops import cli
from ex4d_ops import wan as seam
from ex4d_ops.checkpoint import load_adapter
from ex4d_ops.dataset import gather, mend, pack_latents, write_part
from ex4d_ops.training import TrainingRules, adapter_file, train
from ex4d_ops.training.config import read_config
from headless.tiny_wan import draw_tiny_wan

from .test_training import CLIPS, same_state

pytest.importorskip("peft", reason="needs the packages of the extra `train`")
pytest.importorskip("accelerate", reason="needs the packages of the extra `train`")
PACK = Path(__file__).parents[2]
KILLS = 20
RULES = {"steps": 4, "hidden_channels": 8, "rank": 4, "learning_rate": 1e-3, "save_every": 2, "tensorboard": False}


@pytest.fixture(scope="module", autouse=True)
def comfyui():
    try:
        seam.open_comfyui()
    except ValueError:
        pytest.skip("needs ComfyUI")


@pytest.fixture
def config(tmp_path) -> Path:
    """A run that can be started: three clips, the tiny Wan, and the file that names them."""
    from safetensors.torch import save_file

    write_prepared(tmp_path / "prepared", CLIPS)
    save_file(draw_tiny_wan(), tmp_path / "wan.safetensors")
    return write_config(tmp_path / "run.yaml")


def write_prepared(folder: Path, clips: list[dict[str, torch.Tensor]]) -> None:
    """A folder as `ex4d prepare` leaves it, of these latents."""
    mend(folder)
    for number, clip in enumerate(clips):
        write_part(folder, f"clip{number}", {"key": f"clip{number}"}, pack_latents(clip))
    gather(folder, [f"clip{number}" for number in range(len(clips))], 0)


def write_config(path: Path, **changes) -> Path:
    values = {"data": "prepared", "base": "wan.safetensors", "base_dtype": "float32", "out": "run", "rules": RULES}
    path.write_text(yaml.safe_dump({name: value for name, value in (values | changes).items() if value is not None}))
    return path


def launch(*command: str) -> None:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    done = subprocess.run([sys.executable, "-m", *command], cwd=PACK, env=environment, capture_output=True, text=True,
                          timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]


# ---- the config ---------------------------------------------------------------------------------


def test_a_config_says_what_the_paper_s_training_leaves_open(config):
    (config.parent / "run.yaml").write_text("data: prepared\nbase: wan.safetensors\nout: runs/one\n"
                                            "rules:\n  learning_rate: 3e-5\n  rank: 64\n")
    read = read_config(config)
    assert read.data == config.parent / "prepared" and read.out == config.parent / "runs" / "one"
    assert read.rules == TrainingRules(rank=64) and read.base_dtype == "bfloat16" and read.vae is None


@pytest.mark.parametrize("changes, sentence", [
    ({"data": None}, "data missing; add it"),
    ({"data": None, "base": None}, "data, base missing; add them"),
    ({"data": "elsewhere"}, "data: .*elsewhere does not exist; relative paths start at the folder of the YAML file"),
    ({"speed": 3}, "speed is unknown; use data, base, out"),
    ({"base": 3}, "base: got 3; write a path"),
    ({"base_dtype": "int4"}, "base_dtype: got 'int4'; use one of bfloat16, float8, float32"),
    ({"rules": [1]}, r"rules: got \[1\]; write one `name: value` per line"),
    ({"rules": {"step": 3}}, "rules: step is unknown; use steps, batch"),
    ({"rules": {"steps": 0}}, "steps: got 0; use a whole number from 1 to 1e"),
    ({"rules": {"steps": 2.5}}, "steps: got 2.5; use a whole number"),
    ({"rules": {"steps": True}}, "steps: got True; use a whole number"),
    ({"rules": {"learning_rate": "fast"}}, "learning_rate: got 'fast'; use a number from 1e-09 to 1"),
    ({"rules": {"learning_rate": float("nan")}}, "learning_rate: got nan; use a number"),
    ({"rules": {"ema": 1.0}}, "ema: got 1.0; use a number from 0 to 0.99"),
    ({"rules": {"recompute": 1}}, "recompute: got 1; use true or false"),
    ({"rules": {"objective": "x0"}}, "objective: got 'x0'; use one of velocity, noise")])
def test_a_config_that_says_something_wrong_is_refused_in_one_sentence(config, changes, sentence):
    with pytest.raises(ValueError, match=sentence) as refused:
        read_config(write_config(config, **changes))
    assert str(refused.value).startswith(str(config)) and "\n" not in str(refused.value)


def test_a_config_that_is_no_yaml_is_refused(config):
    config.write_text("data: [")
    with pytest.raises(ValueError, match="cannot be read as YAML"):
        read_config(config)


def test_every_example_config_is_understood(tmp_path):
    examples = sorted((PACK / "example_configs").glob("train-*.yaml"))
    assert examples
    for example in examples:
        values = yaml.safe_load(example.read_text())
        for name in {"data", "base", "validation", "vae"} & set(values):
            values[name] = str(tmp_path)
        (tmp_path / example.name).write_text(yaml.safe_dump(values))
        read_config(tmp_path / example.name)


# ---- the command --------------------------------------------------------------------------------


def test_training_needs_no_more_than_the_config(config, capsys):
    assert cli.main(["train", str(config)]) == 0
    assert f"{config.parent / 'run' / 'ex4d-000004.ckpt'}: after 4 steps" in capsys.readouterr().out
    load_adapter(config.parent / "run" / "ex4d-000004.ckpt").check_base(256, 512, 3)


def test_a_base_that_is_none_is_refused_in_one_sentence(config, capsys):
    (config.parent / "wan.safetensors").write_bytes(b"not a model")
    assert cli.main(["train", str(config)]) == 2
    assert "wan.safetensors: cannot be read as model weights" in capsys.readouterr().err


def test_two_processes_take_the_steps_of_one_that_accumulates_twice_as_much(config):
    write_config(config.with_name("two.yaml"), out="two")
    launch("accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1",
           "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0",
           "-m", "ex4d_ops", "train", str(config.with_name("two.yaml")))
    check_two_took_the_steps_of_one(config)


def test_two_processes_that_hold_half_of_wan_each_take_the_same_steps_and_can_be_stopped(config):
    for steps in (2, 4):
        write_config(config.with_name("two.yaml"), out="two", rules=RULES | {"steps": steps, "ema": 0.5})
        launch("torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m", "tests.ops.shard_on_cpus",
               "train", str(config.with_name("two.yaml")))
    check_two_took_the_steps_of_one(config, ema=0.5)


def check_two_took_the_steps_of_one(config: Path, **rules) -> None:
    """The run of two processes in the folder two is that of one that accumulates twice as much."""
    write_config(config, rules=RULES | {"accumulation": 2, **rules})
    launch("ex4d_ops", "train", str(config))
    two, one = (torch.load(config.parent / name / "state.pt", weights_only=True) for name in ("two", "run"))
    assert two["asked"]["processes"] == 2 and one["asked"]["processes"] == 1
    assert two["losses"] == pytest.approx(one["losses"], rel=1e-5)
    for kept in ("weights", "average"):
        assert two[kept].keys() == one[kept].keys()
        for name, weight in two[kept].items():
            assert (weight - one[kept][name]).abs().max() < 1e-5, name


# ---- kill -9 ------------------------------------------------------------------------------------


def test_kills_at_any_moment_corrupt_nothing_lose_nothing_and_repeat_nothing(tmp_path):
    launch("tests.ops.test_train_command", str(tmp_path))


def be_killed(folder: Path) -> None:
    """Kill a run KILLS times at random moments, start it again each time, and compare it with one left in peace."""
    torch.set_num_threads(1)  # what forks can't have more of
    seam.open_comfyui()
    weights, moments, done = draw_tiny_wan(), random.Random(0), 0

    def start(out: Path, steps: int):
        rules = TrainingRules(**RULES | {"steps": steps, "save_every": 1})
        with seam.differentiable():
            return train(seam.build_wan(weights, torch.float32), CLIPS, out, rules, cpu=True)

    for kill in range(KILLS):
        child = os.fork()
        if child == 0:
            start(folder / "killed", steps=10**6)
            os._exit(1)
        if kill % 2:  # while it starts
            time.sleep(moments.uniform(0, 1.5))
        else:  # while it works
            wait_for_save(folder / "killed", done)
            time.sleep(moments.uniform(0, 0.4))
        os.kill(child, signal.SIGKILL)
        assert os.WIFSIGNALED(os.waitpid(child, 0)[1])
        if (folder / "killed" / "state.pt").exists():
            reached = len(torch.load(folder / "killed" / "state.pt", weights_only=True)["losses"])
            assert reached >= done
            load_adapter(adapter_file(folder / "killed", reached))
            done = reached
    assert done > 0
    assert same_state(start(folder / "killed", done + 2), start(folder / "peace", done + 2))
    names = [{file.name for file in (folder / name).iterdir()} for name in ("killed", "peace")]
    assert names[0] == names[1]
    assert all((folder / "killed" / name).read_bytes() == (folder / "peace" / name).read_bytes()
               for name in names[0] if name.endswith(".ckpt"))
    print(f"{KILLS} kills, the last after step {done}")


def wait_for_save(folder: Path, done: int) -> None:
    while not adapter_file(folder, done + 1).exists():
        time.sleep(0.01)


if __name__ == "__main__":
    be_killed(Path(sys.argv[1]))
