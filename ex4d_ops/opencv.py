"""OpenCV, of whichever build is there.

Packs of nodes ask for four builds of it, which all install the same files, so that whoever removes one breaks the rest.
We require none: install.py adds one only where there is none, meshes, cameras and priors do without, and what needs it
says how to get it.
"""

from __future__ import annotations

import sys
from types import ModuleType


def need_opencv() -> ModuleType:
    """The module cv2. Raises ValueError saying what to install where it is not there."""
    try:
        import cv2
    except ImportError as error:
        raise ValueError(f"this needs OpenCV, which cannot be imported ({error}); install it with: {sys.executable} -m "
                         "pip install opencv-python-headless") from None
    return cv2
