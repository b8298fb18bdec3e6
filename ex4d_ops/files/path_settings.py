"""How camera paths are read: names alone, so that they can be asked for before torch is. paths.py reads them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

from .damage import quote

FORMAT_NAMES = ("ex4d", "keyframes", "released", "colmap", "chan", "realestate", "recammaster", "trajectorycrafter",
                "viewcrafter", "opencv", "vista4d", "nerfstudio", "3dgs", "neoverse", "crossviewwarp", "gltf")
BY_SUFFIX = {".json": "ex4d", ".npz": "released", "": "colmap", ".chan": "chan", ".txt": "realestate", ".glb": "gltf",
             ".gltf": "gltf"}
READ_SUFFIXES = set(BY_SUFFIX) - {""}
MODEL_FILES = {"cameras.txt", "images.txt", "cameras.bin", "images.bin"}  # of COLMAP
ROTATION_ORDERS = tuple("".join(axes) for axes in permutations("XYZ"))


@dataclass(frozen=True)
class Setting:
    """One setting of how a file is read, as the command line and a node's widget show it. No choices: any text."""

    help: str
    choices: tuple[str, ...] = ()


SETTINGS = {
    "format": Setting("Format of the file. auto: detects it from the file extension and the content, and warns if it "
                      "is not sure. released: reads EX-4D's npz.", ("auto", *FORMAT_NAMES)),
    "world": Setting("Where the path starts. auto: follows the convention of the format. first: moves the path so that "
                     "it starts at the source camera. file: keeps the positions in the file.",
                     ("auto", "first", "file")),
    "camera": Setting("Name of the camera to load from a ReCamMaster or glTF file, e.g. cam05. Empty: the only one in "
                      "the file."),
    "rotation_order": Setting("Order of the rotations in a .chan file. auto: follows the file, or uses ZXY if it does "
                              "not say, as in Nuke. Blender writes XYZ.", ("auto", *ROTATION_ORDERS)),
    "length": Setting("What to do if the file does not have as many cameras as needed. exact: stops with an error. "
                      "fit: changes the path to that length.", ("exact", "fit")),
}
SCALE_HELP = ("Factor from the unit of the file to scene units. {automatic}: turns, moves and scales the path to match "
              "the source cameras of the clip, which it must follow and which the depth must include.")


def check_choice(setting: str, value: str | None) -> str | None:
    """A value of one of SETTINGS, None where it is left to the file; ValueError names the choices."""
    choices = SETTINGS[setting].choices
    if value is not None and value not in choices:
        known = ", ".join(choice for choice in choices if choice != "auto")
        raise ValueError(f"{quote(value)} is not a path {setting}; use one of {known}")
    return None if value == "auto" else value
