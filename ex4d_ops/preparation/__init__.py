"""Preparing clips to train on: read videos.py, select.py, one_clip.py and workers.py in this order.

videos.py lists the videos of a folder or table; select.py picks a clip of one that is worth training on; one_clip.py
hides parts of it as training does and writes it; workers.py does that to all videos side by side, in processes or on a
cluster, and goes on where a killed run stopped. dataset.py says how prepared clips are kept.
"""

from .one_clip import Recipe
from .videos import Source, list_sources
from .workers import prepare

__all__ = ["Recipe", "Source", "list_sources", "prepare"]
