"""The workflow that trains: what is hidden of a clip, and an adapter from clips that were prepared so."""

from __future__ import annotations

from generation import I2V, load_wan
from graphs import sample_clip, save_video, sheet
from sheet import EX4D, MODELS, OUTPUT, Group, Node, Sheet

PREVIEWED = 190  # graph units that a node needs below its widgets for the frames it shows


def masks_and_training() -> Sheet:
    clip, scene = sample_clip()
    crop = Node("EX4DSmoothCrop", {"images": clip.images, "depth": clip.depth}, height=160 + PREVIEWED)
    mesh = Node("BuildDWMesh", {"images": crop["images"], "depth": crop["depth"]})
    masks = [Node("EX4DRenderingMask", {"mesh": mesh["mesh"]}, "Hidden from an orbiting camera", 160 + PREVIEWED),
             Node("EX4DTrackingMask", {"images": crop["images"], "tracker": "lk"}, "Rectangles that move with surfaces",
                  200 + PREVIEWED),
             Node("EX4DRandomMask", {"images": crop["images"]}, "Random rectangles: the baseline", 110 + PREVIEWED)]
    first = Node("ImageStitch", {"image1": masks[0]["images"], "image2": masks[1]["images"], "direction": "right"})
    joined = Node("ImageStitch", {"image1": first["IMAGE"], "image2": masks[2]["images"], "direction": "right"})
    film = Node("CreateVideo", {"images": joined["IMAGE"], "fps": clip.fps})
    load = load_wan(I2V)
    train = Node("EX4DTrainAdapter", {"model": load["MODEL"], "clips": "prepared", "name": "my_adapter"})
    curve = Node("SaveImage", {"images": train["loss_curve"], "filename_prefix": "ex4d/loss_curve"}, "The loss curve",
                 110)
    adapter = Node("PreviewAny", {"source": train["adapter"]}, "Its name in Apply Adapter", 110)
    return sheet(
        "12_ex4d_train_adapter", [scene],
        [Group("2  A window that glides over it", EX4D, [[crop, mesh]])],
        [Group("3  Three ways to mask parts of it", EX4D, [masks])],
        [Group("Side by side", OUTPUT, [[first, joined, film, save_video(film["VIDEO"], "12_masks", "Masks")]])],
        [Group("4  Train on prepared clips", MODELS, [[load, train]]), Group("5  Adapter", OUTPUT, [[curve, adapter]])],
        asked=[scene.columns[0][0]["scene"], scene.columns[0][0]["seed"]])


SHEETS = (masks_and_training,)
