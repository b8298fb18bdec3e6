"""Video-Depth-Anything: depth of a clip in windows of 32 frames. Chen et al., arXiv 2501.12375."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from ..clip import Progress, resize_frame, size_of
from .checkpoints import load_strictly, read_checkpoint
from .dinov2 import PATCH, DinoV2
from .estimate import Estimate, Place, Work
from .rules import RESOLUTION
from .temporal_head import TemporalHead
from .windows import fit_scale_shift, ramp

WINDOW, OVERLAP = 32, 10  # frames; the model was trained for 32
KEYS = (0, 12, *range(24, 32))  # frames of a window that the next one sees again, in place of its first 10
ALIGNED = 2  # the first of these fix its scale and shift, the others are blended
LONGEST = 1280  # pixels; longer clips are shrunk to it before all else, as released
WIDEST = 1.777  # sides; wider pictures are shown at a smaller resolution, as released: 1.78 and more
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet
TAPS = {24: (4, 11, 17, 23)}  # blocks whose tokens are used; else the last of every quarter
BACKBONE_FRAMES = 4  # worked on at once


class VideoDepthAnything(nn.Module):
    """The network, of a size read from its weights. metric: depth in metres, else relative disparity."""

    def __init__(self, width: int, depth: int, places: int, channels: Sequence[int], features: int,
                 frames: int = WINDOW, metric: bool = False) -> None:
        super().__init__()
        self.taps = TAPS.get(depth, tuple(depth * k // 4 - 1 for k in (1, 2, 3, 4)))
        self.metric = metric
        self.pretrained = DinoV2(width, depth, places)
        self.head = TemporalHead(width, channels, features, frames)

    def look(self, pictures: Tensor) -> list[Tensor]:
        """The backbone's tokens of four depths [N, h w, C], of normalised pictures [N, 3, 14 h, 14 w]."""
        return self.pretrained(pictures.to(self.pretrained.cls_token.dtype), self.taps)

    @torch.no_grad()
    def estimate(self, frames: Tensor, place: Place, resolution: int = RESOLUTION,
                 progress: Progress | None = None) -> Estimate:
        """Relative disparity, or depth, of frames [T, H, W, 3] in [0, 1]; resolution: pixels of the shorter side.

        The backbone sees every frame once. progress(done, T) is called after every few frames; what it raises cancels.
        """
        count, size = len(frames), size_of(frames)
        windows = window_frames(count)
        work = Work(progress, count, count + len(windows) * WINDOW)
        device = place(self)
        values = torch.empty(len(windows) * (WINDOW - OVERLAP) + OVERLAP, *size)
        stitcher = Stitcher(values, self.metric)
        tokens: dict[int, Sequence[Tensor]] = {}
        shown = released_size(size)
        shape = network_size(shown, resolution)
        for window in windows:
            tokens = {t: tokens[t] for t in window if t in tokens}
            unseen = sorted(set(window) - set(tokens))
            for k in range(0, len(unseen), BACKBONE_FRAMES):
                part = unseen[k:k + BACKBONE_FRAMES]
                pictures = torch.stack([prepare(resize_frame(frames[t], shown), shape) for t in part]).to(device)
                tokens.update(zip(part, zip(*(level.split(1) for level in self.look(pictures)))))
                work.add(len(part))
            levels = [torch.cat([tokens[t][k] for t in window]) for k in range(len(self.taps))]
            found = self.head(levels, (shape[0] // PATCH, shape[1] // PATCH))
            stitcher.add(enlarge(found, size))
            work.add(WINDOW)
        return Estimate(values[:count], "depth" if self.metric else "disparity", self.metric)


def window_frames(count: int) -> list[list[int]]:
    """The frames that each window of a clip shows, one window for every 22 begun, its last frame held to fill them."""
    windows = [list(range(WINDOW))]
    while len(windows) * (WINDOW - OVERLAP) < count:
        begin = windows[-1][-1] + 1
        windows.append([*(windows[-1][k] for k in KEYS), *range(begin, begin + WINDOW - OVERLAP)])
    return [[min(t, count - 1) for t in window] for window in windows]


class Stitcher:
    """Brings window after window to the first one's scale and shift and blends them into values [T, H, W]."""

    def __init__(self, values: Tensor, metric: bool) -> None:
        self.values, self.metric, self.done = values, metric, 0
        self.anchors: list[Tensor] = []

    def add(self, window: Tensor) -> None:
        """Take over the next window [32, H, W]."""
        if self.done == 0:
            self.anchors = [window[k].clone() for k in KEYS[:ALIGNED]]
            self.append(window)
            return
        if not self.metric:
            scale, shift = fit_scale_shift(window[:ALIGNED], torch.stack(self.anchors))
            window = (window * scale + shift).clamp(min=0)
        shared = self.values[self.done - (OVERLAP - ALIGNED):self.done]
        weight = ramp(len(shared), shared)
        shared.copy_(shared * (1 - weight) + window[ALIGNED:OVERLAP] * weight)
        self.anchors[1:] = [window[k].clone() for k in KEYS[1:ALIGNED]]
        self.append(window[OVERLAP:])

    def append(self, window: Tensor) -> None:
        self.values[self.done:self.done + len(window)] = window
        self.done += len(window)


def released_size(size: tuple[int, int]) -> tuple[int, int]:
    """The size (H, W) to which pictures are shrunk before the network's own resizing: even sides, 1280 at most."""
    if max(size) <= LONGEST:
        return size
    scale = LONGEST / max(size)
    height, width = (round(side * scale) for side in size)
    return max(height + height % 2, 2), max(width + width % 2, 2)


def network_size(size: tuple[int, int], resolution: int) -> tuple[int, int]:
    """The multiples of 14 (H, W) at which the network sees pictures of a size, the shorter about the resolution."""
    ratio = max(size) / min(size)
    if ratio > 1.78:
        resolution = round(int(resolution * WIDEST / ratio) / PATCH) * PATCH
    scale = resolution / min(size)
    least = max(resolution, PATCH)
    lengths = [max(round(side * scale / PATCH), 1) * PATCH for side in size]
    height, width = (length if length >= least else -(-least // PATCH) * PATCH for length in lengths)
    return height, width


def prepare(frame: Tensor, shape: tuple[int, int]) -> Tensor:
    """A frame [H, W, 3] in [0, 1] as the network sees it, [3, h, w]."""
    resized = interpolate(frame.float().cpu().movedim(-1, 0)[None], shape, mode="bicubic")[0]  # as OpenCV's INTER_CUBIC
    return (resized - torch.tensor(MEAN)[:, None, None]) / torch.tensor(DEVIATION)[:, None, None]


def enlarge(values: Tensor, size: tuple[int, int]) -> Tensor:
    """Values [T, h, w] at the size of the frames, on the CPU; resampled frame by frame."""
    resized = [interpolate(value[None, None], size, mode="bilinear", align_corners=True)[0].cpu() for value in values]
    return torch.cat(resized)


def load_video_depth_anything(path: str | Path, dtype: torch.dtype = torch.float32,
                              metric: bool | None = None) -> VideoDepthAnything:
    """The network in a public weights file (.pth or .safetensors), of whatever size.

    metric: whether it was trained for metres, which the weights do not tell; None: where "metric" is a word of its
    name. Raises ValueError in one sentence where the file is damaged or holds another model.
    """
    path = Path(path)
    weights = read_checkpoint(path)
    metric = "metric" in re.split("[^a-z0-9]+", path.stem.lower()) if metric is None else metric
    try:
        width, places = weights["pretrained.cls_token"].shape[-1], weights["pretrained.pos_embed"].shape[1]
        depth = 1 + max(int(key.split(".")[2]) for key in weights if key.startswith("pretrained.blocks."))
        channels = tuple(weights[f"head.projects.{k}.weight"].shape[0] for k in range(4))
        features = weights["head.scratch.output_conv1.weight"].shape[1]
        encoding = "head.motion_modules.0.temporal_transformer.transformer_blocks.0.attention_blocks.0.pos_encoder.pe"
        frames = weights[encoding].shape[1]
    except KeyError as error:
        raise ValueError(f"{path}: is not a Video-Depth-Anything model (it lacks {error.args[0]}); choose another "
                         "file") from None
    with torch.device("meta"):
        model = VideoDepthAnything(width, depth, places, channels, features, frames, metric)
    load_strictly(path, model, weights)
    model.to(dtype).head.scratch["output_conv2"].float()  # the last layers run in full precision, as released
    return model.eval()
