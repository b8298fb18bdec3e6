"""What is offered as one node, a blueprint: a video seen from a new path, its prior, and what EX-4D makes of both."""

from __future__ import annotations

from generation import (
    FRAMES,
    I2V_FP8,
    Take,
    apply_adapter,
    changes_of,
    encoded,
    film_of,
    sampled,
    sampler_of,
)
from graphs import Clip, depth_anything, parts_of, prior_nodes, sound_along, video_depth_anything
from sheet import EX4D, GENERATE, INPUT, MODELS, OUTPUT, PAINT_BOX, PRIOR_BOX, VIEW_BOX, Box, Group, Node, Sheet

# The largest 4k+1 that a clip has frames for, and no more than EX-4D was trained on.
LENGTH = f"min({FRAMES}, 4 * ((a - 1) // 4) + 1)"


def view_box() -> Box:
    """A video from a new view, all of it kept: sound, frame rate, size."""
    trim, parts, even = parts_of(None)
    depth = video_depth_anything(even["resized"])
    clip = Clip(even["resized"], depth["depth"], parts["fps"], parts["audio"])
    mesh, path, render = prior_nodes(clip, {"move": "orbit", "move.yaw": 30.0}, of_render={"erosion": "none"})
    sound = sound_along(clip, path["cameras"])
    view = Node("CreateVideo", {"images": render["color"], "fps": parts["fps"], "audio": sound["audio"]}, "New view")
    white = Node("MaskToImage", {"mask": render["visible"]})
    mask = Node("CreateVideo", {"images": white["IMAGE"], "fps": parts["fps"]}, "Mask")
    return Box(
        Sheet(VIEW_BOX, [
            [Group("Video", INPUT, [[trim, parts, even]])], [Group("Depth", MODELS, [[depth]])],
            [Group("Mesh and camera", EX4D, [[mesh, path]])],
            [Group("New view", EX4D, [[render]])], [Group("Videos", OUTPUT, [[sound, view, white, mask]])]]),
        inputs={"video": trim["video"], "yaw": path["move.yaw"], "pitch": path["move.pitch"],
                "start_time": trim["start_time"], "duration": trim["duration"], "depth_model": depth["model.file"]},
        outputs={"new_view": view["VIDEO"], "mask": mask["VIDEO"], "images": render["color"],
                 "visible": render["visible"]},
        description="Shows a video from another side, with its sound, frame rate and size. Depth comes from "
        "Video-Depth-Anything. What the source has not seen stays black, for a video model to paint.",
        aliases=["EX-4D", "new view", "side view", "viewpoint", "novel view", "reshoot", "recamera", "parallax", "4d",
                 "180", "bullet time", "dolly zoom", "video to video"])


def prior_box() -> Box:
    """What a video model paints from, as one node, at the model's size and length."""
    trim, parts = Node("Video Slice"), Node("GetVideoComponents")
    parts.inputs["video"] = trim["VIDEO"]
    cut = Node("ImageFromBatch", {"image": parts["images"], "batch_index": 0, "length": FRAMES}, "The first frames")
    scale = Node("ImageScale", {"image": cut["IMAGE"], "upscale_method": "area", "width": 512, "height": 512,
                                "crop": "center"}, "Size")
    load, infer, depth = depth_anything(scale["IMAGE"])
    clip = Clip(scale["IMAGE"], depth["depth"], parts["fps"], parts["audio"])
    mesh, path, render = prior_nodes(clip, {"move": "combined", "move.moves": "orbit:yaw=40,ease=ease-in-out"})
    sound = sound_along(clip, path["cameras"])
    return Box(
        Sheet(PRIOR_BOX, [
            [Group("Frames", INPUT, [[trim, parts, cut, scale]])], [Group("Depth", MODELS, [[load, infer, depth]])],
            [Group("Mesh and camera", EX4D, [[mesh, path]])], [Group("Prior", EX4D, [[render, sound]])]]),
        inputs={"video": trim["video"], "start_time": trim["start_time"], "duration": trim["duration"],
                "frames": cut["length"], "width": scale["width"], "height": scale["height"], "crop": scale["crop"],
                "depth_model": load["model_name"], "moves": path["move.moves"], "seed": render["seed"],
                "erosion": render["erosion"], "hidden_reach": mesh["hidden_reach"]},
        outputs={"color": render["color"], "visible": render["visible"], "fps": parts["fps"],
                 "audio": sound["audio"], "plot": path["plot"], "coverage": render["coverage"]},
        description="Renders a video along a new camera path, with depth by Depth Anything 3 and a watertight mesh per "
        "frame. The result is the prior, color and mask, that EX-4D, VACE or Uni3C paint from.",
        aliases=["EX-4D", "prior video", "novel view", "re-camera", "camera control", "video to video"])


def paint_box() -> Box:
    """A new view and its mask, as videos, to one without holes."""
    take = Take("", "", steps=4, cfg=1.0, model=I2V_FP8)
    view, mask = Node("GetVideoComponents"), Node("GetVideoComponents")
    white = Node("ImageToMask", {"image": mask["images"], "channel": "red"})
    count = Node("GetImageSize", {"image": view["images"]})
    length = Node("ComfyMathExpression", {"expression": LENGTH, "values.a": count["batch_size"]}, "4k+1 frames")
    loaders, (encode, seen, start) = encoded(take)
    encode.inputs.update(color=view["images"], visible=white["MASK"], length=length["INT"], other_length="trim")
    start.inputs["length"] = length["INT"]
    changes = changes_of(take, loaders.model["MODEL"])
    adapter = apply_adapter(changes[-1]["MODEL"], encode)
    sample = sampled(take, adapter["MODEL"], start, loaders)
    film = film_of(take, sample[-1]["IMAGE"])
    film.inputs.update(fps=view["fps"], audio=view["audio"])
    return Box(
        Sheet(PAINT_BOX, [
            [Group("New view and mask", INPUT, [[view, mask, white, count, length]])], loaders.groups(),
            [Group("The new view, encoded", EX4D, [[encode, seen, start]])],
            [Group("EX-4D on Wan", GENERATE, [[*changes, adapter, *sample, film]])]]),
        inputs={"new_view": view["video"], "mask": mask["video"], "prompt": loaders.positive["text"],
                "width": (encode["width"], start["width"]), "height": (encode["height"], start["height"]),
                "seed": sampler_of(sample)["seed"]},
        outputs={"video": film["VIDEO"], "images": sample[-1]["IMAGE"]},
        description="Paints what a new view does not show, by EX-4D on Wan 2.1 in four steps, and keeps its sound. It "
        "goes behind Video from a New View (EX-4D) and makes up to 49 frames.",
        aliases=["EX-4D", "generate new view", "novel view", "inpaint video", "reshoot", "recamera", "4d"])


BOXES = (view_box, prior_box, paint_box)
