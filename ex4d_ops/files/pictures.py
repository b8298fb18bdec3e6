"""Folders of images, single images and animations through Pillow."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, ImageSequence
from torch import Tensor

from .damage import first_line, reading
from .deep_pictures import DeepPicture, check_colors, read_deep, read_portable
from .footage import (
    PICTURE_SUFFIXES,
    UNTIMED_FPS,
    CutShort,
    Footage,
    at_rate,
    estimate_rate,
    gray_of,
    most_pixels,
    over_black,
)
from .whole import written_whole

ANIMATIONS = {"GIF", "PNG", "WEBP"}  # a JPEG's further pictures are its thumbnails, a TIFF's its pages
UNSTATED_DURATION = 0.1  # seconds; what browsers show a GIF frame of duration 0 for
WHITES = {"I": 65535.0, "I;16": 65535.0, "I;16B": 65535.0, "F": 1.0}  # by Pillow mode; all others are 8-bit

log = logging.getLogger(__name__)


def open_pictures(path: Path, gray: bool) -> Footage:
    """Start reading a folder of images, an image or an animation: see open_footage."""
    files = list_pictures(path, PICTURE_SUFFIXES) if path.is_dir() else [path]
    convert = codes_of if gray else color_of
    first = read_picture(files[0])
    white = white_of(first) if gray else 1.0
    times, fps = picture_times(path)
    if len(times) < 2:
        stills = (read_picture(file, white if gray else None) for file in files)
        return Footage(map(convert, files, stills), UNTIMED_FPS, white, len(files))
    pictures = ((seconds, convert(path, frame)) for seconds, frame in animation_frames(path))
    return Footage(at_rate(path, pictures, fps), fps, white, round(times[-1] * fps) + 1)


def read_picture(path: Path, white: float | None = None) -> Image.Image | DeepPicture:
    """Read an image as it is to be shown, upright, with every bit it has.

    Raises ValueError where it is none, damaged, or its white is another number than the one given.
    """
    picture = read_portable(path) or read_by_pillow(path)
    if white not in (None, white_of(picture)):
        raise ValueError(f"{path}: its numbers go up to {white_of(picture):g}, but those of the first picture to "
                         f"{white:g}; save all in the same kind")
    return picture


def read_by_pillow(path: Path) -> Image.Image | DeepPicture:
    with reading(path, "an image", "save it as PNG, or depth in floats as EXR"):
        image = Image.open(path)
    with reading(path, "an image"):
        check_pixels(path, image)
        upright = ImageOps.exif_transpose(image)
        upright.load()
        upright.format = image.format
        return read_deep(path, image, upright) or upright


def white_of(picture: Image.Image | DeepPicture) -> float:
    """The number that stands for white."""
    return picture.white if isinstance(picture, DeepPicture) else WHITES.get(picture.mode, 255.0)


def check_pixels(path: Path, image: Image.Image) -> None:
    """Raise ValueError, before anything is decoded, where an image claims more pixels than its file may have."""
    most = most_pixels(path)
    if image.width * image.height > most:
        raise ValueError(f"it is {image.width}x{image.height}, but at most {most} pixels are read from a file of its "
                         "size")


def tell_pages(path: Path, image: Image.Image) -> None:
    """Log where a TIFF has more pages of the size of the first, which alone is read; others are its thumbnails."""
    if image.format != "TIFF" or (pages := getattr(image, "n_frames", 1)) < 2:
        return
    size = image.size
    image.seek(1)
    if image.size == size:
        log.warning("%s: has %d pages, and only the first is read; save them as a folder of pictures", path, pages)
    image.seek(0)


def animation_frames(path: Path) -> Iterator[tuple[float, Image.Image]]:
    """The pictures of an animation and when each appears, in seconds. Raises CutShort at a damaged one."""
    seconds = 0.0
    try:
        with Image.open(path) as image:
            for page in ImageSequence.Iterator(image):
                check_pixels(path, page)  # each: a GIF's later pictures can claim more than its first
                yield seconds, page.copy()
                seconds += page.info.get("duration", 0) / 1000 or UNSTATED_DURATION
    except Exception as error:  # as in `reading`
        raise CutShort(f"damaged or cut short ({first_line(error)})") from error


def picture_times(path: Path) -> tuple[list[float], float]:
    """When the pictures of an animation appear, in seconds, none where it is none; and the rate it is read at."""
    if path.is_dir() or read_portable(path) is not None:
        return [], UNTIMED_FPS
    with reading(path, "an image"), Image.open(path) as image:
        moves = image.format in ANIMATIONS
        tell_pages(path, image)
    times = animation_times(path) if moves else []
    return times, estimate_rate(times, None) or UNTIMED_FPS


def animation_times(path: Path) -> list[float]:
    """When the pictures of an animation appear, as far as it can be read."""
    times = []
    try:
        for seconds, _ in animation_frames(path):
            times.append(seconds)
    except CutShort:
        pass  # reading the pictures themselves stops there too, and says so
    return times


def color_of(path: Path, image: Image.Image | DeepPicture) -> np.ndarray:
    """An image as RGB [H, W, 3] float32 in [0, 1], alpha over black."""
    if isinstance(image, DeepPicture):
        return image.color(path)
    if image.mode in WHITES:
        gray = np.asarray(image, np.float32) / WHITES[image.mode]
        check_colors(path, gray)
        return np.repeat(gray.clip(0, 1)[..., None], 3, axis=2)
    transparent = "A" in image.getbands() or "transparency" in image.info
    return over_black(np.asarray(image.convert("RGBA" if transparent else "RGB")))


def codes_of(path: Path, image: Image.Image | DeepPicture) -> np.ndarray:
    """The numbers of a gray image, [H, W] float32. Raises ValueError where it is colored."""
    if isinstance(image, DeepPicture):
        return image.gray(path)
    if image.mode in WHITES or image.mode == "L":
        return np.asarray(image, np.float32)
    return gray_of(path, np.asarray(image.convert("RGB")))


def list_pictures(folder: Path, suffixes: set[str]) -> list[Path]:
    """The files of a folder with these suffixes, 2 before 10. Raises ValueError where there is none."""
    files = [file for file in folder.iterdir() if file.suffix.lower() in suffixes and not file.name.startswith(".")]
    if not files:
        raise ValueError(f"{folder}: does not contain {', '.join(sorted(suffixes))} files")
    return sorted(files, key=natural_order)


def natural_order(file: Path) -> list:
    """A sort key under which numbers within a name count as numbers."""
    parts = re.split(r"(\d+)", file.name.lower())
    return [(0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts]


def write_picture(path: Path, picture: Tensor) -> None:
    """Write a picture [H, W, 3] as PNG: float in [0, 1], or uint8. Raises OSError where it cannot be written."""
    with written_whole(path) as part:
        as_image(picture).save(part, format="PNG")


def as_image(picture: Tensor) -> Image.Image:
    """Pillow's image of a picture [H, W, 3], float in [0, 1], or uint8."""
    stored = picture if picture.dtype == torch.uint8 else (picture * 255).round().byte()
    return Image.fromarray(stored.cpu().numpy())
