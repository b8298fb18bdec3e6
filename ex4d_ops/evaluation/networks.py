"""Networks that look at videos for measures: each loaded from a file that the user brought, nothing is downloaded.

Pictures are resized, cut and scaled as the programs do that the measures come from; docs/evaluation.md names them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from .. import files
from ..clip import fit_frame
from ..estimators.checkpoints import load_part, load_strictly, read_checkpoint
from ..estimators.packages import need
from ..files.damage import reading
from ..files.tensors import read_tensors
from .agreement import LEAST, WHITE
from .weights import ALEXNET, CLIP, EVALUATORS, I3D, INCEPTION, VIDEOMAE

BATCH = 8  # frames looked at together
PIECE = 16  # frames of a piece of video; cd-fvd's sequence_length
CUT_SIDE, SHOWN_SIDE = 256, 224  # pixels: cd-fvd's resolution, and what both of its networks look at
VIDEOMAE_LAYOUT = {"img_size": SHOWN_SIDE, "num_classes": 174, "all_frames": PIECE, "tubelet_size": 2,
                   "use_mean_pooling": True}  # of cd-fvd


@dataclass(frozen=True)
class Sight:
    """What a network is shown: the first frames of a video, cropped to size (H, W).

    reference, visible: what it should show and where that is known, for those that compare; exact: it is known
    everywhere; prompt: what a text says of it.
    """

    video: Path
    frames: int
    size: tuple[int, int]
    reference: Path | None = None
    visible: Path | None = None
    exact: bool = False
    prompt: str = ""


Seen = dict[str, np.ndarray]
See = Callable[[Tensor, Sight], Seen]  # given the frames of the sight's video [T, H, W, 3]


def read_frames(path: Path, sight: Sight) -> Tensor:
    """Frames of a video as they are measured [T, H, W, 3]."""
    clip = files.read_video(path, 0, sight.frames)
    return torch.stack([fit_frame(frame, sight.size, "crop") for frame in clip.frames])


def in_batches(frames: Tensor, look: Callable[[Tensor], Tensor]) -> np.ndarray:
    return torch.cat([look(batch).cpu().float() for batch in frames.split(BATCH)]).numpy()


# ---- frames -------------------------------------------------------------------------------------


def load_inception(folder: Path, device: torch.device) -> See:
    """Inception v3 of FID, by torch-fidelity: 2048 numbers of every frame."""
    inception = need("torch_fidelity.feature_extractor_inceptionv3", "FID", "torch-fidelity")
    path = file_of(folder, INCEPTION)
    read_checkpoint(path)  # torch-fidelity would run what a pickle asks for
    with reading(path, "the Inception of FID", "use the public weights file"):
        network = inception.FeatureExtractorInceptionV3("fid", ["2048"], feature_extractor_weights_path=str(path))
    network.to(device)
    return lambda frames, sight: {"frames": in_batches(
        to_bytes(frames).movedim(-1, 1), lambda batch: network(batch.to(device))[0])}


def load_clip(folder: Path, device: torch.device) -> See:
    """CLIP, by transformers: a direction for every frame and, if there is one, for the prompt."""
    transformers: Any = need("transformers", "CLIP")
    folder = folder / CLIP
    network: Any = load_part(transformers.CLIPModel, folder, torch.float32).requires_grad_(False).to(device)
    with reading(folder, "the folder of a CLIP model", "put all of its files there"):
        prepare = transformers.AutoImageProcessor.from_pretrained(str(folder), local_files_only=True)
        split = transformers.AutoTokenizer.from_pretrained(str(folder), local_files_only=True)

    def direct_frames(batch: Tensor) -> Tensor:
        shown = prepare(images=list(batch.numpy()), return_tensors="pt")["pixel_values"].to(device)
        return unit(network.visual_projection(network.vision_model(pixel_values=shown).pooler_output))

    def see(frames: Tensor, sight: Sight) -> Seen:
        seen = {"frames": in_batches(to_bytes(frames), direct_frames)}
        if sight.prompt:
            words = split([sight.prompt], padding=True, truncation=True, return_tensors="pt").to(device)
            text = network.text_model(input_ids=words["input_ids"], attention_mask=words["attention_mask"])
            seen["prompt"] = unit(network.text_projection(text.pooler_output)).cpu().numpy()
        return seen

    return see


def unit(directions: Tensor) -> Tensor:
    return directions / directions.norm(dim=-1, keepdim=True)


def load_lpips(folder: Path, device: torch.device) -> See:
    """LPIPS with AlexNet, by torchmetrics, which holds what was learned of people: a distance per frame.

    Its own door to it would download AlexNet.
    """
    network: Any = need("torchmetrics.functional.image.lpips", "LPIPS", "torchmetrics")._NoTrainLpips(
        net="alex", pnet_rand=True)
    path = file_of(folder, ALEXNET)
    weights = read_checkpoint(path)
    names = {name: "features." + name.split(".", 1)[1] for name in network.net.state_dict()}
    load_strictly(path, network.net, {name: weights[given] for name, given in names.items() if given in weights})
    network.to(device)

    def compare(shown: Tensor, wanted: Tensor, spatial: bool) -> Tensor:
        network.spatial = spatial
        first, second = (2 * frames.movedim(-1, 1).to(device) - 1 for frames in (shown, wanted))
        return network(first, second).cpu()[:, 0]

    def see(frames: Tensor, sight: Sight) -> Seen:
        assert sight.reference is not None and sight.visible is not None
        wanted, seen = read_frames(sight.reference, sight), read_frames(sight.visible, sight)[..., :1] > 0.5
        inside, whole = [], []
        for shown, should, known in zip(*(each.split(BATCH) for each in (frames, wanted, seen))):
            apart = compare(shown * known, should * known, True)  # what is painted must not leak in
            share = known[..., 0].float().mean((1, 2))
            mean = (apart * known[..., 0]).mean((1, 2)) / share
            inside += mean.masked_fill(share < LEAST, torch.nan).tolist()
            whole += compare(shown, should, False).flatten().tolist() if sight.exact else []
        return {"lpips": np.array(inside)} | ({"exact_lpips": np.array(whole)} if sight.exact else {})

    return see


# ---- pieces of video ----------------------------------------------------------------------------


def load_i3d(folder: Path, device: torch.device) -> See:
    """I3D of FVD, by cd-fvd: the 400 logits of every piece."""
    network = need("cdfvd.third_party.i3d.pytorch_i3d", "FVD", "cd-fvd").InceptionI3d(400, in_channels=3)
    path = file_of(folder, I3D)
    load_strictly(path, network, read_checkpoint(path))
    network.eval().requires_grad_(False).to(device)
    return lambda frames, sight: {"pieces": look_at_pieces(
        frames, 400, lambda piece: network(2 * show_piece(piece, WHITE).to(device) / WHITE - 1))}


def load_videomae(folder: Path, device: torch.device) -> See:
    """VideoMAE v2 of FVD, by cd-fvd: what its last layer tells of every piece."""
    videomae = need("cdfvd.third_party.VideoMAEv2.videomaev2_finetune", "FVD", "cd-fvd")
    path = file_of(folder, VIDEOMAE)
    weights = read_tensors(path)
    weights = weights.get("model", weights.get("module", weights))
    network = videomae.vit_giant_patch14_224(**VIDEOMAE_LAYOUT)
    load_strictly(path, network, {name: value.float() for name, value in weights.items()})
    network.eval().requires_grad_(False).to(device)
    return lambda frames, sight: {"pieces": look_at_pieces(
        frames, network.embed_dim, lambda piece: network.forward_features(show_piece(piece, 1.0).to(device)))}


def look_at_pieces(frames: Tensor, numbers: int, look: Callable[[Tensor], Tensor]) -> np.ndarray:
    """What a network tells of every whole piece of frames [T, H, W, 3]: [N, numbers], none where T < PIECE."""
    pieces = [piece for piece in frames.split(PIECE) if len(piece) == PIECE]
    told = [look(cut_piece(piece)).cpu().float() for piece in pieces]
    return torch.cat([torch.empty(0, numbers), *told]).numpy()


def cut_piece(piece: Tensor) -> Tensor:
    """The middle square of a piece [T, H, W, 3] as bytes [T, 3, 256, 256], as cd-fvd reads videos."""
    height, width = piece.shape[1:3]
    scale = CUT_SIDE / min(height, width)
    size = (CUT_SIDE, math.ceil(width * scale)) if height < width else (math.ceil(height * scale), CUT_SIDE)
    small = interpolate(piece.movedim(-1, 1), size, mode="bilinear", align_corners=False, antialias=True)
    top, left = ((side - CUT_SIDE) // 2 for side in size)
    return (small[..., top : top + CUT_SIDE, left : left + CUT_SIDE] * WHITE).byte()


def show_piece(piece: Tensor, white: float) -> Tensor:
    """A piece of bytes [T, 3, H, W] as cd-fvd's networks look at it: [1, 3, T, 224, 224] in [0, white]."""
    shown = interpolate(piece.float() / (WHITE / white), (SHOWN_SIDE, SHOWN_SIDE), mode="bilinear",
                        align_corners=False)
    return shown.movedim(0, 1)[None]


def to_bytes(frames: Tensor) -> Tensor:
    return (WHITE * frames).round().byte()


# ---- all ----------------------------------------------------------------------------------------


def file_of(folder: Path, name: str) -> Path:
    """Where the only file of public weights lies."""
    return folder / EVALUATORS[name].place


@dataclass(frozen=True)
class Network:
    """title: of the measures that it serves; load: given the folder of weights and a device."""

    title: str
    load: Callable[[Path, torch.device], See]


NETWORKS = {
    INCEPTION: Network("FID and KID", load_inception),
    I3D: Network("FVD by I3D", load_i3d),
    VIDEOMAE: Network("FVD by VideoMAE", load_videomae),
    ALEXNET: Network("LPIPS", load_lpips),
    CLIP: Network("CLIP", load_clip),
}
