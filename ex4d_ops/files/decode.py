"""Video files through PyAV."""

from __future__ import annotations

import logging
import re
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import av.error
import av.filter
import numpy as np

from .colors import codes_of, color_of, doubt_transfer, gray_white
from .footage import UNTIMED_FPS, CutShort, Footage, at_rate, estimate_rate, most_pixels, squared

TEXT_FORMATS = {"tty", "lavfi", "concat"}  # FFmpeg draws or follows text files; they are no video here
MATROSKA_DURATION = re.compile(r"(\d+):(\d+):(\d+(?:\.\d*)?)")  # such as 00:00:02.040000000
REORDERED = 100  # packets; more than a decoder holds back, so that the times of those before are whole
ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}  # FFmpeg's own leave the alpha of webm out
HEIF_BRANDS = {"heic", "heix", "heim", "heis", "hevc", "hevx", "mif1", "msf1", "avif", "avis"}  # of phones' photos
HEIF_HEAD = 2**16  # bytes; what describes the pictures stands before them
WIDEST_PIXEL = 4  # times as wide as high, or high as wide; what a file states beyond that is damage

log = logging.getLogger(__name__)


def open_video(path: Path, gray: bool, limit: int | None) -> Footage:
    """Start decoding a video file: see open_footage. Its timestamps are read first, its frames as they are taken."""
    with opened(path) as (container, stream):
        times, rate, fps = read_times(container, stream, limit)
        context, aspect = stream.codec_context, pixel_aspect(path, stream)
        white = gray_white(context) if gray else 1.0
        transfer, primaries = context.color_trc, context.color_primaries
    length = round((times[-1] - times[0]) * fps) + 1 if rate else len(times)
    frames = timed_frames(path, fps, timed=rate is not None)
    if gray:
        pictures = ((seconds, frame, codes_of(path, frame)) for seconds, frame in frames)
    else:
        doubt_transfer(path, transfer)
        pictures = ((seconds, frame, color_of(path, frame, transfer, primaries))
                    for seconds, frame in deinterlaced(path, frames))
    shown = ((seconds, frame, squared(picture, aspect, gray)) for seconds, frame, picture in pictures)
    return Footage(at_rate(path, upright(shown), fps), fps, white, length)


def frame_times(path: Path, limit: int | None) -> tuple[list[float], float]:
    """When the frames of a video file appear: see clip_times."""
    with opened(path) as (container, stream):
        times, rate, fps = read_times(container, stream, limit)
    return times if rate else [], fps


def read_times(container, stream, limit: int | None) -> tuple[list[float], float | None, float]:
    """When frames appear, sorted, in seconds, for the pictures asked for; their rate, if any; the rate to read at."""
    stated = float(stream.average_rate or stream.guessed_rate or 0) or None
    packets = (packet for packet in container.demux(stream) if packet.size and not packet.is_discard)
    times = [packet.pts for packet in islice(packets, limit and 2 * limit + REORDERED)]
    times = sorted(float(pts * stream.time_base) for pts in times if pts is not None)
    rate = estimate_rate(times, stated)
    return times, rate, rate or stated or UNTIMED_FPS


@contextmanager
def opened(path: Path) -> Iterator[tuple]:
    """Open a file's first video stream that is not a cover picture. Raises ValueError where there is none."""
    try:
        with open_container(path) as container:
            streams = [s for s in container.streams.video if not s.disposition & s.disposition.attached_pic]
            if not streams or container.format.name in TEXT_FORMATS or not streams[0].codec_context:
                raise ValueError(f"{path}: does not contain a video")
            if container.metadata.get("major_brand") in HEIF_BRANDS and (len(streams) > 1 or is_cropped(path)):
                raise ValueError(f"{path}: is a HEIF picture of several parts (tiles, transparency, an animation, a "
                                 "crop), which are not put together; save it as PNG, or an animation as a video")
            context, most = streams[0].codec_context, most_pixels(path)
            if context.width * context.height > most:
                raise ValueError(f"{path}: is {context.width}x{context.height}, but at most {most} pixels are read "
                                 "from a file of its size")
            context.options = {"max_pixels": str(most)}  # given to av.open, PyAV before 17 crashes over FLV
            streams[0].thread_type = "AUTO"
            yield container, streams[0]
    except av.error.FFmpegError as error:
        raise ValueError(f"{path}: cannot be read as a video ({error.strerror}); check that it is a video and "
                         "complete") from error


def is_cropped(path: Path) -> bool:
    """Whether a HEIF picture shows only a part of what it stores (a box "clap"), which FFmpeg does not cut out."""
    with open(path, "rb") as file:
        return b"clap" in file.read(HEIF_HEAD)


def open_container(path: Path):
    """Open a file whatever its metadata is written in: PyAV before 19 refuses all but UTF-8 unless told."""
    name = str(path.absolute())  # FFmpeg takes what stands before a colon in a relative one for a protocol
    try:
        return av.open(name)
    except UnicodeDecodeError:
        return av.open(name, metadata_errors="replace")


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
    except av.error.FFmpegError as error:
        raise CutShort(f"damaged ({error.strerror})") from error
    if damaged:
        raise CutShort("damaged or cut short")


def choose_decoder(stream: av.VideoStream) -> av.VideoCodecContext:
    """The stream's own decoder, or one that keeps the alpha of a webm."""
    tags = {name.lower(): value for name, value in stream.metadata.items()}
    if tags.get("alpha_mode") == "1" and stream.codec_context.name in ALPHA_DECODERS:
        decoder = av.CodecContext.create(ALPHA_DECODERS[stream.codec_context.name], "r")
        decoder.options = stream.codec_context.options
        return decoder  # pyright: ignore[reportReturnType]  # its codec is one of video
    return stream.codec_context


def stated_end(container, stream) -> float:
    """When the last frame ends, in seconds, by what the file states; 0 where it doesn't say."""
    if stream.duration is not None:
        return float(((stream.start_time or 0) + stream.duration) * stream.time_base)
    if stated := MATROSKA_DURATION.fullmatch(stream.metadata.get("DURATION", "")):
        hours, minutes, seconds = map(float, stated.groups())
        return hours * 3600 + minutes * 60 + seconds
    if container.duration is not None and len(container.streams) == 1:
        return container.duration / av.time_base
    return 0.0


def upright(shown: Iterable[tuple[float, av.VideoFrame, np.ndarray]]) -> Iterator[tuple[float, np.ndarray]]:
    """Pictures as the file says they are to be shown: in quarter turns, mirrored where a camera says so."""
    matrices: dict[int, list[list[int]]] = {}  # by angle, as a frame that was asked for its own is not freed soon
    for seconds, frame, picture in shown:
        if frame.rotation not in matrices:
            matrices[frame.rotation] = display_matrix(frame)
        (a, b), (c, d) = matrices[frame.rotation]
        if abs(b) + abs(c) > abs(a) + abs(d):
            picture, a, d = np.swapaxes(picture, 0, 1), c, b
        yield seconds, picture[::-1 if d < 0 else 1, ::-1 if a < 0 else 1]


def display_matrix(frame: av.VideoFrame) -> list[list[int]]:
    """What takes (x, y) of what is stored, as a row, to that of what is shown; FFmpeg's angle leaves mirrors out."""
    stored = frame.side_data.get("DISPLAYMATRIX")
    return [[1, 0], [0, 1]] if stored is None else np.frombuffer(bytes(stored), "<i4").reshape(3, 3)[:2, :2].tolist()


def pixel_aspect(path: Path, stream: av.VideoStream) -> Fraction:
    """How wide a stored pixel is shown, by its height."""
    aspect = stream.sample_aspect_ratio or Fraction(1)
    if not 1 / WIDEST_PIXEL <= aspect <= WIDEST_PIXEL:
        log.warning("%s: says that its pixels are %s times as wide as high, read as square", path, aspect)
        return Fraction(1)
    if aspect != 1:
        log.warning("%s: its pixels are %.4g times as wide as high, resampled to square ones", path, aspect)
    return aspect


def deinterlaced(path: Path, timed: Iterable[tuple[float, av.VideoFrame]]) -> Iterator[tuple[float, av.VideoFrame]]:
    """Frames and their times, whole pictures in place of two half pictures woven into one."""
    graph, kind, times, damage = None, None, deque(), None
    try:
        for seconds, frame in timed:
            if graph is None and not frame.interlaced_frame:
                yield seconds, frame
                continue
            if graph is None:
                log.warning("%s: interlaced, deinterlaced with FFmpeg's bwdif", path)
                graph, kind = make_deinterlacer(frame), describe(frame)
            if describe(frame) != kind:  # which FFmpeg's filters do not check
                raise CutShort(f"its pictures change from {kind} to {describe(frame)}")
            times.append(seconds)
            graph.push(frame)
            yield from pull_frames(graph, times)
    except CutShort as reason:
        damage = reason
    except av.error.FFmpegError as error:
        raise CutShort(f"cannot be deinterlaced ({error.strerror})") from error
    if graph is not None:
        graph.push(None)
        yield from pull_frames(graph, times)
    if damage is not None:
        raise damage


def describe(frame: av.VideoFrame) -> str:
    """Size and storage of a frame in words."""
    return f"{frame.width}x{frame.height} {frame.format.name}"


def make_deinterlacer(frame: av.VideoFrame) -> av.filter.Graph:
    """A filter graph that gives one whole picture per frame like this one, and lets others pass."""
    graph = av.filter.Graph()
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format,
                              time_base=frame.time_base or Fraction(1, 1000))
    graph.link_nodes(source, graph.add("bwdif", "mode=send_frame:deint=interlaced"), graph.add("buffersink"))
    graph.configure()
    return graph


def pull_frames(graph: av.filter.Graph, times: deque) -> Iterator[tuple[float, av.VideoFrame]]:
    """What a filter graph has ready, with the times of what went in."""
    while True:
        try:
            frame = graph.vpull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return
        yield times.popleft(), frame
