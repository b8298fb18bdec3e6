"""EX-4D's geometry as a library: a clip and its depth in, what a new camera sees of them out."""

from .camera import CameraPath
from .depth import VideoDepth
from .mesh import DWMesh
from .prior import Prior

__all__ = ["CameraPath", "DWMesh", "Prior", "VideoDepth"]
