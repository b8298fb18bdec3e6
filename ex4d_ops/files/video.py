"""Clips from video files and images, and back: lossless FFV1, H.264 previews, PNG folders."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from io import BytesIO
from itertools import chain, islice
from pathlib import Path
from queue import Full, Queue
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from ..clip import Clip
from .footage import PICTURE_SUFFIXES, Footage, frame_span, resampled, stack_pictures
from .whole import written_whole

Codec = Literal["ffv1", "h264", "png"]
CODECS: dict[str, Codec] = {".mkv": "ffv1", ".mp4": "h264", ".mov": "h264", "": "png"}  # by suffix; none is a folder
# x264: no visible loss. To look ahead, and frames between two others, take 100 MB and a quarter of the time; and what
# is made of a look ahead, mbtree, differs from run to run.
PREVIEW = {"crf": "17", "preset": "veryfast", "rc-lookahead": "0", "bf": "0"}
BT709 = 1  # AVCOL_SPC_BT709, and likewise for primaries and transfer
MPEG_RANGE = 1  # AVCOL_RANGE_MPEG
WAITING_FRAMES = 1  # of each video that is being written
log = logging.getLogger(__name__)
ENDED, STOPPED = object(), object()  # in place of a frame


def read_video(path: str | Path, start: int = 0, frames: int | None = None,
               size: tuple[int, int] | None = None) -> Clip:
    """Read a video file, an animation, a folder of images in natural order, or one image.

    frames: the most to read, from `start` on. size: (H, W) to resample to. A variable frame rate becomes constant by
    the timestamps, rotation is applied, alpha is laid over black; images without a rate get 15 fps. A damaged file is
    refused, unless the damage lies behind the frames asked for. Raises ValueError in one sentence.
    """
    path = Path(path)
    footage = open_footage(path, frame_span(path, start, frames))
    pictures = footage.pictures if size is None else resample_each(footage.pictures, size)
    return Clip(stack_pictures(path, pictures, footage.length), footage.fps)


def resample_each(pictures: Iterable[np.ndarray], size: tuple[int, int]) -> Iterator[np.ndarray]:
    """Pictures resampled to size (H, W), those that are shown for longer once."""
    last = shown = np.empty(0)  # none yet
    for picture in pictures:
        if picture is not last:
            last, shown = picture, resampled(picture, size)
        yield shown


def open_footage(path: Path, span: slice, gray: bool = False) -> Footage:
    """Start reading a video file, animation, folder of images or image; only the pictures of span are to come.

    Raises ValueError, now or while its pictures are taken, where the file is not such a thing, damaged or cut short.
    """
    if path.is_dir() or path.suffix.lower() in PICTURE_SUFFIXES:
        from .pictures import open_pictures

        footage = open_pictures(path, gray)
    else:
        from .decode import open_video

        footage = open_video(path, gray, span.stop)
    length = len(range(footage.length)[span])
    pictures = tell_sizes(path, islice(footage.pictures, span.start, span.stop))
    return replace(footage, pictures=pictures, length=length)


def tell_sizes(path: Path, pictures: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """Pictures as they come. Logs one line where they change their size, for whoever resamples each of them."""
    last, said = None, False
    for count, picture in enumerate(pictures):
        if last is not None and picture.shape != last and not said:
            log.warning("%s: its pictures are not of one size: picture %d from the start is %dx%d, those before it "
                        "%dx%d", path, count, *picture.shape[1::-1], *last[1::-1])
            said = True
        last = picture.shape
        yield picture


def write_video(path: str | Path, frames: Iterable[Tensor], fps: float, codec: Codec | None = None) -> None:
    """Write frames as they come: float [H, W, 3] or [H, W] in [0, 1], bool [H, W] (True is white), or whole numbers.

    codec: "ffv1" is lossless, the bytes are round(255 x), uint16 stays 16-bit gray; "h264" a preview, the last row
    and column doubled where the size is odd; "png" a folder of images. None: by the suffix .mkv, .mp4 or none. The
    file appears under its name only when whole. Raises ValueError, or OSError where the disk is full or the folder
    not writable.
    """
    path = Path(path)
    codec = codec or CODECS.get(path.suffix.lower())
    if codec is None:
        raise ValueError(f"{path}: is not a video file name; use .mkv (lossless), .mp4 (preview) or a folder (PNG)")
    pictures = (quantized(frame) for frame in frames)
    first = next(pictures, None)
    if first is None:
        raise ValueError(f"{path}: there are no frames to write; give it at least one")
    with written_whole(path) as part:
        if codec == "png":
            write_pngs(part, chain([first], pictures))
        else:
            encode(part, chain([first], pictures), fps, codec)


def write_videos(looks: Mapping[Path, Callable[[Any], Tensor]], moments: Iterable[object], fps: float) -> None:
    """Write several videos side by side, each in a thread of its own, as write_video does one.

    moments: what they show, one after the other, as they come; looks: what a video shows of one. What any of them or
    a writer raises stops all, leaves no file, and reaches the caller.
    """
    queues = [Queue(WAITING_FRAMES) for _ in looks]
    with ThreadPoolExecutor(max(1, len(looks))) as pool:
        writers = [pool.submit(write_video, path, map(look, take_all(queue)), fps)
                   for (path, look), queue in zip(looks.items(), queues)]
        try:
            for moment in moments:
                for queue, writer in zip(queues, writers):
                    hand_over(queue, writer, moment)
        except BaseException:
            for queue, writer in zip(queues, writers):
                hand_over(queue, writer, STOPPED, said=True)
            raise
        for queue, writer in zip(queues, writers):
            hand_over(queue, writer, ENDED)
        for writer in writers:
            writer.result()


def hand_over(queue: Queue, writer: Future, moment: object, said: bool = False) -> None:
    """Put what comes next into the queue of a writer. Raises what the writer has ended with, unless that was said."""
    while not writer.done():
        try:
            return queue.put(moment, timeout=0.1)
        except Full:
            continue
    if not said:
        writer.result()


def take_all(queue: Queue) -> Iterator[object]:
    """All of a queue until it ends. Raises Stopped where it is not to end well."""
    while (moment := queue.get()) is not ENDED:
        if moment is STOPPED:
            raise Stopped
        yield moment


class Stopped(Exception):
    """No more frames come, and those that came are not to be kept."""


def quantized(frame: Tensor) -> np.ndarray:
    """A frame's numbers as they are stored: round(255 x) of floats, 0 or 255 of bools, whole numbers as they are."""
    if frame.dtype == torch.bool:
        return frame.cpu().numpy().astype(np.uint8) * np.uint8(255)
    if frame.dtype.is_floating_point:
        return frame.clamp(0, 1).mul_(255).round_().to(torch.uint8).cpu().numpy()
    return frame.cpu().numpy()


def write_pngs(folder: Path, pictures: Iterator[np.ndarray]) -> None:
    """Write pictures as 000000.png, 000001.png ... into a new folder."""
    from PIL import Image

    folder.mkdir()
    for index, picture in enumerate(pictures):
        Image.fromarray(picture).save(folder / f"{index:06d}.png")


def pack_video(frames: Iterable[Tensor], fps: float) -> bytes:
    """What write_video puts into a lossless .mkv of these frames; no file is written."""
    packed = BytesIO()
    encode(packed, map(quantized, frames), fps, "ffv1")
    return packed.getvalue()


def encode(target: Path | BytesIO, pictures: Iterator[np.ndarray], fps: float, codec: Codec) -> None:
    """Encode pictures into a file whose suffix names the container, or as Matroska into memory."""
    import av

    first = next(pictures)
    make_frame, options = {"ffv1": (lossless_frame, {"level": "3", "slicecrc": "1"}),
                           "h264": (preview_frame, PREVIEW)}[codec]
    place, container = (target, "matroska") if isinstance(target, BytesIO) else (str(target.absolute()), None)
    with av.open(place, "w", container) as container:
        stream = container.add_stream({"ffv1": "ffv1", "h264": "libx264"}[codec], as_fraction(fps), options)
        frame = make_frame(first)
        stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, frame.format.name
        context = stream.codec_context
        if codec == "h264":
            context.colorspace = context.color_primaries = context.color_trc = BT709
            context.color_range = MPEG_RANGE
        for picture in chain([first], pictures):
            container.mux(stream.encode(make_frame(picture)))
        container.mux(stream.encode(None))


def as_fraction(fps: float) -> Fraction:
    """A frame rate as the fraction it stands for, such as 30000/1001."""
    return Fraction(fps).limit_denominator(1001)


def lossless_frame(picture: np.ndarray):
    """A frame that FFV1 stores bit for bit: bgr0, gray or gray16le."""
    import av

    if picture.ndim == 2:
        return av.VideoFrame.from_ndarray(picture, "gray" if picture.dtype == np.uint8 else "gray16le")
    return av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format="bgr0")


def preview_frame(picture: np.ndarray):
    """A frame as players expect it: yuv420p of even size, BT.709, black at 16."""
    import av

    if picture.ndim == 2:
        picture = np.repeat(picture[..., None], 3, axis=2)
    height, width = picture.shape[:2]
    even = np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    frame = av.VideoFrame.from_ndarray(even, "rgb24")
    return frame.reformat(format="yuv420p", dst_colorspace=BT709, dst_color_range=MPEG_RANGE)
