"""What decoded video frames show: RGB by their matrix and range, HDR as SDR, or the numbers of gray ones."""

from __future__ import annotations

import logging
from pathlib import Path

import av
import av.error
import numpy as np

from .footage import gray_of, over_black

MPEG_RANGE, JPEG_RANGE = 1, 2  # AVCOL_RANGE_: black and white are not, or are, the ends of the scale
BILINEAR, BICUBIC = 2, 4  # SWS_BILINEAR, SWS_BICUBIC
CAREFUL = 0x2000 | 0x40000  # SWS_FULL_CHR_H_INT, _ACCURATE_RND: else yuv420p is 1.3 / 255 too dark
PLAIN_GRAY = {"gray", *(f"gray{bits}le" for bits in (9, 10, 12, 14, 16))}
BT601, BT709 = 5, 1  # SWS_CS_
MATRICES = {1: BT709, 2: BT601, 3: BT601, 4: 4, 5: BT601, 6: BT601, 7: 7, 9: 9}  # SWS_CS_ by AVCOL_SPC_; 2: not stated
UNSPECIFIED = 2  # AVCOL_TRC_, AVCOL_PRI_
PQ, HLG = 16, 18  # AVCOL_TRC_SMPTE2084, _ARIB_STD_B67
UNLIKE_SRGB = {8: "linear light", 9: "a logarithmic curve", 10: "a logarithmic curve", 17: "a cinema curve"}
SDR_PRIMARIES = 1  # AVCOL_PRI_BT709
HDR_WHITE = 203.0  # cd/m2 that are white in SDR; ITU-R BT.2408
HDR_PEAK = 1000.0  # cd/m2; what HLG is meant to be shown at, and most PQ is made for
KNEE = 0.3  # of white; what is darker keeps its brightness
BT2020_LUMINANCE = np.array([0.2627, 0.6780, 0.0593], np.float32)
BT709_FROM_BT2020 = np.array([[1.660491, -0.587641, -0.072850], [-0.124550, 1.132900, -0.008349],
                              [-0.018151, -0.100579, 1.118730]], np.float32)  # linear light; ITU-R BT.2087

log = logging.getLogger(__name__)


def color_of(path: Path, frame: av.VideoFrame, transfer: int, primaries: int) -> np.ndarray:
    """A frame as RGB [H, W, 3] float32 in [0, 1], alpha over black, HDR tone-mapped to SDR."""
    alpha = frame.format.has_palette or any(component.is_alpha for component in frame.format.components)
    deep = transfer in (PQ, HLG) or max(component.bits for component in frame.format.components) > 8
    name = {(False, False): "rgb24", (False, True): "rgba", (True, False): "rgb48le", (True, True): "rgba64le"}
    picture = as_rgb(path, frame, name[deep, alpha])
    if transfer not in (PQ, HLG):
        return over_black(picture)
    shown = sdr_from_hdr(picture[..., :3], transfer, primaries)
    return shown * (picture[..., 3:] / np.float32(65535)) if alpha else shown


def codes_of(path: Path, frame: av.VideoFrame) -> np.ndarray:
    """The numbers of a gray frame [H, W] float32, 0..gray_white. Raises ValueError where it is colored."""
    if is_plain_gray(frame.format.name, frame.color_range):
        return frame.to_ndarray().astype(np.float32)
    return gray_of(path, as_rgb(path, frame, "rgb48le"))


def gray_white(context: av.VideoCodecContext) -> float:
    """The largest number codes_of can yield."""
    known = context.format  # None in damaged files, of which PyAV 17's context.pix_fmt crashes
    if known and is_plain_gray(known.name, context.color_range):
        return 2.0 ** known.components[0].bits - 1
    return 65535.0


def is_plain_gray(pixel_format: str, color_range: int) -> bool:
    """Whether the one plane of such frames holds the numbers themselves, black at 0."""
    return pixel_format in PLAIN_GRAY and color_range != MPEG_RANGE


def as_rgb(path: Path, frame: av.VideoFrame, name: str) -> np.ndarray:
    """A frame as an array of an RGB or RGBA format. Raises ValueError where its colors are stored in an unknown way.

    Bilinear scaling of chroma to 16 bits is broken in libswscale 9 where it is upright. PyAV before 17 goes by matrix
    and range of a frame only where those it is turned into are others; PyAV 17 refuses frames of some transfer curves.
    """
    pixels, matrix = frame.format, MATRICES.get(frame.colorspace, None if frame.colorspace else BT601)
    if matrix is None and not pixels.is_rgb:
        raise ValueError(f"{path}: its colors are stored with matrix {frame.colorspace} of ITU-T H.273, which cannot "
                         "be read; convert it to BT.709 first")
    chroma = [component for component in pixels.components if component.is_chroma]
    broken = name in ("rgb48le", "rgba64le") and any(component.height < frame.height for component in chroma)
    options = {} if pixels.is_rgb else {
        "src_colorspace": matrix, "dst_colorspace": BT601 if matrix == BT709 else BT709,
        "src_color_range": JPEG_RANGE if is_full(frame) else MPEG_RANGE}
    for tag in ("color_trc", "color_primaries"):
        if hasattr(frame, tag):
            setattr(frame, tag, UNSPECIFIED)
    try:
        return frame.to_ndarray(format=name, interpolation=CAREFUL | (BICUBIC if broken else BILINEAR), **options)
    except (av.error.FFmpegError, ValueError) as error:
        raise ValueError(f"{path}: its pictures are stored as {pixels.name}, which cannot be read; convert them to "
                         "yuv420p first") from error


def is_full(frame: av.VideoFrame) -> bool:
    """Whether black and white of a frame are the ends of the scale; gray that does not say so is full, yuvj always."""
    gray = frame.format.name.startswith(("gray", "ya"))
    return frame.format.name.startswith("yuvj") or frame.color_range == JPEG_RANGE or gray and not frame.color_range


def doubt_transfer(path: Path, transfer: int) -> None:
    """Log how colors that are not made for an SDR screen are read."""
    if transfer in (PQ, HLG):
        log.warning("%s: HDR (%s), tone-mapped to SDR", path, "HLG" if transfer == HLG else "PQ")
    elif transfer in UNLIKE_SRGB:
        log.warning("%s: its transfer curve is %s, read as if it were SDR; convert it to BT.709 for right colors", path,
                    UNLIKE_SRGB[transfer])


def sdr_from_hdr(picture: np.ndarray, transfer: int, primaries: int) -> np.ndarray:
    """HDR [H, W, 3] uint16 as sRGB float32 in [0, 1]: as bright as it was up to the knee, highlights bent below 1.

    ITU-R BT.2100 for the curves, BT.2408 for where SDR's white lies.
    """
    signal = np.linspace(0, 1, 65536)
    light = (pq_light(signal) if transfer == PQ else hlg_scene(signal)).astype(np.float32)[picture]  # [H, W, 3]
    if transfer == HLG:
        light *= HDR_PEAK / HDR_WHITE * (light @ BT2020_LUMINANCE)[..., None] ** 0.2  # the display's own gamma of 1.2
    if primaries != SDR_PRIMARIES:
        light = light @ BT709_FROM_BT2020.T
    light = light.clip(0, HDR_PEAK / HDR_WHITE)
    brightest = light.max(axis=2, keepdims=True)
    light *= bend(brightest) / np.maximum(brightest, 1e-6)
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def pq_light(signal: np.ndarray) -> np.ndarray:
    """Light in units of SDR's white by a PQ signal in [0, 1]; SMPTE ST 2084."""
    root = signal ** (32 / 2523)
    return 10000 / HDR_WHITE * (np.maximum(root - 3424 / 4096, 0) / (2413 / 128 - 2392 / 128 * root)) ** (16384 / 2610)


def hlg_scene(signal: np.ndarray) -> np.ndarray:
    """Light of the scene in [0, 1] by an HLG signal in [0, 1]; ARIB STD-B67."""
    return np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - 0.55991073) / 0.17883277) + 0.28466892) / 12)


def bend(light: np.ndarray) -> np.ndarray:
    """Light with what is above the knee bent so that the peak is 1: a Moebius curve that leaves the knee smoothly."""
    peak = HDR_PEAK / HDR_WHITE
    start = -(KNEE**2) * (peak - 1) / (KNEE**2 - 2 * KNEE + peak)
    stretch = (KNEE**2 - 2 * KNEE * peak + peak) / (peak - 1)
    bent = (stretch + KNEE) ** 2 / (stretch - start) * (light + start) / (light + stretch)
    return np.where(light <= KNEE, light, bent)
