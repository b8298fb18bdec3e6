"""COLMAP's models, text or binary, alone or in a project's folder."""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import torch

from ...camera import CameraPath, rigid
from ...rotation import quaternion_of, rotation_of
from ..damage import quote
from ..parsing import are_numbers, list_names, natural_order, number_row, read_lines
from ..path_settings import MODEL_FILES
from .request import Request, Size, make_path, pinhole, pinhole_row, text_file, whole_size

log = logging.getLogger(__name__)
MOST_POINTS = 2**40  # of one image; what a damaged file claims beyond is past its end anyway
# Within a project's folder: COLMAP's own, nerfstudio's, 3D Gaussian Splatting's.
MODEL_PLACES = ("", "sparse/0", "sparse", "colmap/sparse/0", "dense/sparse", "0", "dense/0/sparse", "colmap/sparse",
                "distorted/sparse/0")
# COLMAP's src/colmap/sensor/models.h: the numbers of a lens by the model's place in the list, which is its id.
MODELS = {"SIMPLE_PINHOLE": 3, "PINHOLE": 4, "SIMPLE_RADIAL": 4, "RADIAL": 5, "OPENCV": 8, "OPENCV_FISHEYE": 8,
          "FULL_OPENCV": 12, "FOV": 5, "SIMPLE_RADIAL_FISHEYE": 4, "RADIAL_FISHEYE": 5, "THIN_PRISM_FISHEYE": 12,
          "RAD_TAN_THIN_PRISM_FISHEYE": 16, "SIMPLE_DIVISION": 4, "DIVISION": 5, "SIMPLE_FISHEYE": 3, "FISHEYE": 4,
          "EUCM": 6, "EQUIRECTANGULAR": 2}
# Those that are pinholes where their distortion is 0, and how many focal lengths stand before the centre.
FOCALS = {"SIMPLE_PINHOLE": 1, "PINHOLE": 2, "SIMPLE_RADIAL": 1, "RADIAL": 1, "OPENCV": 2, "FULL_OPENCV": 2,
          "SIMPLE_DIVISION": 1, "DIVISION": 2}


@dataclass(frozen=True)
class Lens:
    """A camera of a model as stored: its kind, its picture, its numbers."""

    model: str
    size: Size
    numbers: list[float]

    def pinhole(self) -> list[float]:
        """(fx, fy, cx, cy), or ValueError where the lens distorts."""
        if self.model not in FOCALS:
            raise ValueError(f"camera model {quote(self.model, '')} is not a pinhole; undistort first (colmap "
                             "image_undistorter)")
        focals = FOCALS[self.model]
        if any(self.numbers[focals + 2:]):
            raise ValueError(f"camera model {self.model} is not a pinhole, because its distortion is not 0; undistort "
                             "first (colmap image_undistorter)")
        return [self.numbers[0], *self.numbers[focals - 1:focals + 2]]


@dataclass(frozen=True)
class Image:
    """An image of a model as stored. pose: quaternion (w, x, y, z) and translation of cam_from_world."""

    name: str
    lens: str
    pose: list[float]


def read_colmap(path: Path, request: Request) -> CameraPath:
    """A COLMAP model, frames in the order of their names. Its axes, directions and pixel centres are ours.

    Lenses must be pinholes: of a pinhole model, or of another with a distortion of 0. Cameras without an image don't
    count.
    """
    path.stat()  # a missing folder is that, and not a file beside a model
    folder = find_model(path if path.is_dir() else path.parent)
    if path.suffix != ".bin" and ((folder / "images.txt").exists() or not (folder / "images.bin").exists()):
        lenses = dict(text_lens(line) for line in read_lines(folder / "cameras.txt"))
        images = [text_image(line) for line in read_lines(folder / "images.txt") if is_image(line)]
    else:
        with open(folder / "cameras.bin", "rb") as file:
            lenses = dict(binary_lenses(file))
        with open(folder / "images.bin", "rb") as file:
            images = list(binary_images(file))
    if not images:
        raise ValueError("the model does not contain an image")
    images.sort(key=lambda image: natural_order(image.name))
    missing = {image.lens for image in images} - set(lenses)
    if missing:
        raise ValueError(f"the model lacks camera {quote(min(missing), '')}")
    sizes = {lenses[image.lens].size for image in images}
    if len(sizes) > 1:
        raise ValueError(f"has pictures of {len(sizes)} sizes; resize them to one")
    poses = torch.tensor([image.pose for image in images], dtype=torch.float64)
    if (poses[:, :4].norm(dim=-1) < 1e-6).any():
        raise ValueError("an image has a quaternion of length 0")
    lens = torch.tensor([lenses[image.lens].pinhole() for image in images], dtype=torch.float64)
    return make_path(rigid(rotation_of(poses[:, :4]), poses[:, 4:]), pinhole(*lens.unbind(-1)), sizes.pop())


def find_model(folder: Path) -> Path:
    """The folder with the model: the one given, or where COLMAP puts it within a project's."""
    for place in MODEL_PLACES:
        model = folder / place
        if model.is_dir() and MODEL_FILES & {file.name for file in model.iterdir()}:
            others = sorted(other.name for other in model.parent.iterdir()
                            if place.endswith("/0") and other.is_dir() and other != model)
            if others:
                log.warning("%s: reads the model in %s; there are others beside it: %s", folder, place,
                            list_names(others))
            return model
    raise ValueError("cannot be read as a COLMAP model: neither it nor a sparse/0 in it has cameras.txt and "
                     "images.txt, or cameras.bin and images.bin")


def text_lens(line: str) -> tuple[str, Lens]:
    """Identity and lens of a line of cameras.txt."""
    words = line.split()
    model = words[1] if len(words) > 1 else line
    if len(words) < 4 or model not in MODELS:
        raise ValueError(f"camera model {quote(model, '')} is not a pinhole; undistort first (colmap "
                         "image_undistorter)")
    layout = f"CAMERA_ID {model} WIDTH HEIGHT PARAMS"
    width, height, *numbers = number_row(" ".join(words[2:]), (2 + MODELS[model],), layout)
    return words[0], Lens(model, whole_size([height, width]), numbers)


def is_image(line: str) -> bool:
    """Whether a line of images.txt names an image; the others list its points, three numbers each."""
    words = line.split()
    return len(words) >= 10 and (len(words) % 3 != 0 or not are_numbers(words))


def text_image(line: str) -> Image:
    words = line.split(maxsplit=9)
    layout = "IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME"
    return Image(words[9], words[8], number_row(" ".join(words[1:8]), (7,), layout))


def binary_lenses(file: BinaryIO) -> Iterable[tuple[str, Lens]]:
    """Identity and lens of every camera of cameras.bin: count, then id, model, width, height and the lens's numbers."""
    names = list(MODELS)
    for _ in range(unpack(file, "Q")[0]):
        identity, model, width, height = unpack(file, "IiQQ")
        if not 0 <= model < len(names):
            raise ValueError(f"camera model {model} is not known; convert the model to text (colmap model_converter)")
        numbers = list(unpack(file, f"{MODELS[names[model]]}d"))
        yield str(identity), Lens(names[model], whole_size([height, width]), numbers)


def binary_images(file: BinaryIO) -> Iterable[Image]:
    """Every image of images.bin: count, then id, pose, camera, a name that ends with 0, its points of 24 bytes each."""
    for _ in range(unpack(file, "Q")[0]):
        _, *pose, lens = unpack(file, "I7dI")
        name = bytearray()
        while (letter := file.read(1)) not in (b"\0", b""):
            name += letter
        yield Image(name.decode("utf-8", "replace"), str(lens), pose)
        points = unpack(file, "Q")[0]
        file.seek(24 * min(points, MOST_POINTS), 1)


def unpack(file: BinaryIO, layout: str) -> tuple:
    """The next numbers of a binary model, little-endian, or ValueError where it ends before."""
    layout = f"<{layout}"
    try:
        return struct.unpack(layout, file.read(struct.calcsize(layout)))
    except struct.error:
        raise ValueError("the binary model is damaged or cut short; write it again") from None


def write_colmap(cameras: CameraPath) -> dict[str, bytes]:
    """COLMAP's text model, with one camera per lens and no points."""
    height, width = cameras.size
    lenses, numbers = pinhole_row(cameras).unique(dim=0, return_inverse=True)
    camera_lines = [f"{number} PINHOLE {width} {height} {' '.join(map(repr, lens))}"
                    for number, lens in enumerate(lenses.tolist(), 1)]
    quaternions = quaternion_of(cameras.cam_from_world[:, :3, :3])
    poses = torch.cat([quaternions, cameras.cam_from_world[:, :3, 3].double()], 1)
    image_lines = []
    for t, (pose, number) in enumerate(zip(poses.tolist(), numbers.tolist())):
        image_lines += [f"{t + 1} {' '.join(map(repr, pose))} {number + 1} frame_{t:05d}.png", ""]
    return {"cameras.txt": text_file(["# CAMERA_ID, MODEL, WIDTH, HEIGHT, PARAMS[]", *camera_lines]),
            "images.txt": text_file(["# IMAGE_ID, QW, QX, QY, QZ, TX, TY, TZ, CAMERA_ID, NAME, then its points",
                                     *image_lines]),
            "points3D.txt": text_file(["# no points"])}
