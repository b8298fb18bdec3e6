"""Pictures of more than 8 bits a channel, with the numbers they hold: PNG, TIFF, PGM, PPM and PFM."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ..opencv import need_opencv
from .damage import reading
from .footage import COLOR_SPREAD, MAX_PIXELS

ALPHA = (2, 4)  # numbers of channels of which the last is alpha
BITS_PER_SAMPLE = 258  # TIFF's tag
PORTABLE = re.compile(rb"(P[2356Ff])\s(?:\s|#[^\n]*\n)*(\d{1,9})\s(?:\s|#[^\n]*\n)*(\d{1,9})\s(?:\s|#[^\n]*\n)*"
                      rb"([-+.\deE]{1,20})\s")  # kind, width, height, white (of floats: the byte order)
RADIANCE = (b"#?RADIANCE", b"#?RGBE")


@dataclass(frozen=True, eq=False)
class DeepPicture:
    """The numbers of a picture, as they are stored.

    numbers: [H, W, 1..4], gray or RGB, the last of 2 or 4 channels alpha; white: the number that stands for white.
    """

    numbers: np.ndarray
    white: float

    @property
    def colors(self) -> np.ndarray:
        """RGB, or gray, [H, W, 1 or 3], without alpha."""
        return self.numbers[..., :-1] if self.numbers.shape[2] in ALPHA else self.numbers

    def gray(self, path: Path) -> np.ndarray:
        """The numbers [H, W] float32 of a gray picture, whatever its alpha. Raises ValueError where it is in color."""
        colors = self.colors.astype(np.float32)
        known = np.nan_to_num(colors, nan=0.0, posinf=0.0, neginf=0.0)
        if np.ptp(known, axis=2).max() > COLOR_SPREAD * np.abs(known).max():
            raise ValueError(f"{path}: is in color, and depth cannot be read from a color map; use a gray picture")
        return colors[..., colors.shape[2] // 2]

    def color(self, path: Path) -> np.ndarray:
        """RGB [H, W, 3] float32 in [0, 1], alpha over black. Raises ValueError where the numbers are not colors."""
        scaled = self.numbers.astype(np.float32) / np.float32(self.white)
        check_colors(path, scaled)
        colors = scaled[..., :-1] * scaled[..., -1:] if scaled.shape[2] in ALPHA else scaled
        return np.repeat(colors, 3 // colors.shape[2], axis=2).clip(0, 1)


def check_colors(path: Path, scaled: np.ndarray) -> None:
    """Raise ValueError where numbers that should be colors in [0, 1] are far from it, or are not numbers."""
    if not (np.isfinite(scaled).all() and -COLOR_SPREAD <= scaled.min() and scaled.max() <= 1 + COLOR_SPREAD):
        raise ValueError(f"{path}: its numbers are {scaled.min():g} to {scaled.max():g}, but colors are 0 to 1 (in "
                         "whole numbers up to the largest); it may contain depth or light instead of a picture")


def read_portable(path: Path) -> DeepPicture | None:
    """Read a PGM, PPM or PFM; None where it is none, or one of 8 bits. Raises ValueError where it is damaged."""
    with reading(path, "an image"), open(path, "rb") as file:
        head = file.read(2**12)
        if head.startswith(RADIANCE):
            raise ValueError("Radiance pictures have only 8 bits a color; save it as EXR or PNG of 16 bits")
        match = PORTABLE.match(head)
        if not match or match[1] not in (b"PF", b"Pf") and float(match[4]) == 255:
            return None
        kind, width, height, white = match[1], int(match[2]), int(match[3]), float(match[4])
        if not 1 <= width * height <= MAX_PIXELS:
            raise ValueError(f"it is {width}x{height}, but only 1 to {MAX_PIXELS} pixels are read")
        channels = 3 if kind in (b"P3", b"P6", b"PF") else 1
        count = width * height * channels
        is_float = kind in (b"PF", b"Pf")
        size = 4 if is_float else 1 if white < 256 else 2
        file.seek(end_of_header(match.end(), head, path.stat().st_size, size * count))
        if is_float:
            numbers = np.frombuffer(file.read(size * count), "<f4" if white < 0 else ">f4", count)
            rows = numbers.reshape(height, width, channels)[::-1]  # from the bottom up
            return DeepPicture(rows.astype(np.float32), 1.0)
        if not 1 <= white <= 65535 or white % 1:
            raise ValueError(f"its white is {white:g}, must be 1 to 65535")
        if kind in (b"P2", b"P3"):
            numbers = np.array(file.read().split()[:count], np.uint16)
        else:
            numbers = np.frombuffer(file.read(size * count), f">u{size}", count)
        return DeepPicture(numbers.reshape(height, width, channels), white)


def end_of_header(end: int, head: bytes, file_size: int, numbers_size: int) -> int:
    """Where the numbers begin after a header that ends here: one byte later where it was written on Windows."""
    return end + (head[end - 1:end + 1] == b"\r\n" and file_size - end == numbers_size + 1)


def read_deep(path: Path, image: Image.Image, upright: Image.Image) -> DeepPicture | None:
    """The numbers of a PNG or TIFF where Pillow would keep only 8 bits a channel; None where it keeps all.

    image: as opened by Pillow; upright: what it has decoded, with which the numbers must agree. Raises ValueError where
    they cannot be had.
    """
    if not is_deep(path, image):
        return None
    cv2 = need_opencv()
    if getattr(image, "is_animated", False):
        raise ValueError("it moves and has more than 8 bits a color; save its frames as a folder of PNG")
    numbers = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if numbers is None or numbers.dtype != np.uint16 or numbers.ndim != 3:
        raise ValueError("it has more than 8 bits a color in an unknown form; save it as a PNG of 16 bits")
    numbers = np.asarray(numbers, np.uint16)[..., [2, 1, 0, 3][:numbers.shape[2]]]  # OpenCV's order is blue, green, red
    shown = np.asarray(upright.convert("RGBA" if numbers.shape[2] == 4 else "RGB"), np.int16)
    if shown.shape != numbers.shape or np.abs(shown - (numbers >> 8).astype(np.int16)).max() > 1:
        raise ValueError("it has more than 8 bits a color and is turned, or of an unusual kind; save it upright as PNG")
    return DeepPicture(numbers, 65535.0)


def is_deep(path: Path, image: Image.Image) -> bool:
    """Whether a picture that Pillow reads as one of several channels of 8 bits has more."""
    from PIL import TiffImagePlugin

    if len(image.getbands()) == 1:
        return False
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return max(image.tag_v2.get(BITS_PER_SAMPLE, (8,))) > 8
    if image.format == "PNG":
        with open(path, "rb") as file:
            return file.read(25)[24:] == b"\x10"  # bits a channel, in the first chunk
    return False
