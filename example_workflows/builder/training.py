"""The workflow that trains: what is hidden of a clip, and an adapter from clips that were prepared so."""

from __future__ import annotations

from graphs import I2V, sample_clip, save_video, sheet
from sheet import EX4D, MODELS, OUTPUT, Group, Node, Sheet, Socket

PREVIEWED = 300  # graph units that a node needs below its widgets for the frames it shows


def masks_and_training() -> Sheet:
    clip, scene = sample_clip()
    crop = Node("EX4DSmoothCrop", {"images": clip.images, "depth": clip.depth}, size=(320, 160 + PREVIEWED))
    mesh = Node("BuildDWMesh", {"images": crop["images"], "depth": crop["depth"]})
    rendering = Node("EX4DRenderingMask", {"mesh": mesh["mesh"]}, size=(320, 160 + PREVIEWED))
    tracking = Node("EX4DTrackingMask", {"images": crop["images"], "tracker": "lk"}, size=(320, 200 + PREVIEWED))
    random = Node("EX4DRandomMask", {"images": crop["images"]}, size=(320, 110 + PREVIEWED))

    def column(mask: Node, name: str, title: str) -> list[Node]:
        return [mask, *film(mask["images"], clip.fps, name, title)]

    load = Node("UNETLoader", {"unet_name": I2V.name, "weight_dtype": "default"}, models=(I2V,))
    train = Node("EX4DTrainAdapter", {"model": load["MODEL"], "clips": "prepared", "name": "my_adapter"})
    curve = Node("SaveImage", {"images": train["loss_curve"], "filename_prefix": "ex4d/loss_curve"}, "The loss curve",
                 (320, 110))
    adapter = Node("PreviewAny", {"source": train["adapter"]}, "Its name in Apply Adapter", (320, 150))
    return sheet(
        "12_train_adapter",
        [scene],
        [Group("2  A window that glides over it", EX4D, [[crop, mesh]])],
        [Group("3  Three ways to mask parts of it", EX4D, [
            column(rendering, "12_rendering_mask", "Hidden from an orbiting camera"),
            column(tracking, "12_tracking_mask", "Rectangles that move with surfaces"),
            column(random, "12_random_mask", "Random rectangles: the baseline")])],
        [Group("4  Train on prepared clips", MODELS, [[load, train]]),
         Group("5  Adapter", OUTPUT, [[curve, adapter]])])


def film(frames: Socket, fps: Socket, name: str, title: str) -> list[Node]:
    video = Node("CreateVideo", {"images": frames, "fps": fps})
    return [video, save_video(video, name, title)]


SHEETS = (masks_and_training,)
