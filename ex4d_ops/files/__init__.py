"""Reading and writing video, depth, camera paths, meshes and pictures. Each reader is imported when first used.

video.py reads clips, through decode.py (video files, whose colors are those of colors.py) or pictures.py (images;
those of more than 8 bits in deep_pictures.py), both of which give a Footage (footage.py); depth.py reads depth from any
of them, from exr.py and from depth_arrays.py (npz and npy, stored as arrays.py knows), depth_stream.py the same frame
by frame; timing.py tells which of it belongs to a clip whose rate varies; paths.py reads camera paths, format by format
in path_formats.py; meshes.py writes meshes. parsing.py and tensors.py read text and weights in one sentence of error,
damage.py words it for all readers; whole.py lets a file appear only when it is complete.
"""

from ..lazy import import_later

__getattr__ = import_later(
    __name__, video="read_video write_video write_videos pack_video",
    depth="read_depth write_depth DepthUnits DEPTH_KINDS", depth_stream="open_depth", meshes="write_mesh",
    pictures="write_picture", paths="read_path write_path")
