"""The types that flow between nodes, one per dataclass of the library, and how ComfyUI's own are read and written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import comfy.model_management
import torch
from comfy_api.latest import Input, io
from torch import Tensor

from ..ex4d_ops.camera import move_to

Depth = io.Custom("EX4D_DEPTH")  # ex4d_ops.VideoDepth
Mesh = io.Custom("DW_MESH")  # ex4d_ops.DWMesh
Cameras = io.Custom("EX4D_CAMERAS")  # ex4d_ops.CameraPath
PriorLatents = io.Custom("EX4D_PRIOR")  # a Prior as the VAE encodes it, [1, 32, t, H/8, W/8]
DA3Geometry = io.Custom("DA3_GEOMETRY")  # core's
MoGeGeometry = io.Custom("MOGE_GEOMETRY")  # core's
BRIGHTEST = 2.0  # of white; sharpening and resampling overshoot by less, pictures of 0..255 by far more
DARKEST = -0.5  # of white; what is sharpened may fall below, but
MOST_BELOW_BLACK = 0.1  # is the share of its numbers below 0, which pictures of -1..1 have more of
CAMERA_FIELDS = ("cam_from_world", "world_from_cam", "intrinsics", "source_frame")


def read_frames(name: str, images: Tensor) -> Tensor:
    """Frames [T, H, W, 3] float32 in [0, 1] of the IMAGE at input `name`, in memory of their own.

    They come to where ComfyUI keeps what flows, what overshoots a little is cut off. Raises ValueError where they are
    none, not finite, or not of this range.
    """
    check_images(name, images, 3)
    if not images.is_floating_point():
        raise ValueError(f"{name}: contains {images.dtype}, but an IMAGE has float numbers from 0 to 1; convert it "
                         "(uint8: divide it by 255)")
    frames = images[..., :3].to(comfy.model_management.intermediate_device(), torch.float32)
    if not torch.isfinite(frames).all():
        raise ValueError(f"{name}: contains NaN or infinity; check the node that it comes from")
    if (most := float(frames.max())) > BRIGHTEST:
        raise ValueError(f"{name}: contains numbers up to {most:.4g}, but an IMAGE has numbers from 0 to 1; divide it "
                         "by 255, or tone-map it if it is HDR")
    if (least := float(frames.min())) < DARKEST and float((frames < 0).float().mean()) > MOST_BELOW_BLACK:
        raise ValueError(f"{name}: contains numbers from {least:.4g}, but an IMAGE has numbers from 0 to 1; if they "
                         "are from -1 to 1, add 1 and divide by 2")
    return frames.clamp(0, 1)


def check_images(name: str, images: Tensor, channels: int) -> None:
    """Raise ValueError unless images are [T, H, W, C], with so many channels or more, and large enough for a mesh."""
    if images.ndim != 4 or images.shape[-1] < channels or len(images) == 0 or min(images.shape[1:3]) < 2:
        raise ValueError(f"{name}: the shape {list(images.shape)} is not one or more frames [T, H, W, {channels}] of "
                         "at least 2x2 pixels; connect the frames of a clip")


def read_mask(name: str, mask: Tensor) -> Tensor:
    """The MASK at input `name` as truths [T, H, W]; a single one may come without its first axis."""
    mask = mask[None] if mask.ndim == 2 else mask
    if mask.ndim != 3:
        raise ValueError(f"{name}: the shape {list(mask.shape)} is not one mask per frame [T, H, W]; connect a MASK")
    return mask > 0.5


@contextmanager
def blame(name: str) -> Iterator[None]:
    """Let errors begin with the input whose value they are about."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def as_images(frames: Tensor) -> Tensor:
    """The IMAGE of frames [T, H, W, 3], or of one [H, W, 3], where ComfyUI keeps what flows."""
    frames = frames if frames.ndim == 4 else frames[None]
    return frames.to(comfy.model_management.intermediate_device(), comfy.model_management.intermediate_dtype())


def as_mask(values: Tensor) -> Tensor:
    """The MASK of numbers or truths [T, H, W], where ComfyUI keeps what flows."""
    return values.to(comfy.model_management.intermediate_device(), torch.float32)


def as_audio(samples: Tensor, rate: int) -> Input.Audio:
    """The AUDIO of samples [1, channels, n], where ComfyUI keeps what flows, in memory of its own."""
    kept = samples.to(comfy.model_management.intermediate_device(), copy=True)
    return {"waveform": kept, "sample_rate": rate}


def keep(flow):
    """One of the library's dataclasses, where ComfyUI keeps what flows, its cameras in memory of their own.

    The library hands cameras on from argument to result; a node that wrote into its own would change another's.
    """
    moved = move_to(flow, comfy.model_management.intermediate_device())
    return replace(moved, **{name: getattr(moved, name).clone() for name in CAMERA_FIELDS if hasattr(moved, name)})
