"""The rules by which a clip becomes a prior: names and numbers alone, so that they can be asked for before torch is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

MIN_ANGLE = 2.5  # degrees; released code and paper 4.1
BORDER_DEPTH = 100.0  # scene units; paper 4.1, D_max
SCENE_NAMES: tuple[str, ...] = ("gallery", "garden", "street", "colonnade")  # that are filmed to try things on
ENGINES = ("nvdiffrast", "warp", "torch")  # that draw, fastest first

Filter = Literal["angle", "boundary", "gap"]  # the two released tests for hidden faces, and one that finds more
Texture = Literal["vertex", "face"]  # what of a hidden face is black; released, paper
LAST = -1  # the frame that "last" names
Erosion = Literal["released"] | int  # of a mask by a random square per frame, or by one of so many pixels
Surface = Literal["watertight", "visible"]  # of a mesh that hides parts of a clip to train on
Relative = Literal["world", "source"]  # what a path's cameras are placed in: the world, or the moving source camera
Smoothed = Literal["all", "rotation"]  # of the source camera's own path
Drawn = Literal["mesh", "crossview-points", "meridian-points"]  # of a mesh: its faces, or points as another program
Layout = Literal["side by side", "half side by side", "over and under", "half over and under", "VR180"]  # of two eyes
Engine = Literal["processes", "ray"]  # where many clips are worked on
TrackerName = Literal["lk", "cotracker", "tapnext"]  # of points, to hide what sticks to them


@dataclass(frozen=True)
class MeshRules:
    """Which faces count as hidden, and how the surface is closed. The defaults are the released model's.

    min_angle: degrees, a face with a smaller angle is hidden. depth_jump: share of the depth range of
    frame 0, a face spanning more is hidden too (paper: 0.013). filter: "angle", or the released
    "boundary" slope test in its place, or "gap", which also finds gaps too small for the angle, see mesh.torn_faces.
    border_depth: scene units. clamp: keep the interior in front of the border, so that the surface is closed; the
    released code lets it poke through. hidden_reach: share of the depth of its nearest vertex that a hidden face
    reaches behind it, less behind what is thin, see reach.py; None for all the way, as released.
    min_confidence: faces with a vertex of which the depth's source is less sure are hidden too, None for no such test.
    """

    min_angle: float = MIN_ANGLE
    depth_jump: float | None = None
    filter: Filter = "angle"
    border_depth: float = BORDER_DEPTH
    clamp: bool = True
    hidden_reach: float | None = None
    min_confidence: float | None = None


def parse_frame(word: str) -> int:
    """The number of a frame, LAST of "last". Raises ValueError where it is neither."""
    return LAST if word == "last" else int(word)


@dataclass(frozen=True)
class RenderRules:
    """How a rendering becomes a prior. The defaults are the released model's.

    texture: "vertex" blackens the vertices of hidden faces and interpolates (released), "face" the faces
    themselves (paper eq. 5), as is always done where a mesh bounds their reach. anchor_first: frame 0 is the source
    frame, all visible, where the path begins at the source camera. erosion: "released" erodes each mask by a random
    square of 2..8 px, a number by that many px, 0 not at all. seed: of the random squares. surface: the faces of the
    mesh, or its pixels as the points of another program, see raster.points.
    """

    texture: Texture = "vertex"
    anchor_first: bool = True
    erosion: Erosion = "released"
    seed: int = 0
    surface: Drawn = "mesh"
