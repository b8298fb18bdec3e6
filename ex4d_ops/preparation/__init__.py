"""Preparing clips to train on: read recipe.py, videos.py, select.py, one_clip.py and workers.py in this order.

recipe.py says how clips are made; videos.py lists the videos of a folder or table; select.py picks a clip of one that
is worth training on; one_clip.py hides parts of it as training does and writes it; workers.py does that to all videos
side by side, in processes or on a cluster, and goes on where a killed run stopped. dataset.py says how prepared clips
are kept.
"""

from typing import TYPE_CHECKING

from ..lazy import import_later

if TYPE_CHECKING:
    from .recipe import Recipe
    from .videos import Source, list_sources
    from .workers import prepare
else:
    __getattr__ = import_later(__name__, recipe="Recipe", videos="Source list_sources", workers="prepare")

__all__ = ["Recipe", "Source", "list_sources", "prepare"]
