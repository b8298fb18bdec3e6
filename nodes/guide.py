"""What is made of a prior before a generator sees it: pictures in place of frames, and another's guide video."""

from __future__ import annotations

from typing import get_args

from comfy_api.latest import io
from comfy_execution.graph_utils import ExecutionBlocker

from ..ex4d_ops.clip import Fit, describe_fit, size_of
from ..ex4d_ops.generators import STYLES, Rate
from ..ex4d_ops.guide import accompany, doubt_first_frame, guide_video
from ..ex4d_ops.prior import Prior, anchor_pictures
from ..ex4d_ops.rules import parse_frame
from . import sockets
from .progress import show_progress, warn
from .video import cut_sound

STYLE_TIP = " ".join(f"{name}: {look.generator[0].upper() + look.generator[1:]}." for name, look in STYLES.items())


class EX4DAnchorFrames(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="EX4DAnchorFrames",
            display_name="Anchor Frames (EX-4D)",
            category="EX-4D/render",
            description="Puts filmed or generated pictures in place of frames of a rendered prior, all of them "
                        "visible, so that a video leads to them.",
            search_aliases=["middle frame", "last frame", "end image", "keyframe images", "reference frame"],
            inputs=[
                io.Image.Input("color", tooltip="Color of the prior, from Render Watertight Mesh. One image per "
                                                "frame."),
                io.Mask.Input("visible", tooltip="Mask of the prior, one per frame. 1 = seen in the source."),
                io.Image.Input("pictures", tooltip="Pictures to put in, one per frame that frames lists."),
                io.String.Input("frames", default="last",
                                tooltip="Frames that the pictures are for, in their order, counted from 0, such as 0, "
                                        "24, last."),
                io.Combo.Input("fit", options=list(get_args(Fit)), default="crop",
                               tooltip="What to do if the pictures have another aspect ratio than the prior. crop: "
                                       "cuts off their sides. stretch: squashes them. pad: adds black bars, which "
                                       "count as not seen."),
            ],
            outputs=[
                io.Image.Output("color", tooltip="Color of the prior with the pictures."),
                io.Mask.Output("visible", tooltip="Mask of the prior. 1 everywhere in the frames of the pictures."),
            ],
        )

    @classmethod
    def execute(cls, color, visible, pictures, frames, fit) -> io.NodeOutput:
        prior = anchor_pictures(read_prior(color, visible), [*sockets.read_frames("pictures", pictures)],
                                read_numbers(frames), fit)
        return io.NodeOutput(sockets.as_images(prior.color), sockets.as_mask(prior.visible))


class EX4DGuideVideo(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="EX4DGuideVideo",
            display_name="Guide Video (EX-4D)",
            category="EX-4D/render",
            description="Converts a rendered prior to the guide video that another generator was trained on: what "
                        "stands in its holes, its mask, length, frame rate and size.",
            search_aliases=["VACE control video", "CrossView", "Meridian", "Uni3C", "LTX IC-LoRA", "MiniMax H3",
                            "magenta holes"],
            inputs=[
                io.Image.Input("color", tooltip="Color of the prior, from Render Watertight Mesh. One image per "
                                                "frame."),
                io.Mask.Input("visible", tooltip="Mask of the prior, one per frame. 1 = seen in the source."),
                io.Float.Input("fps", default=24.0, min=0.1, max=1000.0, step=0.01,
                               tooltip="Frame rate of the prior, in frames per second. Connect it from the node that "
                                       "loads the clip."),
                io.Combo.Input("style", options=list(STYLES), default="vace",
                               tooltip=f"Generator that the guide is for. {STYLE_TIP}"),
                io.Combo.Input("frame_rate", options=list(get_args(Rate)), default="trained",
                               tooltip="Frame rate of the guide. trained: drops or repeats frames to reach the rate "
                                       "that the generator was trained at, if it has one. as given: keeps every "
                                       "frame."),
                io.Int.Input("length", default=0, min=0, max=9999,
                             tooltip="Number of frames of the guide. 0: as many as the prior gives and the generator "
                                     "takes. The last frames are dropped."),
                io.Int.Input("width", default=0, min=0, max=8192,
                             tooltip="Width of the guide, in pixels. 0: the size that the generator was trained at, in "
                                     "the shape of the prior."),
                io.Int.Input("height", default=0, min=0, max=8192,
                             tooltip="Height of the guide, in pixels. 0: as for the width."),
                io.Combo.Input("fit", options=list(get_args(Fit)), default="crop",
                               tooltip="What to do if the prior has another aspect ratio than the guide. crop: cuts "
                                       "off its sides. stretch: squashes it. pad: adds holes at its sides."),
                io.Image.Input("source", optional=True,
                               tooltip="Frames of the source clip, for generators that want them beside the guide. "
                                       "They get its length, frame rate and size."),
                io.Audio.Input("audio", optional=True,
                               tooltip="Sound of the source clip. It is cut where the guide ends."),
            ],
            outputs=[
                io.Image.Output("guide", tooltip="The guide video. Its holes are filled as the style says."),
                io.Mask.Output("paint", tooltip="1 = to be painted, 0 = seen in the source, as VACE and inpainting "
                                                "nodes need it."),
                io.Image.Output("source", tooltip="Frames of the source, as many as the guide has and of its size. "
                                                  "Connect them only if source is connected."),
                io.Audio.Output("audio", tooltip="Sound of the source, as long as the guide. Empty if audio is not "
                                                 "connected."),
                io.Float.Output("fps", tooltip="Frame rate of the guide, in frames per second."),
                io.Int.Output("width", tooltip="Width of the guide, in pixels. Connect it to the node that makes the "
                                               "latent."),
                io.Int.Output("height", tooltip="Height of the guide, in pixels."),
                io.Int.Output("length", tooltip="Number of frames of the guide."),
            ],
        )

    @classmethod
    def execute(cls, color, visible, fps, style, frame_rate, length, width, height, fit, source=None,
                audio=None) -> io.NodeOutput:
        prior = read_prior(color, visible)
        guide = guide_video(prior, style, fps, length, read_size(width, height), frame_rate, fit,
                            show_progress())
        for doubt in (doubt_first_frame(prior, style), describe_fit(size_of(prior.color), guide.size, fit)):
            if doubt:
                warn(doubt)
        frames = ExecutionBlocker("connect the frames of the clip to source of Guide Video") if source is None else \
            sockets.as_images(accompany(guide, sockets.read_frames("source", source), fit, show_progress()))
        return io.NodeOutput(sockets.as_images(guide.color), sockets.as_mask(guide.paint), frames,
                             cut_sound(audio, 0.0, guide.seconds), guide.fps, guide.size[1], guide.size[0], len(guide))


def read_prior(color, visible) -> Prior:
    """The prior of an IMAGE and a MASK. Raises ValueError where they do not belong together."""
    frames, seen = sockets.read_frames("color", color), sockets.read_mask("visible", visible).to("cpu")
    if frames.shape[:3] != seen.shape:
        raise ValueError(f"visible: {len(seen)} frames of {seen.shape[2]}x{seen.shape[1]}, but color has {len(frames)} "
                         f"of {frames.shape[2]}x{frames.shape[1]}; connect both from the same node")
    return Prior(frames, seen.to(frames.device))


def read_numbers(words: str) -> list[int]:
    """The frames that a widget lists."""
    try:
        return [parse_frame(word) for word in words.replace(",", " ").split()]
    except ValueError:
        raise ValueError(f"frames: {words!r} is not a list of frames; write numbers, or last, such as 0, 24, "
                         "last") from None


def read_size(width: int, height: int) -> tuple[int, int] | None:
    """(H, W) of two widgets, None where both are 0."""
    if bool(width) != bool(height):
        raise ValueError(f"width, height: {width}x{height} is not a size; set both, or both to 0")
    return (height, width) if width else None
