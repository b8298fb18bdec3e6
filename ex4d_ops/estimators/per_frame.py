"""Depth models of transformers that look at each frame alone: Depth Anything, Depth Pro, ZoeDepth, DPT, GLPN ..."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from ..clip import Progress, size_of
from .checkpoints import load_part
from .estimate import Estimate, EstimateKind, Place, Work
from .packages import need

AT_ONCE = 4  # frames
Meaning = tuple[EstimateKind, bool]  # what numbers are, and whether they are metres
DISPARITY: Meaning = ("disparity", False)
METRES: Meaning = ("depth", True)
# What the numbers of each architecture mean; Depth Anything and DPT say it in their configuration.
KINDS = {"glpn": METRES, "zoedepth": METRES, "depth_pro": METRES}


class PerFrame:
    """A depth model of transformers and its image processor. kind, metric: what its numbers mean."""

    def __init__(self, model, processor, kind: EstimateKind, metric: bool) -> None:
        self.model, self.processor, self.metric = model, processor, metric
        self.kind: EstimateKind = kind

    @torch.no_grad()
    def estimate(self, frames: Tensor, place: Place, progress: Progress | None = None) -> Estimate:
        """Relative disparity or depth of frames [T, H, W, 3] in [0, 1], each in a scale of its own.

        progress(done, T) is called after every few frames; what it raises cancels.
        """
        count, size = len(frames), size_of(frames)
        work = Work(progress, count, count)
        device = place(self.model)
        values, focals = torch.empty(count, *size), []
        for k in range(0, count, AT_ONCE):
            part = frames[k:k + AT_ONCE].float().cpu()
            shown = self.processor(images=list(part.movedim(-1, 1)), do_rescale=False, return_tensors="pt")
            found = self.model(pixel_values=shown["pixel_values"].to(device, self.model.dtype))
            ready = self.processor.post_process_depth_estimation(found, **self.sizes(size, len(part)))
            for t, one in enumerate(ready, k):
                values[t] = one["predicted_depth"].float().cpu()
                focals += [float(one["focal_length"])] if one.get("focal_length") is not None else []
            work.add(len(part))
        focal = float(torch.tensor(focals).median()) if focals else None
        return Estimate(values, self.kind, self.metric, focal)

    def sizes(self, size: tuple[int, int], count: int) -> dict:
        """The arguments that make the processor return values at the size of the frames."""
        sizes = {"target_sizes": [size] * count}
        if self.model.config.model_type == "zoedepth":  # it pads, and crops by the size that it was shown
            sizes["source_sizes"] = [size] * count
        return sizes


def load_per_frame(folder: str | Path, dtype: torch.dtype = torch.float32,
                   kind: EstimateKind | None = None) -> PerFrame:
    """A depth-estimation model of transformers from a local folder.

    kind: "depth" or "disparity", for architectures that do not tell; never guessed. Raises ValueError in one sentence.
    """
    folder = Path(folder)
    transformers = need("transformers", "a per-frame depth model")
    if not (folder / "config.json").is_file():
        raise ValueError(f"{folder}: is not the folder of a transformers model (it lacks config.json); put the files "
                         "of a depth-estimation model there, e.g. those of Depth-Anything-V2-Small-hf")
    model = load_part(transformers.AutoModelForDepthEstimation, folder, dtype)
    try:
        processor = transformers.AutoImageProcessor.from_pretrained(str(folder), local_files_only=True)
    except (OSError, ValueError, TypeError) as error:
        raise ValueError(f"{folder}: its image processor cannot be read ({error}); "
                         "put preprocessor_config.json there") from None
    return PerFrame(model, processor, *meaning(folder, model.config, kind))


def meaning(folder: Path, config, kind: EstimateKind | None) -> Meaning:
    """What the numbers of a model mean, and whether they are metres. Raises ValueError where that is unknown."""
    known = declared_meaning(config)
    if kind is not None:
        return kind, (kind, True) == known
    if known is None:
        raise ValueError(f"{folder}: does not say whether a {config.model_type} model gives depth or disparity; choose "
                         "one of them")
    return known


def declared_meaning(config) -> Meaning | None:
    """The same as far as a model's configuration tells.

    DPT was trained for disparity with every backbone but DINOv2, with which it gives the metres of NYU and KITTI.
    """
    if config.model_type == "depth_anything":
        return METRES if getattr(config, "depth_estimation_type", None) == "metric" else DISPARITY
    if config.model_type == "dpt":
        backbone = getattr(getattr(config, "backbone_config", None), "model_type", "")
        return METRES if backbone.startswith("dinov2") else DISPARITY
    return KINDS.get(config.model_type)
