"""Procedural animated scenes with exact depth and exact views from any camera: sample clips, and a ground truth.

Rays are traced in closed form in double precision; a ray's z is 1 in its camera, so its length is depth. The color of
a surface point never depends on the camera (light, shadow and haze belong to the point), as the mesh assumes.

Read scene.py, how a scene is filmed, then stages.py, the four scenes; solids.py and paints.py hold their parts.
"""

from typing import TYPE_CHECKING

from ..lazy import import_later

if TYPE_CHECKING:
    from .scene import FPS, Scene
    from .stages import SCENES, exact_depth, make_scene, sample_clip
else:
    __getattr__ = import_later(__name__, scene="FPS Scene", stages="SCENES exact_depth make_scene sample_clip")

__all__ = ["FPS", "SCENES", "Scene", "exact_depth", "make_scene", "sample_clip"]
