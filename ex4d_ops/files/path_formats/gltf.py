"""Cameras of a glTF scene, as Blender and other 3D programs export them: .glb, or .gltf with its data."""

from __future__ import annotations

import base64
import binascii
import json
import logging
import struct
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import torch
from torch import Tensor

from ...camera import CameraPath, flip_yz_of_rigid, focal_from_view, invert_rigid, rigid
from ...rotation import quaternion_of, rotate_between, rotation_of
from ..damage import quote
from ..parsing import list_names, number_array, read_json
from .request import Request, make_path, shared_lens
from .transforms import number_in

log = logging.getLogger(__name__)
MAGIC, JSON_CHUNK, DATA_CHUNK = b"glTF", 0x4E4F534A, 0x004E4942  # glTF 2.0, 4.4 Binary glTF layout
WIDTHS = {"SCALAR": 1, "VEC3": 3, "VEC4": 4}
FLOAT = 5126  # component type; the specification lets a camera's places and exporters' rotations be nothing else
LARGEST_DATA = 2**32  # bytes
DEEPEST = 1000  # nodes above one another


@dataclass(frozen=True)
class Track:
    """How one property of a node runs: times [K] in seconds, values [K, C], or [K, 3, C] with tangents around them."""

    times: Tensor
    values: Tensor
    interpolation: str

    def at(self, seconds: Tensor) -> Tensor:
        """Values [T, C] at these times [T], held before the first and after the last."""
        seconds = seconds.clamp(self.times[0], self.times[-1])
        left = (torch.searchsorted(self.times, seconds, right=True) - 1).clamp(0, max(len(self.times) - 2, 0))
        right = (left + 1).clamp(max=len(self.times) - 1)
        span = (self.times[right] - self.times[left])[:, None]
        u = ((seconds - self.times[left])[:, None] / span.clamp(min=1e-9)).clamp(0, 1)
        if self.interpolation == "CUBICSPLINE":
            start, rise = self.values[left, 1], self.values[left, 2]
            end, fall = self.values[right, 1], self.values[right, 0]
            return (start * (1 + 2 * u) * (1 - u) ** 2 + span * rise * u * (1 - u) ** 2
                    + end * u * u * (3 - 2 * u) + span * fall * u * u * (u - 1))
        start, end = self.values[left], self.values[right]
        if self.interpolation == "STEP":
            return torch.where(u < 1, start, end)
        if start.shape[1] == 4:
            return quaternion_between(start, end, u)
        return torch.lerp(start, end, u)


def read_gltf(path: Path, request: Request) -> CameraPath:
    """The camera of a glTF scene along its animation: y up, z back; a frame for every key, or as many as asked for.

    Its lens belongs to a picture of its own shape (aspectRatio), which covers the new one.
    """
    scene, data = read_scene(path)
    node = choose_camera(scene, request.camera)
    chain = chain_of(scene, node)
    tracks = tracks_of(scene, data, path, chain)
    seconds = frame_times(tracks, request.frames)
    world_from_cam = torch.eye(4, dtype=torch.float64).expand(len(seconds), 4, 4)
    for above in chain:  # from the root down to the camera
        world_from_cam = world_from_cam @ place_node(entry(scene, "nodes", above), tracks.get(above, {}), seconds)
    world_from_cam = without_scale(world_from_cam)
    size = request.needed_size()
    return make_path(invert_rigid(flip_yz_of_rigid(world_from_cam)), camera_lens(scene, node, size), size)


def read_scene(path: Path) -> tuple[dict, bytes]:
    """The JSON of a scene and the data that a .glb carries beside it."""
    content = path.read_bytes() if path.suffix.lower() == ".glb" else b""
    if content[:4] != MAGIC:
        scene, data = read_json(path), b""
    else:
        chunks, at = {}, 12
        while at + 8 <= len(content):
            length, kind = struct.unpack_from("<II", content, at)
            chunks.setdefault(kind, content[at + 8:at + 8 + length])
            at += 8 + length
        try:
            scene, data = json.loads(chunks.get(JSON_CHUNK, b"").decode()), chunks.get(DATA_CHUNK, b"")
        except (ValueError, RecursionError):
            raise ValueError("is a damaged glb file; export it again") from None
    if not isinstance(scene, dict) or not isinstance(scene.get("asset"), dict):
        raise ValueError("is not a glTF scene")
    return scene, data


def list_of(holder: dict, field: str) -> list:
    """A list of the scene, empty where there is none."""
    entries = holder.get(field)
    return entries if isinstance(entries, list) else []


def entry(holder: dict, field: str, index: object) -> dict:
    """One object of a list of the scene, or ValueError."""
    entries = list_of(holder, field)
    if type(index) is not int or not 0 <= index < len(entries) or not isinstance(entries[index], dict):
        raise ValueError(f"the scene has no {field} {quote(index)}; export it again")
    return entries[index]


def offset(holder: dict, field: str) -> int:
    """A count or a place in the data, 0 where there is none."""
    value = number_in(holder, field, 0.0)
    if not 0 <= value <= LARGEST_DATA:
        raise ValueError(f"{field} is {value:g}, must be 0..{LARGEST_DATA}")
    return int(value)


def choose_camera(scene: dict, name: str | None) -> int:
    """The node that carries the camera asked for, or the only one."""
    named: dict[str, int] = {}
    for index, node in enumerate(list_of(scene, "nodes")):
        if isinstance(node, dict) and "camera" in node:
            called = str(node.get("name", f"node{index}"))
            named[called if called not in named else f"{called} (node{index})"] = index
    if not named:
        raise ValueError("the scene does not contain a camera; export it with its cameras")
    name = name or (next(iter(named)) if len(named) == 1 else None)
    if name not in named:
        raise ValueError(f"does not contain a camera {quote(name, '')}; choose one of {list_names(named)}" if name else
                         f"contains the cameras {list_names(named)}; give the name of one")
    return named[name]


def chain_of(scene: dict, node: int) -> list[int]:
    """The nodes from the root down to this one."""
    parents = {child: index for index, above in enumerate(list_of(scene, "nodes")) if isinstance(above, dict)
               for child in list_of(above, "children") if isinstance(child, int)}
    chain = [node]
    while chain[0] in parents:
        chain.insert(0, parents[chain[0]])
        if len(chain) > DEEPEST:
            raise ValueError("the scene's nodes contain one another in a circle; export it again")
    return chain


def tracks_of(scene: dict, data: bytes, path: Path, chain: list[int]) -> dict[int, dict[str, Track]]:
    """How the nodes of a chain run in the first animation that moves one of them; logs where another does too."""
    first: dict[int, dict[str, Track]] = {}
    for index in range(len(list_of(scene, "animations"))):
        animation, tracks = entry(scene, "animations", index), {}
        for channel in range(len(list_of(animation, "channels"))):
            moved = entry(animation, "channels", channel)
            target = moved.get("target")
            if (isinstance(target, dict) and target.get("node") in chain
                    and target.get("path") in ("translation", "rotation", "scale")):
                sampler = entry(animation, "samplers", moved.get("sampler"))
                tracks.setdefault(target["node"], {})[target["path"]] = read_track(scene, data, path.parent, sampler)
        if tracks and first:
            log.warning("%s: the camera moves in more than one animation, and only the first is read; merge them into "
                        "one before the export", path)
            break
        first = first or tracks
    return first


def read_track(scene: dict, data: bytes, folder: Path, sampler: dict) -> Track:
    times = read_accessor(scene, data, folder, sampler.get("input"))[:, 0]
    values = read_accessor(scene, data, folder, sampler.get("output"))
    kind = sampler.get("interpolation", "LINEAR")
    if kind not in ("LINEAR", "STEP", "CUBICSPLINE"):
        raise ValueError(f"interpolation {quote(kind)} is not known; export sampled animation")
    if kind == "CUBICSPLINE" and len(values) == 3 * len(times):
        values = values.unflatten(0, (-1, 3))
    if not len(times) or len(values) != len(times) or (times.diff() <= 0).any() or not torch.isfinite(times).all():
        raise ValueError("an animation's times and values don't agree; export it again")
    return Track(times, values, kind)


def read_accessor(scene: dict, data: bytes, folder: Path, index: object) -> Tensor:
    """The numbers [N, C] of an accessor, as doubles."""
    accessor = entry(scene, "accessors", index)
    view = entry(scene, "bufferViews", accessor.get("bufferView"))
    width, kind = WIDTHS.get(str(accessor.get("type"))), accessor.get("componentType")
    if width is None or kind != FLOAT or "sparse" in accessor:
        raise ValueError("an animation's numbers are not plain floats; export it without compression")
    content = buffer_of(scene, data, folder, view.get("buffer", 0))
    count, start = offset(accessor, "count"), offset(view, "byteOffset") + offset(accessor, "byteOffset")
    if "byteStride" in view or start + 4 * width * count > len(content):
        raise ValueError("an animation's numbers reach past the data; export it again")
    numbers = np.frombuffer(content, "<f4", width * count, start).reshape(count, width)
    return number_array("an animation's data", numbers, (None, width))


def buffer_of(scene: dict, data: bytes, folder: Path, index: object) -> bytes:
    """The bytes of a buffer: in the .glb, in the JSON, or in a file beside it."""
    address = entry(scene, "buffers", index).get("uri")
    if address is None:
        return data
    if isinstance(address, str) and address.startswith("data:"):
        try:
            return base64.b64decode(address.partition(",")[2], validate=True)
        except binascii.Error:
            raise ValueError("a buffer's data is damaged; export it again") from None
    for name in (address, unquote(address)) if isinstance(address, str) else ():  # most exporters write my%20scene.bin
        beside = folder / name.partition("\0")[0]
        if beside.name == name and beside.resolve().parent == folder.resolve() and beside.is_file():
            return beside.read_bytes()
    raise ValueError(f"refers to the file {quote(address)}, which is not in its folder; export it as .glb")


def frame_times(tracks: dict[int, dict[str, Track]], frames: int | None) -> Tensor:
    """The moments [T] of the frames: so many at even steps, else every moment that has a key."""
    times = [track.times for moved in tracks.values() for track in moved.values()]
    if not times:
        return torch.zeros(frames or 1, dtype=torch.float64)
    every = torch.cat(times).unique()
    return every if frames is None else torch.linspace(every[0], every[-1], frames, dtype=torch.float64)


def place_node(node: dict, tracks: dict[str, Track], seconds: Tensor) -> Tensor:
    """parent_from_node [T, 4, 4] at these moments [T]."""
    if "matrix" in node and not tracks:  # glTF writes matrices column by column
        return number_array("matrix", node["matrix"], (16,)).reshape(4, 4).mT.expand(len(seconds), 4, 4)
    still = {"translation": (0, 0, 0), "rotation": (0, 0, 0, 1), "scale": (1, 1, 1)}
    place, turn, scale = (
        tracks[name].at(seconds) if name in tracks else
        number_array(name, node.get(name, usual), (len(usual),)).expand(len(seconds), len(usual))
        for name, usual in still.items())
    if turn.shape[-1] != 4 or place.shape[-1] != 3 or scale.shape[-1] != 3:
        raise ValueError("an animation's values have the wrong width; export it again")
    return rigid(rotation_of(turn[:, [3, 0, 1, 2]]) * scale[:, None, :], place)


def quaternion_between(start: Tensor, end: Tensor, weight: Tensor) -> Tensor:
    """Quaternions [T, 4] as (x, y, z, w) at weight [T, 1] of the shortest arc from one to the other."""
    wxyz = quaternion_of(rotate_between(rotation_of(start[:, [3, 0, 1, 2]]), rotation_of(end[:, [3, 0, 1, 2]]),
                                        weight[:, 0]))
    return wxyz[:, [1, 2, 3, 0]]


def without_scale(matrices: Tensor) -> Tensor:
    """Matrices [T, 4, 4] with the same scale along every axis taken out of them."""
    scale = torch.linalg.det(matrices[:, :3, :3]).abs() ** (1 / 3)
    return rigid(matrices[:, :3, :3] / scale[:, None, None].clamp(min=1e-9), matrices[:, :3, 3])


def camera_lens(scene: dict, node: int, size: tuple[int, int]) -> Tensor:
    """Intrinsics [3, 3] of a node's camera at this size."""
    camera = entry(scene, "cameras", entry(scene, "nodes", node)["camera"])
    lens = camera.get("perspective")
    if not isinstance(lens, dict):
        raise ValueError("the camera is orthographic; make it a perspective camera")
    view, shape = number_in(lens, "yfov"), number_in(lens, "aspectRatio", size[1] / size[0])
    if not 0 < view < np.pi or not 1e-3 < shape < 1e3:
        raise ValueError(f"yfov is {view:g} and aspectRatio {shape:g}; the first must be above 0 and below pi, radians")
    focal = focal_from_view(view, 1.0)  # as a share of the height
    return shared_lens(torch.tensor([[focal / shape, focal, 0.5, 0.5]], dtype=torch.float64), (1.0, shape), size)[0]
