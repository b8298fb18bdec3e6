"""A ComfyUI server without a browser: start it with this pack, queue workflows, wait for what they make."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

PACK = Path(__file__).resolve().parents[1]
START_SECONDS = 240  # a cold disk and a busy machine
POLL_SECONDS = 0.1


class Refused(ValueError):
    """A prompt that the server does not accept; `reply` is its answer."""

    def __init__(self, reply: dict) -> None:
        self.reply = reply
        super().__init__(describe_refusal(reply))


class Failed(RuntimeError):
    """A prompt that stopped with an error or was interrupted; `error` is the server's message of it."""

    def __init__(self, error: dict) -> None:
        self.error = error
        super().__init__(f"{error.get('node_type')}: {error.get('exception_message', 'interrupted')}".strip())


@dataclass(frozen=True)
class Server:
    """A running ComfyUI. base: its own folder with input, output, models and server.log; starts: one after another."""

    url: str
    base: Path
    comfyui: Path
    command: list[str]
    starts: list[subprocess.Popen] = field(default_factory=list)

    @property
    def process(self) -> subprocess.Popen:
        return self.starts[-1]

    def start(self) -> None:
        """Start it, again where it was stopped, and return once it answers. Raises RuntimeError where it ends."""
        with open(self.base / "server.log", "a" if self.starts else "w") as log:
            self.starts.append(subprocess.Popen(self.command, cwd=self.comfyui, stdout=log, stderr=subprocess.STDOUT))
        wait_until_up(self)

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def get(self, path: str) -> dict | list:
        with urllib.request.urlopen(self.url + path, timeout=60) as reply:
            return json.load(reply)

    def post(self, path: str, content: dict) -> dict:
        request = urllib.request.Request(self.url + path, json.dumps(content).encode(),
                                         {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as reply:
            return json.loads(reply.read() or b"{}")

    def queue(self, workflow: dict, client: str = "headless") -> str:
        """Queue a workflow in API format and return its prompt id. Raises Refused where the server finds a fault."""
        try:
            reply = self.post("/prompt", {"prompt": workflow, "client_id": client})
        except urllib.error.HTTPError as error:
            raise Refused(json.loads(error.read())) from None
        if reply.get("node_errors"):
            raise Refused(reply)
        return reply["prompt_id"]

    def wait(self, prompt: str, seconds: float = 600) -> dict:
        """The history entry of a prompt once it is done. Raises Failed where a node stopped, or was stopped."""
        end = time.monotonic() + seconds
        history = {}
        while prompt not in history:
            if self.process.poll() is not None:
                raise RuntimeError(f"ComfyUI ended while it worked; see {self.base / 'server.log'}")
            if time.monotonic() > end:
                raise TimeoutError(f"prompt {prompt} is not done after {seconds:g} s; see {self.base / 'server.log'}")
            time.sleep(POLL_SECONDS)
            history = self.get(f"/history/{prompt}")
        for kind, message in history[prompt]["status"]["messages"]:
            if kind in ("execution_error", "execution_interrupted"):
                raise Failed(message)
        return history[prompt]

    def run(self, workflow: dict, seconds: float = 600) -> dict:
        """Queue a workflow in API format, wait, and return what each output node says of itself, by node id."""
        return self.wait(self.queue(workflow), seconds)["outputs"]

    def cached(self, workflow: dict) -> set[str]:
        """Run a workflow in API format, and tell of which nodes it takes the results from earlier runs."""
        messages = self.wait(self.queue(workflow))["status"]["messages"]
        return set(next(said["nodes"] for kind, said in messages if kind == "execution_cached"))

    def files(self, outputs: dict) -> list[Path]:
        """Where the files lie that the outputs of a run name, those kept in the output folder."""
        return [self.base / "output" / said["subfolder"] / said["filename"]
                for node in outputs.values() for entries in node.values() if isinstance(entries, list)
                for said in entries if isinstance(said, dict) and said.get("type") == "output"]


@contextmanager
def serve(comfyui: Path, base: Path, flags: Sequence[str] = (), python: str = sys.executable) -> Iterator[Server]:
    """Run the ComfyUI that stands at a path, with this pack as its only one, until the block ends.

    base: an own folder for its input, output, models and database, so that nothing of the user's is touched.
    Raises RuntimeError, with the end of its log, where it does not come up.
    """
    base = base.resolve()  # ComfyUI runs in a folder of its own
    packs = base / "custom_nodes"
    packs.mkdir(parents=True, exist_ok=True)
    link = packs / "ComfyUI-EX4D"
    link.unlink(missing_ok=True)  # of an earlier run; the pack may have moved since
    link.symlink_to(PACK, target_is_directory=True)
    port = free_port()
    command = [python, "main.py", "--listen", "127.0.0.1", "--port", str(port), "--base-directory", str(base),
               "--database-url", f"sqlite:///{base / 'comfyui.db'}", "--disable-auto-launch", *flags]
    server = Server(f"http://127.0.0.1:{port}", base, comfyui, command)
    try:
        server.start()
        yield server
    finally:
        if server.starts:
            server.stop()


def wait_until_up(server: Server) -> None:
    """Return once the server answers. Raises RuntimeError where it ends or stays silent."""
    end = time.monotonic() + START_SECONDS
    while server.process.poll() is None and time.monotonic() < end:
        try:
            server.get("/system_stats")
            return
        except OSError:
            time.sleep(POLL_SECONDS)
    log = (server.base / "server.log").read_text(errors="replace")
    raise RuntimeError(f"ComfyUI did not come up; the end of its log:\n{log[-3000:]}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def describe_refusal(reply: dict) -> str:
    """What the server finds wrong with a prompt, a line per fault."""
    lines = [f"{node['class_type']}: {error['message']}: {error['details']}"
             for node in reply.get("node_errors", {}).values() for error in node["errors"]]
    return "\n".join(lines or [str(reply.get("error", reply))])
