"""The camera editor's routes: they show what a run shows; what no page of ours asks is refused and harms nothing."""

import base64
import io
import json
import threading
import urllib.error
import urllib.request
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from PIL import Image

from headless.server import serve

FRAMES = 5
KEYS = '[{"frame": 0}, {"frame": 4, "yaw": 35, "pitch": 8}]'


@dataclass(frozen=True)
class Reply:
    """What the server said. headers: in small letters."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def said(self) -> dict:
        return json.loads(self.body)


@pytest.fixture(scope="module")
def ask(server):
    """ask(route, fields): a POST with JSON; without fields, a GET."""

    def send(route: str, fields=None, body: bytes | None = None, kind: str = "application/json") -> Reply:
        body = json.dumps(fields).encode() if fields is not None else body
        request = urllib.request.Request(f"{server.url}/ex4d/{route}", body, {"Content-Type": kind} if body else {})
        try:
            with urllib.request.urlopen(request, timeout=60) as reply:
                return Reply(reply.status, {name.lower(): value for name, value in reply.headers.items()}, reply.read())
        except urllib.error.HTTPError as error:
            return Reply(error.code, {}, error.read())

    return send


@dataclass(frozen=True)
class Shown:
    """A workflow that has run: its editor's key, what its renderer made, and the settings that make the same path."""

    key: str
    ui: dict
    color: torch.Tensor
    coverage: list[float]

    @property
    def settings(self) -> dict:
        return {"scene": self.key, "editor": "a", "keyframes": KEYS, "frames": FRAMES}


def run_editor(server, workflow, pictures, **widgets) -> Shown:
    clip = workflow.clip(FRAMES, width=96, height=64)
    mesh = workflow.add("BuildDWMesh", images=[clip, 0], depth=[clip, 1])
    path = workflow.add("EX4DCameraKeyframes", keyframes=KEYS, frames=FRAMES, scene=[mesh, 0], **widgets)
    prior = workflow.add("RenderDWMesh", mesh=[mesh, 0], cameras=[path, 0])
    color, mask = workflow.add("PreviewImage", images=[prior, 0]), workflow.add("MaskToImage", mask=[prior, 1])
    seen = workflow.add("PreviewImage", images=[mask, 0])
    outputs = server.run(workflow)
    shares = pictures(outputs[seen])[..., 0].mean((1, 2)).tolist()
    return Shown(outputs[path]["ex4d_scene"][0], outputs[path], pictures(outputs[color]), shares)


@pytest.fixture(scope="module")
def shown(server, object_info, pictures) -> Shown:
    from .conftest import Workflow

    return run_editor(server, Workflow(object_info), pictures)


def test_the_node_tells_its_page_what_it_shows(shown):
    assert len(shown.key) == 48 and shown.ui["ex4d_keyframes"] == [KEYS]
    assert shown.ui["ex4d_settings"][0]["frames"] == FRAMES and shown.ui["ex4d_settings"][0]["relative"] == "world"


@pytest.mark.parametrize("frame", range(FRAMES))
def test_picture_and_coverage_are_those_of_the_renderer(ask, shown, frame):
    reply = ask("picture", shown.settings | {"frame": frame, "tint": False})
    assert reply.status == 200 and reply.headers["content-type"] == "image/jpeg"
    assert abs(float(reply.headers["x-ex4d-coverage"]) - shown.coverage[frame]) < 0.01
    picture = torch.from_numpy(np.array(Image.open(io.BytesIO(reply.body)))).float() / 255
    assert picture.shape == shown.color[frame].shape
    assert (picture - shown.color[frame]).abs().mean() < 0.02  # JPEG; without it, see tests/ops/test_small_scene.py


def test_the_coverage_of_a_path_is_that_of_its_pictures(ask, shown):
    said = ask("coverage", shown.settings).said
    assert said["frames"] == list(range(FRAMES))
    assert said["coverage"] == pytest.approx(shown.coverage, abs=0.01)
    assert said["yaw"][0] == pytest.approx(0, abs=1e-3) and said["yaw"][-1] == pytest.approx(35, abs=2)


def test_a_path_tells_its_moments(ask, shown):
    said = ask("path", shown.settings | {"keyframes": '[{"frame": 0}, {"frame": 4, "yaw": 400, "roll": 10}]'}).said
    assert said["frames"] == FRAMES and said["circles"] and not said["heads"] and not said["retimed"]
    last = said["moments"][-1]
    assert last["yaw"] == pytest.approx(400) and last["roll"] == pytest.approx(10) and last["source"] == 4
    assert last["look_at"] == [0, 0, 1] and len(last["rotation"]) == 9


def test_held_frames_are_told_and_shown(ask, shown):
    held = json.dumps({"keys": [{"frame": 0}], "retime": [{"frame": 0, "source": 2}, {"frame": 4, "source": 2}]})
    said = ask("path", shown.settings | {"keyframes": held}).said
    assert said["retimed"] and {moment["source"] for moment in said["moments"]} == {2}
    assert ask("picture", shown.settings | {"keyframes": held, "frame": 4}).headers["x-ex4d-source"] == "2"


def test_the_scene_tells_its_points_and_cameras(ask, shown):
    said = ask(f"scene/{shown.key}").said
    assert (said["frames"], said["width"], said["height"], said["source_width"]) == (FRAMES, 96, 64, 96)
    assert 100 < len(said["points"]) // 3 <= 1500 and len(said["points"]) == len(said["colors"])
    assert len(said["cameras"]) == FRAMES and said["moving_camera"] and said["subject"] is None and said["radius"] > 0


def test_tables_presets_and_views(ask, shown):
    tables = ask("tables").said
    assert {"orbit", "static"} <= {move["name"] for move in tables["moves"]} and "linear" in tables["eases"]
    assert {trained["name"] for trained in tables["ranges"]} >= {"EX-4D"}
    keys = json.loads(ask("preset", {"move": "orbit:yaw=60", "frames": 49}).said["keyframes"])
    assert keys == [{"frame": 0}, {"frame": 48, "yaw": 60}]
    said = ask("preset", {"move": "orbitt", "frames": 49}).said
    assert said["reason"] == "settings" and "'orbitt' is not a move" in said["error"]
    info = {"position": {"x": 0, "y": 0, "z": 0}, "target": {"x": 0, "y": 0, "z": -1}}
    settings = {name: value for name, value in shown.settings.items() if name != "keyframes"}
    key = ask("view", settings | {"camera_info": info}).said["key"]
    assert key["position"] == pytest.approx([0, 0, 0], abs=1e-4) and key["pan"] == pytest.approx(0, abs=1e-3)
    assert ask("view", settings | {"camera_info": {"position": {"x": "a"}}}).said["reason"] == "settings"


def test_a_path_file_becomes_keyframes(ask, shown):
    settings = {name: value for name, value in shown.settings.items() if name != "keyframes"}
    lines = "".join(f"{t + 1} {0.1 * t} 0 0 0 0 0 50\n" for t in range(FRAMES))
    said = ask("import", settings | {"name": "shot.chan", "content": base64.b64encode(lines.encode()).decode()}).said
    keys = json.loads(said["keyframes"])
    assert said["frames"] == FRAMES and keys[-1]["position"][0] > 0.01
    for name, content in (("shot.chan", b"hello"), ("shot.exe", b""), ("../../shot", b"x"), ("a.json", b"[1]")):
        said = ask("import", settings | {"name": name, "content": base64.b64encode(content).decode()}).said
        assert said["reason"] == "file" and "/tmp" not in said["error"], said


def test_a_point_in_the_picture_is_one_in_space(ask, shown):
    said = ask("point", shown.settings | {"frame": 0, "x": 0.5, "y": 0.8}).said
    assert said["distance"] == pytest.approx(np.linalg.norm(said["point"]), rel=1e-3) and said["look_at"][2] > 0
    hidden = ask("point", shown.settings | {"keyframes": '[{"frame": 0, "yaw": 180}]', "frame": 4, "x": 0.5, "y": 0.1})
    assert hidden.said["reason"] == "nothing"


@pytest.mark.parametrize("changed, reason", [
    ({"keyframes": "[{"}, "keyframes"), ({"keyframes": '[{"frame": 9}]'}, "keyframes"), ({"frame": 5}, "settings"),
    ({"keyframes": '{"keys": [{"frame": 0}], "retime": [{"frame": 0, "source": 7}]}'}, "settings"),
    ({"keyframes": '{"keys": [{"frame": 0}], "retime": [{"frame": 0}]}'}, "keyframes"),
    ({"frames": 9, "frame": 8}, "settings"), ({"keyframes": json.dumps([{"frame": 0}] * 3000)}, "keyframes")])
def test_what_an_honest_page_can_meet_is_an_answer_with_its_reason(ask, shown, changed, reason):
    reply = ask("picture", shown.settings | changed)
    assert reply.status == 200 and reply.said["reason"] == reason and reply.said["error"]


HOSTILE = [
    ({"scene": "../../../../etc/passwd"}, 400), ({"scene": "secret"}, 400), ({"scene": "0" * 48}, 403),
    ({"scene": "A" * 48}, 400), ({"scene": None}, 400), ({"scene": ["x"]}, 400), ({"frames": 10**8}, 400),
    ({"frames": -1}, 400), ({"frames": 1.5}, 400), ({"frames": True}, 400), ({"frames": "5"}, 400),
    ({"frames": 10**400}, 400), ({"width": 10**6}, 400), ({"height": -16}, 400), ({"radius": "1"}, 400),
    ({"radius": -1}, 400), ({"focal": 1e9}, 400), ({"fit": "tear"}, 400), ({"relative": {}}, 400),
    ({"smooth": 1}, 400), ({"keyframes": 3}, 400), ({"keyframes": None}, 400), ({"keyframes": "x" * 150_000}, 400),
    ({"keyframes": "x" * 400_000}, 413), ({"editor": "x" * 65}, 400), ({"editor": 3}, 400), ({"frame": -1}, 400),
    ({"frame": 1e8}, 400), ({"tint": "yes"}, 400), ({"rules": []}, 400), ({"rules": {"erosion": 1000}}, 400),
    ({"rules": {"seed": -1}}, 400), ({"rules": {"engine": "torch"}}, 400), ({"path": "/etc/passwd"}, 400)]


@pytest.mark.parametrize("changed, status", HOSTILE, ids=[str(changed)[:40] for changed, _ in HOSTILE])
def test_every_field_out_of_range_is_refused(ask, shown, changed, status):
    reply = ask("picture", shown.settings | changed)
    assert reply.status == status and reply.said["error"]
    assert b"/home" not in reply.body and b"Traceback" not in reply.body


BODIES = [(b"", 415), (b"{", 400), (b"[]", 400), (b'"x"', 400), (b"[" * 100_000, 400), (b"\xff\xfe", 400),
          (b"null", 400), (b"{}", 400), (b'{"scene": NaN}', 400), (b"x" * (1 << 20), 413)]


@pytest.mark.parametrize("body, status", BODIES, ids=[repr(body[:12]) for body, _ in BODIES])
@pytest.mark.parametrize("route", ["picture", "coverage", "path", "point", "preset", "view"])
def test_every_body_that_is_no_request_is_refused(ask, route, body, status):
    reply = ask(route, body=body or b" ", kind="application/json" if body else "text/plain")
    assert reply.status == status


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_none_are_refused(ask, shown, number):
    body = json.dumps(shown.settings).replace('"frames": 5', f'"frames": 5, "radius": {number}')
    assert ask("picture", body=body.encode()).status == 400


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
def test_what_a_foreign_page_can_send_without_asking_is_refused(ask, shown, kind):
    assert ask("picture", body=json.dumps(shown.settings).encode(), kind=kind).status == 415


@pytest.mark.parametrize("name", ["..%2f..%2fsecret", "%2e%2e", "x", "0" * 48, "C:%5Csecret", "a" * 500])
def test_scenes_of_other_names_are_refused(ask, name):
    assert ask(f"scene/{name}").status in (400, 403, 404)


def test_the_newest_request_wins_and_a_flood_is_turned_away(ask, shown):
    replies: list[Reply] = []

    def send(editor: str) -> None:
        replies.append(ask("coverage", shown.settings | {"editor": editor}))

    for editors in (["a"] * 24, [str(number) for number in range(60)]):
        threads = [threading.Thread(target=send, args=(editor,)) for editor in editors]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert {reply.status for reply in replies} <= {200, 429}
    whole = [reply.said for reply in replies if reply.status == 200 and "coverage" in reply.said]
    assert whole and all(said["coverage"] == whole[0]["coverage"] for said in whole)
    assert {reply.said["reason"] for reply in replies if reply.status == 200 and "error" in reply.said} <= {"stale"}
    assert ask("picture", shown.settings).status == 200


def test_a_scene_that_has_gone_is_said_and_runs_anew(ask, server, shown, new_workflow, pictures):
    workflow = new_workflow()
    first = run_editor(server, workflow, pictures, smooth=False)
    for file in (server.base / "user" / "__ex4d" / "scenes").glob(f"{first.key}*"):
        file.unlink()
    reply = ask("picture", first.settings)
    assert reply.status == 200 and reply.said["reason"] == "no scene"
    again = run_editor(server, new_workflow(), pictures, smooth=False)
    assert again.key != first.key and ask("picture", again.settings).status == 200


def test_a_scene_outlives_the_server(ask, server, comfyui_path, shown, new_workflow, pictures, tmp_path):
    kept = run_editor(server, new_workflow(), pictures, smooth=True)
    with serve(comfyui_path, tmp_path, ["--cpu", "--user-directory", str(server.base / "user")]) as other:
        request = urllib.request.Request(f"{other.url}/ex4d/picture", json.dumps(kept.settings).encode(),
                                         {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as reply:
            assert reply.headers["Content-Type"] == "image/jpeg"
            assert reply.read() == ask("picture", kept.settings).body
    assert ask("picture", kept.settings).status == 200  # and what another server deletes when it ends is not among it


def test_scenes_are_not_served_by_comfyui_s_own_routes(server, shown):
    file, *_ = (server.base / "user" / "__ex4d" / "scenes").glob("*.safetensors")
    for route in (f"/view?filename={file.name}&type=temp", "/userdata?dir=__ex4d",
                  f"/userdata/..%2F__ex4d%2Fscenes%2F{file.name}"):
        with pytest.raises(urllib.error.HTTPError):
            server.get(route)
