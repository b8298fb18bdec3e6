"""Depth of a video from the video alone: read registry.py, the table of estimators, then clip_depth.py.

registry.py says how each estimator is opened and run; clip_depth.py takes any of them from frames to a VideoDepth:
shots and one scale per frame (steadiness.py), clean edges (flying_pixels.py), the source camera's motion
(source_camera.py). estimate.py holds what all of them give back. The estimators themselves are depthcrafter.py,
video_depth_anything.py with its backbone (dinov2.py) and head (temporal_head.py), per_frame.py and parallax.py;
windows.py is shared by those that look at a clip window by window; weights.py knows the public weights, checkpoints.py
reads them, packages.py names what has to be installed.
"""
