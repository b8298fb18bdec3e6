"""Methods that folders are planned for: names alone, so that they can be asked for before torch is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Method:
    """What a method is given of a path. style: of the guide it takes, see generators.py, None for cameras alone;
    cameras: name of its file of cameras, and format: what it is in, of FORMATS in files/paths.py or ORBITS in
    orbits.py; workflow: the example that runs it in ComfyUI.
    """

    style: str | None
    cameras: str
    format: str
    workflow: str | None = None


METHODS = {
    "ex-4d": Method("ex-4d", "cameras.npz", "released", "07_ex4d_video_generated_as_released"),
    "vace": Method("vace", "cameras.json", "ex4d", "05_ex4d_new_view_painted_by_wan_vace"),
    "uni3c": Method("uni3c", "cameras.json", "ex4d", "06_ex4d_new_view_led_by_uni3c"),
    "recammaster": Method(None, "camera_extrinsics.json", "recammaster"),
    "trajectorycrafter": Method(None, "trajectory.txt", "trajectorycrafter"),
    "trajectoryattention": Method(None, "options.txt", "trajectoryattention"),
    "vista4d": Method(None, "cameras.npz", "vista4d"),
    "neoverse": Method(None, "trajectory.json", "neoverse"),
    "cameractrl": Method(None, "cameras.txt", "realestate"),
}
