"""Small scenes of the camera editor, kept in files that outlive the server.

ComfyUI deletes its temp folder when it starts and when it ends, so they stand beside it in a folder of its own user
directory that no route of ComfyUI reads ("system user"), and are kept as a temp folder is: the latest few, within a
limit of bytes. The files are the truth: nothing of them stays in memory.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import threading
from pathlib import Path
from weakref import WeakKeyDictionary

import folder_paths
import torch
from torch import Tensor

from ..ex4d_ops.depth import VideoDepth
from ..ex4d_ops.files.whole import sweep
from ..ex4d_ops.mesh import DWMesh
from ..ex4d_ops.small_scene import SmallScene, write_small_scene
from .progress import warn

MOST_SCENES = 24
MOST_BYTES = 2 << 30  # of all together; the latest stays whatever its size
SUFFIX = ".safetensors"
TOKEN, SEAL = 32, 16  # letters of a key: chosen at random, and what proves that this server gave it out

keeping = threading.Lock()
kept: WeakKeyDictionary[VideoDepth | DWMesh, tuple[str, Tensor | None]] = WeakKeyDictionary()  # with their subjects


shown: dict[str, str] = {}  # the key that each node has shown last
losses: dict[str, int] = {}  # how often a node's scene has gone since


class ForgedKey(Exception):
    """A key that this server never gave out."""


def scenes_folder() -> Path:
    folder = Path(folder_paths.get_system_user_directory("ex4d")) / "scenes"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def keep_scene(scene: VideoDepth | DWMesh, subject: Tensor | None = None, node: str = "") -> str | None:
    """Keep a small copy of a scene, with what a path follows in it, and return its key; one kept already keeps its key.

    node: the id of the node that shows it. The oldest go where there are too many. None, and a warning, where nothing
    can be written: a path needs no editor.
    """
    with keeping:
        try:
            shown[node] = key = keep_alone(scene, subject)
        except OSError as error:
            warn(f"The camera editor cannot show this scene: {error}")
            return None
        return key


def keep_alone(scene: VideoDepth | DWMesh, subject: Tensor | None) -> str:
    key, followed = kept.get(scene, (None, None))
    if key and list_scenes().get(key) and same_subject(subject, followed):
        return key
    folder = scenes_folder()
    sweep(folder)
    token = secrets.token_hex(TOKEN // 2)
    key = token + seal_of(token)
    write_small_scene(folder / f"{key}{SUFFIX}", scene, subject)
    kept[scene] = key, subject
    drop_oldest()
    return key


def show_nothing(node: str) -> None:
    """Let a node run again the next time, whatever of it is cached."""
    with keeping:
        shown[node] = ""


def count_losses(node: str) -> int:
    """How often the scene that a node has shown has gone: where that changes, the node must run again to show one."""
    with keeping:
        if node in shown and shown[node] not in list_scenes():
            del shown[node]
            losses[node] = losses.get(node, 0) + 1
        return losses.get(node, 0)


def same_subject(first: Tensor | None, second: Tensor | None) -> bool:
    if first is None or second is None:
        return first is second
    return torch.equal(first, second)


def find_scene(key: str) -> SmallScene | None:
    """The scene of a key, None where it is gone. Raises ForgedKey where the key is not of this server."""
    if not hmac.compare_digest(seal_of(key[:TOKEN]).encode(), key[TOKEN:].encode()):
        raise ForgedKey
    file = list_scenes().get(key)  # a name from the folder, never the caller's
    if file is None:
        return None
    try:
        os.utime(file)  # the latest used are kept
        return SmallScene(file)
    except OSError:  # deleted meanwhile
        return None


def list_scenes() -> dict[str, Path]:
    """The files of all scenes by key."""
    return {file.stem: file for file in scenes_folder().iterdir() if file.suffix == SUFFIX and file.name[0] != "."}


def drop_oldest() -> None:
    """Delete what is more than the limits allow, the least lately used first."""
    stats = sorted(((file.stat(), file) for file in list_scenes().values()), key=lambda pair: -pair[0].st_mtime_ns)
    total = 0
    for place, (stat, file) in enumerate(stats):
        total += stat.st_size
        if place and (place >= MOST_SCENES or total > MOST_BYTES):
            try:
                file.unlink(missing_ok=True)
            except PermissionError:  # being read on Windows, where it goes with the next
                pass


def seal_of(token: str) -> str:
    return hmac.new(server_secret(), token.encode(), hashlib.sha256).hexdigest()[:SEAL]


def server_secret() -> bytes:
    """What seals the keys, chosen once and kept beside the scenes."""
    file = scenes_folder() / "secret"
    if not file.exists():
        part = file.with_name(f".secret.{secrets.token_hex(8)}")
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as new:
            new.write(secrets.token_bytes(32))
        try:
            os.link(part, file)  # whoever comes first, and whole
        except OSError:
            if not file.exists():
                os.replace(part, file)
        part.unlink(missing_ok=True)
    return file.read_bytes()
