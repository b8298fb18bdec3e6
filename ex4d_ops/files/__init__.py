"""Reading and writing video, depth, camera paths and meshes. Each reader is imported when first used."""

from importlib import import_module

HOMES = {
    "read_video": "video", "write_video": "video",
    "read_depth": "depth", "write_depth": "depth", "DepthUnits": "depth", "DEPTH_KINDS": "depth",
    "write_mesh": "meshes",
    "read_path": "paths", "write_path": "paths",
}


def __getattr__(name: str):
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{HOMES[name]}", __name__), name)
