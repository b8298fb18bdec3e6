"""How many frames flow through the graph that is being checked, as far as widgets say so."""

from __future__ import annotations

from dataclasses import dataclass

from ..ex4d_ops.clip import nearest_wan_lengths
from .queued import queued_node


@dataclass(frozen=True)
class Length:
    """frames: how many there are, or where not exact, how many at most."""

    frames: int
    exact: bool

    @property
    def words(self) -> str:
        return f"{'' if self.exact else 'at most '}{self.frames}"


@dataclass(frozen=True)
class Flow:
    """Where the length of what a node gives is said: in a widget of it, 0 aside, else by what comes in at a socket."""

    widget: str | None = None
    socket: str | None = None
    exact: bool = True


FLOWS = {
    "EX4DSampleScene": Flow("frames"),
    "EX4DClipFromVideo": Flow("frames", exact=False),  # the video may be shorter
    "ImageFromBatch": Flow("length", exact=False),
    "ImageScale": Flow(socket="image"),
    "ResizeImageMaskNode": Flow(socket="input"),
    "BuildDWMesh": Flow(socket="images"),
    "EstimateVideoDepth": Flow(socket="images"),
    "EX4DDepthFromImages": Flow(socket="images"),
    "EX4DDepthFromGeometry": Flow(socket="geometry"),
    "DA3Inference": Flow(socket="image"),
    "MoGeInference": Flow(socket="image"),
    "CameraTrajectory": Flow("frames", "scene"),
    "EX4DCameraKeyframes": Flow("frames", "scene"),
    "RenderDWMesh": Flow(socket="cameras"),
}


def length_of(link: object) -> Length | None:
    """The length of what a link brings; None where widgets do not say it, and of a still, which fits any length."""
    met: set[str] = set()
    while isinstance(link, list) and link[0] not in met:
        met.add(link[0])
        kind, inputs = queued_node(link[0])
        flow = FLOWS.get(kind or "", Flow())
        frames = inputs.get(flow.widget)
        if isinstance(frames, int) and frames > 0:
            frames = nearest_wan_lengths(frames)[0] if kind == "EX4DClipFromVideo" else frames
            return Length(frames, flow.exact) if frames > 1 else None
        link = inputs.get(flow.socket)
    return None


def check_path_fits(mesh: object, cameras: object) -> None:
    """Raise ValueError where a path at the clip's own speed is longer than the clip. Both are links."""
    if not isinstance(cameras, list):
        return
    kind, inputs = queued_node(cameras[0])
    if kind != "CameraTrajectory" and (kind != "EX4DCameraKeyframes" or "retime" in str(inputs.get("keyframes"))):
        return  # its frames may show any frames of the clip
    path, clip = length_of(cameras), length_of(mesh)
    if path and clip and path.exact and path.frames > clip.frames:
        raise ValueError(f"cameras: the path has {path.frames} frames, but the clip has {clip.words}; set frames of "
                         f"the path to 0, or to {clip.frames} or less")


def check_prior_fits(color: object, length: int) -> None:
    """Raise ValueError where the link color does not bring as many frames as are to be generated."""
    prior = length_of(color)
    if prior and (prior.frames < length or prior.exact and prior.frames != length):
        raise ValueError(f"color: it has {prior.words} frames, but {length} are to be generated; use the same number, "
                         "or set other_length to trim or pad")
