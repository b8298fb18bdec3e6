"""EX-4D's geometry as a library: a clip and its depth in, what a new camera sees of them out."""

from typing import TYPE_CHECKING

from .lazy import import_later

if TYPE_CHECKING:
    from .camera import CameraPath
    from .depth import VideoDepth
    from .mesh import DWMesh
    from .prior import Prior
else:
    __getattr__ = import_later(__name__, camera="CameraPath", depth="VideoDepth", mesh="DWMesh", prior="Prior")

__all__ = ["CameraPath", "DWMesh", "Prior", "VideoDepth"]
