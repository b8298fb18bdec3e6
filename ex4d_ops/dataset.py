"""Prepared clips: webdataset shards of cached latents or pixels, how they are kept whole, how training reads them.

A folder of prepared clips holds

    clips-000000.tar ...   shards, plain webdataset
    manifest.jsonl         one line per finished clip or skipped video, in the order they were finished
    settings.json          the recipe all of them were made by
    parts/                 finished clips that wait for a shard; empty after a complete run

A clip of key KEY (no dots) is in its shard as

    KEY.clip.json              source, start, frames, size, fps, caption, seed, masks, shown (share of the mask)
    KEY.latents.safetensors    where encoders were at hand:
        video_latent   [16, t, h, w]   what is to be generated, normalised by Wan's mean and std
        prior_latent   [32, t, h, w]   ex4d_ops.adapter.encode_prior: masked video and mask, color first
        image_latent   [16, t, h, w]   image-to-video condition: frame 0, the rest gray
        context        [L, 4096]       text
        clip_fea       [257, 1280]     CLIP vision of frame 0
    KEY.video.mkv, KEY.visible.mkv     else: the clip and its mask (white = shown), lossless FFV1

t = (T - 1) / 4 + 1, h = H / 8, w = W / 8; latents are bfloat16. A shard, and a part, exists whole or not at all. A
part is a tar of one clip; a shard is made of parts, which go once it is listed. Whatever the moment a run ends at,
read_state finds every finished clip exactly once.
"""

from __future__ import annotations

import io
import json
import os
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import Dataset

from . import files
from .files.damage import quote, reading
from .files.whole import sweep, written_whole
from .prior import Prior

MANIFEST = "manifest.jsonl"
PARTS = "parts"
INFO, LATENTS, VIDEO, VISIBLE = "clip.json", "latents.safetensors", "video.mkv", "visible.mkv"
AGAIN = "restore it, or prepare the clips again into another folder"
LATENT_NAMES = ("video_latent", "prior_latent", "image_latent", "context", "clip_fea")


@dataclass(frozen=True)
class Encoders:
    """What turns a clip into latents, each with a leading dimension of 1.

    video: frames [T, H, W, 3] to [1, 16, t, H/8, W/8], normalised by Wan's mean and std; it reads a value p as 2p - 1
    and does not clamp. text: a caption to [1, L, 4096]. vision: one frame [H, W, 3] to [1, 257, 1280].
    """

    video: Callable[[Tensor], Tensor]
    text: Callable[[str], Tensor]
    vision: Callable[[Tensor], Tensor]


# ---- one clip -----------------------------------------------------------------------------------


def write_part(folder: Path, key: str, info: dict, payload: dict[str, bytes]) -> None:
    """Write one finished clip, or with no payload the reason a video is skipped, whole or not at all."""
    members = {INFO: json.dumps(info).encode(), **payload}
    with written_whole(folder / PARTS / f"{key}.tar") as part, tarfile.open(part, "w") as tar:
        for name, content in members.items():
            entry = tarfile.TarInfo(f"{key}.{name}")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))


def pack_latents(latents: dict[str, Tensor]) -> dict[str, bytes]:
    """The members that hold latents, of the names and shapes given above."""
    from safetensors.torch import save

    return {LATENTS: save({name: latents[name].to(torch.bfloat16).contiguous() for name in LATENT_NAMES})}


def pack_pixels(frames: Tensor, visible: Tensor, fps: float) -> dict[str, bytes]:
    """The members that hold a clip [T, H, W, 3] in [0, 1] and its mask [T, H, W]."""
    return {VIDEO: files.pack_video(frames, fps), VISIBLE: files.pack_video(visible, fps)}


def unpack(members: dict[str, bytes]) -> dict[str, Tensor]:
    """The tensors of a clip: its latents, or video [T, H, W, 3] in [0, 1] and visible [T, H, W] bool.

    Raises ValueError, or what their readers do, where members are missing or damaged.
    """
    if LATENTS in members:
        from safetensors.torch import load

        latents = load(members[LATENTS])
        if lacking := [name for name in LATENT_NAMES if name not in latents]:
            raise ValueError(f"lacks {', '.join(lacking)}")
        return latents
    if lacking := [name for name in (VIDEO, VISIBLE) if name not in members]:
        raise ValueError(f"lacks {', '.join(lacking)}")
    with tempfile.TemporaryDirectory() as folder:
        for name in (VIDEO, VISIBLE):
            (Path(folder) / name).write_bytes(members[name])
        video, visible = (files.read_video(Path(folder) / name).frames for name in (VIDEO, VISIBLE))
    return {"video": video, "visible": visible[..., 0] > 0.5}


def encode_clip(frames: Tensor, prior: Prior, caption: str, encoders: Encoders) -> dict[str, Tensor]:
    """The latents of a clip [T, H, W, 3] and what is shown of it."""
    from .adapter import encode_prior

    given = torch.full_like(frames, 0.5)  # gray where image-to-video is given nothing
    given[0] = frames[0]
    return {"video_latent": encoders.video(frames)[0], "prior_latent": encode_prior(prior, encoders.video)[0],
            "image_latent": encoders.video(given)[0], "context": encoders.text(caption)[0],
            "clip_fea": encoders.vision(frames[0])[0]}


# ---- the folder ---------------------------------------------------------------------------------


@dataclass
class State:
    """What a folder of prepared clips holds. entries: the manifest's lines; parts: keys of finished clips not in it."""

    entries: list[dict] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)

    @property
    def done(self) -> set[str]:
        return {entry["key"] for entry in self.entries} | set(self.parts)


def read_state(folder: Path) -> State:
    """What is finished in a folder, whatever happened to the run that wrote it. Changes nothing."""
    entries = read_manifest(folder)
    keys, listed = {entry["key"] for entry in entries}, {entry.get("shard") for entry in entries}
    shards = sorted(folder.glob("clips-*.tar"))
    for shard in shards:
        if shard.name not in listed or shard == shards[-1]:  # a run may have ended before it was listed, or amidst
            entries += [{**info, "shard": shard.name} for info in read_infos(shard) if info["key"] not in keys]
    keys = {entry["key"] for entry in entries}
    parts = sorted(path.stem for path in (folder / PARTS).glob("[!.]*.tar"))
    return State(entries, [key for key in parts if key not in keys])


def read_manifest(folder: Path) -> list[dict]:
    """The whole lines of a manifest; the last one may be torn."""
    path = folder / MANIFEST
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    return [read_info(path, line) for line in lines]


def read_infos(shard: Path) -> Iterator[dict]:
    """What the clips of a shard say of themselves. Raises ValueError where it is damaged, or holds none."""
    with reading(shard, "a shard of clips", AGAIN), tarfile.open(shard, "r:") as tar:
        contents = [read_member(tar, entry) for entry in list_entries(tar) if entry.name.endswith(f".{INFO}")]
        if not contents:
            raise ValueError("it does not contain a clip")
    for content in contents:
        yield read_info(shard, content)


def read_member(tar: tarfile.TarFile, entry: tarfile.TarInfo) -> bytes:
    """The content of a member. Raises ValueError where it is not a file."""
    file = tar.extractfile(entry)
    if file is None:
        raise ValueError(f"{quote(entry.name)} is not a file")
    return file.read()


def list_entries(tar: tarfile.TarFile) -> list[tarfile.TarInfo]:
    """The members of a shard. Raises ValueError where it is cut short, which tarfile itself does not notice."""
    entries = tar.getmembers()
    tar.fileobj.seek(tar.offset)
    if tar.fileobj.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise ValueError("it is damaged or cut short")
    return entries


def read_info(path: Path, content: bytes) -> dict:
    """The description of a clip. Raises ValueError where it is damaged, or names a shard in another folder."""
    with reading(path, "the description of a clip", AGAIN):
        info = json.loads(content)
        if not isinstance(info, dict) or not isinstance(info.get("key"), str):
            raise ValueError(f"{quote(info)} does not have a key")
        shard = info.get("shard", "")
        if not isinstance(shard, str) or shard != Path(shard).name:
            raise ValueError(f"{quote(shard)} is not the name of a shard")
        return info


def mend(folder: Path) -> State:
    """Make a folder that a run left at any moment as if the run had gone on: list what is whole, drop the rest."""
    (folder / PARTS).mkdir(parents=True, exist_ok=True)
    sweep(folder)
    sweep(folder / PARTS)
    state, listed = read_state(folder), read_manifest(folder)
    path = folder / MANIFEST
    if path.exists():
        os.truncate(path, path.read_bytes().rfind(b"\n") + 1)
    append_lines(folder, state.entries[len(listed):])
    waiting = set(state.parts)
    for path in (folder / PARTS).glob("*.tar"):
        if path.stem not in waiting:
            path.unlink()
    return state


def gather(folder: Path, keys: list[str], shard: int) -> list[dict]:
    """Make shard number `shard` of the parts with these keys, list it, then remove the parts. Returns the new lines.

    Parts that say why a video is skipped go to the manifest alone.
    """
    paths = [folder / PARTS / f"{key}.tar" for key in keys]
    infos = [next(read_infos(path)) for path in paths]
    clips = [path for path, info in zip(paths, infos) if "skipped" not in info]
    name = f"clips-{shard:06}.tar"
    if clips:
        with written_whole(folder / name) as part, tarfile.open(part, "w") as tar:
            for path in clips:
                with tarfile.open(path) as source:
                    for entry in source:
                        tar.addfile(entry, source.extractfile(entry))
    lines = [info if "skipped" in info else {**info, "shard": name} for info in infos]
    append_lines(folder, lines)
    for path in paths:
        path.unlink()
    return lines


def append_lines(folder: Path, lines: Iterable[dict]) -> None:
    """Add lines to the manifest, and wait until they are on the disk."""
    with open(folder / MANIFEST, "ab") as manifest:
        manifest.write(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
        manifest.flush()
        os.fsync(manifest.fileno())


# ---- reading ------------------------------------------------------------------------------------


class PreparedClips(Dataset):
    """The clips of a folder in the order of their keys; each is a dict of tensors, see unpack.

    infos: what each clip says of itself.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        clips = [entry for entry in read_state(folder).entries if "shard" in entry]
        self.infos = sorted(clips, key=lambda info: info["key"])
        self.members: dict[str, dict[str, tuple[int, int]]] = {}  # of the shards read so far: offset and size

    def __len__(self) -> int:
        return len(self.infos)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        info = self.infos[index]
        shard, prefix = self.folder / info["shard"], f"{info['key']}."
        places = self.members.get(shard.name)
        with reading(shard, f"a shard with clip {quote(info['key'])}", AGAIN):
            if places is None:
                with tarfile.open(shard, "r:") as tar:
                    places = self.members[shard.name] = {
                        entry.name: (entry.offset_data, entry.size) for entry in list_entries(tar)
                        if entry.isreg() and not entry.issparse()}
            with open(shard, "rb") as content:
                return unpack({name.removeprefix(prefix): read_at(content, *place) for name, place in places.items()
                               if name.startswith(prefix)})


def read_at(content, offset: int, size: int) -> bytes:
    content.seek(offset)
    return content.read(size)


def open_dataset(folder: str | Path) -> PreparedClips:
    """The prepared clips of a folder. Raises ValueError where there is none."""
    clips = PreparedClips(Path(folder))
    if not len(clips):
        raise ValueError(f"{folder}: does not contain prepared clips; make some with ex4d prepare VIDEOS --out "
                         f"{folder}")
    return clips
