"""What is measured: names, units and meanings alone, so that they can be asked for before torch is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Measure:
    """title: over its column; unit: behind its numbers; higher: whether more is better; digits: shown behind the point;
    text: what it says, in one sentence.
    """

    title: str
    unit: str
    higher: bool
    digits: int
    text: str


MEASURES = {
    "rotation": Measure("rotation", "degrees", False, 2, "By how much the cameras that the video shows are turned "
                        "against the path, the mean over its frames"),
    "translation": Measure("translation", "% of the path", False, 1, "How far they stand from the path, in percent of "
                           "its largest distance from the first camera"),
    "cammc": Measure("CamMC", "", False, 3, "Both in one number: the length of the difference of [R|t], with t in "
                     "lengths of the path"),
    "found": Measure("found", "%", True, 0, "Frames whose camera could be found; any other counts as taken from the "
                     "last one found"),
    "psnr": Measure("PSNR inside", "dB", True, 2, "Agreement of pixels with what the source has seen"),
    "ssim": Measure("SSIM inside", "", True, 3, "Agreement of structure with what the source has seen"),
    "misplaced": Measure("misplaced", "% of the width", False, 2, "How far from their places things are seen"),
    "unsteady": Measure("unsteady inside", "levels", False, 2, "Change along the flow that should not be, where the "
                        "source has seen the scene"),
    "unsteady_outside": Measure("unsteady outside", "levels", False, 2, "The same where the generator painted"),
    "seams": Measure("seams", "levels", False, 2, "Jumps at the edge of what was seen that should not be"),
    "exact_psnr": Measure("PSNR exact", "dB", True, 2, "Agreement of all pixels with the exact view, of procedural "
                          "clips"),
    "exact_ssim": Measure("SSIM exact", "", True, 3, "Agreement of structure with the exact view, of procedural clips"),
}
CAMERA_MEASURES = ("rotation", "translation", "cammc", "found")
