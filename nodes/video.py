"""A user's video as the clip to work on: its frames at a size that models take, with its sound in step."""

from __future__ import annotations

from typing import get_args

from comfy_api.latest import Input, InputImpl, io
from torch import Tensor

from ..ex4d_ops.clip import (
    CLIP_SIZES,
    Fit,
    describe_fit,
    fit_frame,
    lost_share,
    nearest_clip_size,
    nearest_wan_lengths,
    size_of,
)
from ..ex4d_ops.parallel import one_by_one
from . import sockets
from .camera import MAX_FRAMES
from .progress import show_progress, warn

LOST = 0.1  # share of a picture more than with another size, from which on that one is suggested


class EX4DClipFromVideo(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="EX4DClipFromVideo",
            display_name="Clip from Video (EX-4D)",
            category="EX-4D/depth",
            description="Takes a part of a video as the clip to work on: its frames, at a size that video models take, "
                        "and the sound of the same moments.",
            search_aliases=["get video components", "trim video", "resize video", "832x480", "crop video", "4k+1"],
            inputs=[
                io.Video.Input("video", tooltip="Video to take the clip from."),
                io.Float.Input("start", default=0.0, min=0.0, max=1e5, step=0.01,
                               tooltip="Time in the video at which the clip starts, as a number of seconds."),
                io.Int.Input("frames", display_name="frames (0: all)", default=49, min=0, max=MAX_FRAMES,
                             tooltip="Largest number of frames to take. 0: all. The clip gets 4k+1 of them (49, 81 "
                                     "...), because Wan needs that. EX-4D was trained on 49."),
                io.DynamicCombo.Input("size", options=[
                    io.DynamicCombo.Option("auto", []),
                    *(io.DynamicCombo.Option(name, []) for name in CLIP_SIZES),
                    io.DynamicCombo.Option("same as the video", []),
                    io.DynamicCombo.Option("custom", [
                        io.Int.Input("width", default=832, min=16, max=8192, step=16,
                                     tooltip="Width of the clip in pixels. Wan needs multiples of 16."),
                        io.Int.Input("height", default=480, min=16, max=8192, step=16,
                                     tooltip="Height of the clip in pixels. Wan needs multiples of 16."),
                    ]),
                ],
                tooltip="Size of the clip in pixels. auto: the one of the next three that cuts off the least. 512x512: "
                        "EX-4D was trained on it. 832x480: for wide videos. 480x832: for tall videos. same as the "
                        "video: does not resize. custom: sets width and height."),
                io.Combo.Input("fit", options=list(get_args(Fit)), default="crop",
                               tooltip="What to do if the size has another aspect ratio than the video; the node says "
                                       "how much is lost. crop: cuts off the sides. stretch: squashes the picture. "
                                       "pad: adds black bars."),
            ],
            outputs=[
                io.Image.Output("images", tooltip="Frames of the clip."),
                io.Audio.Output("audio", tooltip="Sound of the clip. Nothing if the video is silent."),
                io.Float.Output("fps", tooltip="Frames per second."),
            ],
        )

    @classmethod
    def execute(cls, video, start, frames, size, fit: Fit) -> io.NodeOutput:
        images, audio, rate = read_part(video, start, frames)
        wanted = {"same as the video": size_of(images), "auto": nearest_clip_size(size_of(images)),
                  "custom": (size.get("height"), size.get("width"))} | CLIP_SIZES
        shown = fit_clip(images, wanted[size["size"]], fit)
        return io.NodeOutput(sockets.as_images(shown), audio, rate)


def read_part(video: Input.Video, start: float, frames: int) -> tuple[Tensor, Input.Audio | None, float]:
    """Frames [T, H, W, 3] of a part of a video, their sound and rate. frames: at most; 0: all; T is 4k+1."""
    rate, lasts = float(video.get_frame_rate()), video.get_duration() - start
    if lasts <= 0:
        raise ValueError(f"start: the video ends before {start:g} s; use less than {start + lasts:.2f}")
    part = None
    if isinstance(video, InputImpl.VideoFromFile):  # which reads no more than it is asked for
        part = video.as_trimmed(start, min(lasts, (frames + 0.5) / rate) if frames else lasts, strict_duration=False)
    parts, skipped = (part or video).get_components(), 0.0 if part else start
    images = parts.images[round(skipped * rate):]
    if not len(images):
        raise ValueError(f"start: the video does not have a frame after {start:g} s; use a smaller number")
    images = images[:nearest_wan_lengths(min(frames or len(images), len(images)))[0]]
    sound = cut_sound(parts.audio, skipped, len(images) / rate)
    return images if part else images.clone(), sound, rate  # a video in memory keeps its own


def cut_sound(audio: Input.Audio | None, start: float, lasts: float) -> Input.Audio | None:
    """The part of a sound from start on, seconds, in memory of its own; None of none."""
    if audio is None:
        return None
    begin, end = (round(moment * audio["sample_rate"]) for moment in (start, start + lasts))
    return sockets.as_audio(audio["waveform"][..., begin:end], audio["sample_rate"])


def fit_clip(images: Tensor, size: tuple[int, int], fit: Fit) -> Tensor:
    """Frames at size (H, W); says on the node what they lose, and which size would keep more."""
    filmed = size_of(images)
    if loss := describe_fit(filmed, size, fit):
        better = nearest_clip_size(filmed)
        keeps_more = fit == "crop" and lost_share(filmed, better) + LOST < lost_share(filmed, size)
        warn(f"{loss}; {better[1]}x{better[0]} keeps more of it" if keeps_more else loss)
    if filmed == size:
        return images
    shown = images.new_empty(len(images), *size, images.shape[3])
    for place, frame in zip(shown, one_by_one(images, len(images), show_progress())):
        place[:] = fit_frame(frame, size, fit)
    return shown
