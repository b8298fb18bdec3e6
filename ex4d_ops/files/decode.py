"""Video files through PyAV."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import av
import numpy as np

from .footage import MAX_PIXELS, UNTIMED_FPS, CutShort, Footage, at_rate, estimate_rate, gray_of, over_black

TEXT_FORMATS = {"tty", "lavfi", "concat"}  # FFmpeg draws or follows text files; they are no video here
REORDERED = 100  # packets; more than a decoder holds back, so that the times of those before are whole
MPEG_RANGE = 1  # AVCOL_RANGE_MPEG: black and white are not the ends of the scale
CAREFUL = 2 | 0x2000 | 0x40000  # SWS_BILINEAR, _FULL_CHR_H_INT, _ACCURATE_RND: else yuv420p is 1.3 / 255 too dark
PLAIN_GRAY = {"gray", *(f"gray{bits}le" for bits in (9, 10, 12, 14, 16))}
ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}  # FFmpeg's own leave the alpha of webm out


def open_video(path: Path, gray: bool, limit: int | None) -> Footage:
    """Start decoding a video file: see open_footage. Its timestamps are read first, its frames as they are taken."""
    with opened(path) as (container, stream):
        stated = float(stream.average_rate or stream.guessed_rate or 0) or None
        packets = (packet for packet in container.demux(stream) if packet.size and not packet.is_discard)
        times = [packet.pts for packet in islice(packets, limit and 2 * limit + REORDERED)]
        times = sorted(float(pts * stream.time_base) for pts in times if pts is not None)
        white = gray_white(stream) if gray else 1.0
    rate = estimate_rate(times, stated)
    fps = rate or stated or UNTIMED_FPS
    length = round((times[-1] - times[0]) * fps) + 1 if rate else len(times)
    convert = codes_of if gray else color_of
    frames = at_rate(path, timed_frames(path, fps, timed=rate is not None), fps)
    return Footage((convert(path, frame) for frame in frames), fps, white, length)


@contextmanager
def opened(path: Path) -> Iterator[tuple]:
    """Open a file's first video stream that is no cover picture. Raises ValueError where there is none."""
    try:
        options = {"max_pixels": str(MAX_PIXELS)}
        with av.open(str(path), options=options, metadata_errors="replace") as container:
            streams = [s for s in container.streams.video if not s.disposition & s.disposition.attached_pic]
            if not streams or container.format.name in TEXT_FORMATS or not streams[0].codec_context:
                raise ValueError(f"{path}: holds no video")
            streams[0].thread_type = "AUTO"
            yield container, streams[0]
    except av.FFmpegError as error:
        raise ValueError(f"{path}: cannot be read as a video ({error.strerror}); is it whole, and a video?") from error


def timed_frames(path: Path, fps: float, timed: bool) -> Iterator[tuple[float, av.VideoFrame]]:
    """Frames and their times in seconds, in the order shown. Raises CutShort at the first damaged one."""
    with opened(path) as (container, stream):
        end, count = 0.0, 0
        for frame in sound_frames(container, stream):
            seconds = float(frame.pts * stream.time_base) if timed and frame.pts is not None else count / fps
            yield seconds, frame
            end, count = seconds + max(float((frame.duration or 0) * stream.time_base), 1 / fps), count + 1
        if count == 0 or timed and end + 1.5 / fps < stated_end(container, stream):
            raise CutShort("cut short")


def sound_frames(container, stream) -> Iterator[av.VideoFrame]:
    """Frames up to the end, or to the first packet or frame that is damaged: then CutShort."""
    decoder, damaged = choose_decoder(stream), False
    try:
        for packet in container.demux(stream):
            damaged = packet.is_corrupt
            for frame in decoder.decode(None if damaged or not packet.size else packet):
                if frame.is_corrupt:
                    raise CutShort("damaged")
                yield frame
            if damaged:
                break
    except av.FFmpegError as error:
        raise CutShort(f"damaged ({error.strerror})") from error
    if damaged:
        raise CutShort("damaged or cut short")


def choose_decoder(stream) -> av.CodecContext:
    """The stream's own decoder, or one that keeps the alpha of a webm."""
    tags = {name.lower(): value for name, value in stream.metadata.items()}
    if tags.get("alpha_mode") == "1" and stream.codec_context.name in ALPHA_DECODERS:
        return av.CodecContext.create(ALPHA_DECODERS[stream.codec_context.name], "r")
    return stream.codec_context


def stated_end(container, stream) -> float:
    """When the last frame ends, in seconds, by what the file states; 0 where it doesn't say."""
    if stream.duration is not None:
        return float(((stream.start_time or 0) + stream.duration) * stream.time_base)
    if "DURATION" in stream.metadata:  # Matroska, such as 00:00:02.040000000
        hours, minutes, seconds = stream.metadata["DURATION"].split(":")
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    if container.duration is not None and len(container.streams) == 1:
        return container.duration / av.time_base
    return 0.0


def color_of(path: Path, frame: av.VideoFrame) -> np.ndarray:
    """A frame upright as RGB [H, W, 3] float32 in [0, 1], alpha over black."""
    alpha = frame.format.has_palette or any(component.is_alpha for component in frame.format.components)
    deep = max(component.bits for component in frame.format.components) > 8
    name = {(False, False): "rgb24", (False, True): "rgba", (True, False): "rgb48le", (True, True): "rgba64le"}
    return over_black(upright(frame.to_ndarray(format=name[deep, alpha], interpolation=CAREFUL), frame))


def codes_of(path: Path, frame: av.VideoFrame) -> np.ndarray:
    """The numbers of a gray frame upright, [H, W] float32, 0..gray_white. Raises ValueError where it is coloured."""
    if is_plain_gray(frame.format.name, frame.color_range):
        return upright(frame.to_ndarray(), frame).astype(np.float32)
    rgb = frame.to_ndarray(format="rgb48le", interpolation=CAREFUL)
    return upright(gray_of(path, rgb), frame)


def gray_white(stream) -> float:
    """The largest number codes_of can yield."""
    context = stream.codec_context
    known = context.format  # None in damaged files, of which PyAV 17's context.pix_fmt crashes
    if known and is_plain_gray(known.name, context.color_range):
        return 2.0 ** known.components[0].bits - 1
    return 65535.0


def is_plain_gray(pixel_format: str, color_range: int) -> bool:
    """Whether the one plane of such frames holds the numbers themselves, black at 0."""
    return pixel_format in PLAIN_GRAY and color_range != MPEG_RANGE


def upright(picture: np.ndarray, frame: av.VideoFrame) -> np.ndarray:
    """Turn a picture as the file says it is to be shown, in quarter turns."""
    return np.rot90(picture, round(frame.rotation / 90))
