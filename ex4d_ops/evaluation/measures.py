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
    "rotation_colmap": Measure("rotation, second opinion", "degrees", False, 2, "The same by features and COLMAP's "
                               "solver, of the frames in which that finds a camera"),
    "translation_colmap": Measure("translation, second opinion", "% of the path", False, 1, "The same"),
    "found_colmap": Measure("found, second opinion", "%", True, 0, "Frames in which that finds a camera"),
    "psnr": Measure("PSNR inside", "dB", True, 2, "Agreement of pixels with what the source has seen"),
    "ssim": Measure("SSIM inside", "", True, 3, "Agreement of structure with what the source has seen"),
    "misplaced": Measure("misplaced", "% of the width", False, 2, "How far from their places things are seen"),
    "subject": Measure("subject off", "% of the width", False, 2, "How far from its place the subject is seen; "
                       "one that is not found counts as 25"),
    "unsteady": Measure("unsteady inside", "levels", False, 2, "Change along the flow that should not be, where the "
                        "source has seen the scene"),
    "unsteady_outside": Measure("unsteady outside", "levels", False, 2, "The same where the generator painted"),
    "seams": Measure("seams", "levels", False, 2, "Jumps at the edge of what was seen that should not be"),
    "exact_psnr": Measure("PSNR exact", "dB", True, 2, "Agreement of all pixels with the exact view, of procedural "
                          "clips"),
    "exact_ssim": Measure("SSIM exact", "", True, 3, "Agreement of structure with the exact view, of procedural clips"),
    "lpips": Measure("LPIPS inside", "", False, 3, "Distance to what the source has seen, as AlexNet sees both and "
                     "people judge it"),
    "exact_lpips": Measure("LPIPS exact", "", False, 3, "The same to the whole exact view, of procedural clips"),
    "clip_text": Measure("CLIP-T", "", True, 4, "Likeness of frames and prompt, as CLIP sees them"),
    "clip_frames": Measure("CLIP-F", "", True, 4, "Likeness of each frame and the next"),
    "clip_source": Measure("CLIP-V", "", True, 4, "Likeness of each frame and that of the source at the same moment"),
    "fid": Measure("FID", "", False, 2, "Distance between the frames of a method and real ones, as Inception sees "
                   "them"),
    "kid": Measure("KID", "", False, 4, "The same by a kernel, without FID's bias where frames are few"),
    "fvd_i3d": Measure("FVD", "", False, 1, "Distance between pieces of video of a method and real ones, as I3D sees "
                       "them"),
    "fvd_videomae": Measure("FVD by VideoMAE", "", False, 2, "The same as VideoMAE sees them, which looks more at "
                            "motion"),
    "vbench_subject_consistency": Measure("subject consistency", "", True, 4, "VBench: likeness of frames as DINO "
                                          "sees them"),
    "vbench_background_consistency": Measure("background consistency", "", True, 4, "VBench: likeness of frames as "
                                             "CLIP sees them"),
    "vbench_temporal_flickering": Measure("temporal flickering", "", True, 4, "VBench: how little pixels change from "
                                          "frame to frame"),
    "vbench_motion_smoothness": Measure("motion smoothness", "", True, 4, "VBench: how well every second frame can "
                                        "be interpolated"),
    "vbench_dynamic_degree": Measure("dynamic degree", "", True, 4, "VBench: share of videos that move much"),
    "vbench_aesthetic_quality": Measure("aesthetic quality", "", True, 4, "VBench: how beautiful LAION's predictor "
                                        "finds frames"),
    "vbench_imaging_quality": Measure("imaging quality", "", True, 4, "VBench: how little distorted MUSIQ finds "
                                      "frames"),
}
VBENCH = "vbench_"  # begins the names of the measures that VBench takes
NETWORK_MEASURES = ("lpips", "exact_lpips", "clip_text", "clip_frames", "clip_source", "fid", "kid", "fvd_i3d",
                    "fvd_videomae")
