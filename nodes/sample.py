"""A procedural clip with exact depth, to try everything without a download."""

from comfy_api.latest import io

from ..ex4d_ops.scene import FPS, SCENES, sample_clip
from . import sockets
from .progress import show_progress


class EX4DSampleScene(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="EX4DSampleScene",
            display_name="Sample Scene (EX-4D)",
            category="EX-4D/depth",
            description="Renders a clip of a procedural scene, with its exact depth in meters and its source cameras. "
                        "Needs no model, no file and no download.",
            search_aliases=["demo clip", "test video", "synthetic", "procedural", "ground truth depth"],
            inputs=[
                io.Combo.Input("scene", options=list(SCENES), default="gallery",
                               tooltip="Scene to show. In colonnade the source camera moves too."),
                io.Int.Input("frames", default=49, min=1, max=1000, step=4,
                             tooltip="Number of frames. Wan needs 4k+1 (49, 81 ...). EX-4D was trained on 49."),
                io.Int.Input("width", default=512, min=32, max=4096, step=16, tooltip="Width of the clip in pixels."),
                io.Int.Input("height", default=512, min=32, max=4096, step=16, tooltip="Height of the clip in pixels."),
                io.Int.Input("seed", default=0, min=0, max=2**32 - 1,
                             control_after_generate=io.ControlAfterGenerate.fixed,
                             tooltip="Random seed of positions and colors. The same seed gives the same clip."),
            ],
            outputs=[
                io.Image.Output("images", tooltip="Frames of the clip."),
                sockets.Depth.Output("depth",
                                     tooltip="Exact depth of the clip in meters, with focal length and camera motion."),
                io.Float.Output("fps", tooltip="Frames per second."),
            ],
        )

    @classmethod
    def execute(cls, scene, frames, width, height, seed) -> io.NodeOutput:
        images, depth = sample_clip(scene, frames, (height, width), seed, show_progress())
        return io.NodeOutput(sockets.as_images(images), sockets.keep(depth), float(FPS))
