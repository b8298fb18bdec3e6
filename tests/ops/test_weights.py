"""Fetching weights from a hub that runs here: asked for only, resumed, held to their checksums, missing ones named."""

import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

pytest.importorskip("huggingface_hub", reason="pip install huggingface_hub to test downloading")

from huggingface_hub import constants, file_download

from ex4d_ops.estimators import weights as weights_module
from ex4d_ops.estimators.weights import CATALOGUE, Address, Weights, download_weights, find_weights
from ex4d_ops.evaluation.weights import EVALUATORS

NAME = "video-depth-anything-small"
FILE = "video_depth_anything_vits.pth"
REVISION = "0123456789abcdef0123456789abcdef01234567"
CONTENT = bytes(range(256)) * 4096  # 1 MiB


class Hub(BaseHTTPRequestHandler):
    """What the client of a hub asks for: a repository's files with their checksums, and the files in ranges."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        self.server.asked.append((self.command, self.path, self.headers.get("Range")))
        if self.path.startswith("/api/models/"):
            return self.answer(json.dumps(self.server.listing()).encode(), {"Content-Type": "application/json"})
        if self.path.split("?")[0].rsplit("/", 1)[-1] not in self.server.files:
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        content = self.server.files[self.path.split("?")[0].rsplit("/", 1)[-1]]
        digest = hashlib.sha256(content).hexdigest()
        headers = {"ETag": f'"{digest}"', "X-Repo-Commit": REVISION, "Accept-Ranges": "bytes"}
        begin = int((self.headers.get("Range") or "bytes=0-").split("=")[1].split("-")[0])
        if self.headers.get("Range"):
            headers["Content-Range"] = f"bytes {begin}-{len(content) - 1}/{len(content)}"
        self.answer(content[begin:], headers, 206 if self.headers.get("Range") else 200)

    def answer(self, body: bytes, headers: dict, status: int = 200):
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            left = self.server.left if "/resolve/" in self.path else None
            self.wfile.write(body[:left])
            if left is not None:
                self.server.left = max(left - len(body), 0)
                self.close_connection = True

    def log_message(self, *_):
        pass


@pytest.fixture
def hub(monkeypatch):
    for name in ("HF_HUB_DISABLE_XET", "HF_HUB_DISABLE_PROGRESS_BARS"):
        monkeypatch.setenv(name, "1")
    hub = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    hub.files, hub.asked, hub.left, hub.claimed = {FILE: CONTENT}, [], None, CONTENT
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 65536)
    monkeypatch.setattr(file_download.time, "sleep", lambda seconds: None)

    def listing():
        digest = hashlib.sha256(hub.claimed).hexdigest()
        lfs = {"sha256": digest, "size": len(CONTENT), "pointerSize": 130}
        siblings = [{"rfilename": FILE, "size": len(CONTENT), "blobId": "0" * 40, "lfs": lfs}]
        return {"id": "any/any", "modelId": "any/any", "sha": REVISION, "siblings": siblings, "tags": [],
                "private": False, "downloads": 0, "likes": 0}
    hub.listing = listing
    hub.url = f"http://127.0.0.1:{hub.server_address[1]}"
    threading.Thread(target=hub.serve_forever, daemon=True).start()
    yield hub
    hub.shutdown()
    hub.server_close()


def test_a_file_arrives_where_it_belongs_and_is_fetched_once(hub, tmp_path):
    path = tmp_path / "video_depth_anything" / FILE
    assert download_weights(NAME, tmp_path, hub.url) == [path] and path.read_bytes() == CONTENT
    hub.asked.clear()
    assert download_weights(NAME, tmp_path, hub.url) == [] and hub.asked == []
    assert find_weights(NAME, [tmp_path / "elsewhere", path.parent]) == path.parent


def test_a_download_goes_on_where_it_stopped(hub, tmp_path):
    hub.left = 300_000  # bytes, before the line goes dead
    with pytest.raises(ValueError, match="cannot be downloaded"):
        download_weights(NAME, tmp_path, hub.url)
    assert not (tmp_path / "video_depth_anything" / FILE).exists()
    hub.left, before = None, len(hub.asked)
    assert download_weights(NAME, tmp_path, hub.url)[0].read_bytes() == CONTENT
    ranges = [range_ for command, path, range_ in hub.asked[before:] if command == "GET" and "/resolve/" in path]
    assert ranges == ["bytes=262144-"], "what had arrived is not asked for again"


def test_a_file_that_differs_from_its_checksum_is_dropped(hub, tmp_path):
    hub.claimed = CONTENT[:-1] + b"x"
    with pytest.raises(ValueError, match="arrived damaged"):
        download_weights(NAME, tmp_path, hub.url)
    assert not (tmp_path / "video_depth_anything" / FILE).exists()


def test_a_file_that_moved_is_named(hub, tmp_path):
    with pytest.raises(ValueError, match="does not contain config.json"):
        download_weights("depthcrafter", tmp_path, hub.url)


def test_a_hub_out_of_reach_gets_one_sentence(tmp_path):
    with pytest.raises(ValueError, match="cannot be downloaded") as refusal:
        download_weights(NAME, tmp_path, "http://127.0.0.1:9")
    assert "\n" not in str(refusal.value)


def test_a_file_of_no_hub_arrives_whole_or_not_at_all(hub, tmp_path):
    hub.files = {"network-1.pth": CONTENT}
    address = f"{hub.url}/resolve/network-1.pth"
    for name, checksum in {"right": hashlib.sha256(CONTENT).hexdigest()[:8], "unknown": "", "other": "0123abcd",
                           "cut": hashlib.sha256(CONTENT).hexdigest()[:8]}.items():
        hub.left = 300_000 if name == "cut" else None
        catalogue = {"net": Weights(name, (Address(address, "MIT", 1.0, checksum),))}
        path = tmp_path / name / "network-1.pth"
        if name in ("right", "unknown"):
            assert download_weights("net", tmp_path, catalogue=catalogue) == [path] and path.read_bytes() == CONTENT
            assert download_weights("net", tmp_path, catalogue=catalogue) == []
        else:
            with pytest.raises(ValueError, match=f"^{address}: cannot be downloaded [^\n]*save it as {path}$"):
                download_weights("net", tmp_path, catalogue=catalogue)
            assert not path.exists()


def test_unknown_names_list_the_known_ones(tmp_path):
    with pytest.raises(ValueError, match="'midas' is not the name of a model to download; use one of "
                                         "video-depth-anything-small"):
        download_weights("midas", tmp_path)


@pytest.mark.parametrize("name", CATALOGUE | EVALUATORS)
def test_missing_weights_are_named_with_size_licence_address_folder_and_command(name, tmp_path):
    weights = (CATALOGUE | EVALUATORS)[name]
    for repository in weights.repositories:
        for file, megabytes in repository.files.items():
            with pytest.raises(ValueError) as refusal:
                find_weights(name, [tmp_path / weights.folder], CATALOGUE | EVALUATORS)
            said = str(refusal.value)
            for fact in (file, repository.licence, repository.page, str(tmp_path),
                         f"ex4d download {name}", f"{megabytes:.0f} MB" if megabytes else "license"):
                assert fact in said
            path = Path(tmp_path / weights.folder / repository.folder / file)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    assert find_weights(name, [tmp_path / weights.folder], CATALOGUE | EVALUATORS) == tmp_path / weights.folder


def test_the_command_that_is_named_runs_wherever_the_pack_lies(tmp_path):
    with pytest.raises(ValueError) as refusal:
        find_weights("depthcrafter", [tmp_path / "models" / "depthcrafter"])
    command = shlex.split(str(refusal.value).rsplit("or run: ", 1)[1])
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ran = subprocess.run([*command[:-4], "--help"], capture_output=True, text=True, cwd=tmp_path, env=clean)
    assert ran.returncode == 0 and "download" in ran.stdout
    assert command[-4:] == ["download", "depthcrafter", "--models", str(tmp_path / "models")]


def test_a_pack_in_a_folder_of_its_own_names_its_own_command(tmp_path):
    """As after cloning into custom_nodes or unpacking: nothing is installed with pip, and paths have spaces."""
    pack = tmp_path / "custom nodes" / "ComfyUI-EX4D"
    shutil.copytree(Path(__file__).parents[2] / "ex4d_ops", pack / "ex4d_ops")
    shutil.copy(Path(__file__).parents[2] / "ex4d", pack / "ex4d")
    code = "from ex4d_ops.estimators.weights import name_command; print(name_command())"
    named = subprocess.run([sys.executable, "-c", code], cwd=pack, capture_output=True, text=True, check=True,
                           env=os.environ | {"PYTHONPATH": str(pack)}).stdout
    command = shlex.split(named)
    assert command == [sys.executable, str(pack / "ex4d")]
    ran = subprocess.run([*command, "download", "--help"], cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 0 and "--models" in ran.stdout


def test_without_the_pack_around_it_the_command_is_pip_s(monkeypatch, tmp_path):
    monkeypatch.setattr(weights_module, "LAUNCHER", tmp_path / "ex4d")
    assert weights_module.name_command() == "ex4d"
