"""A mesh along a camera path: the prior, of which EX-4D's adapter, VACE or Uni3C paint the rest."""

from __future__ import annotations

from typing import get_args

import comfy.model_management
from comfy_api.latest import io

from ..ex4d_ops.camera import move_to
from ..ex4d_ops.prior import RenderRules, Texture, render_prior
from ..ex4d_ops.raster import ENGINES, drawing_device
from . import sockets
from .progress import show_progress


class RenderDWMesh(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="RenderDWMesh",
            display_name="Render Watertight Mesh (EX-4D)",
            category="EX-4D/render",
            description="Shows the mesh along a camera path: a colour video, and a mask of what the source has seen. "
                        "The defaults are the released model's.",
            search_aliases=["prior video", "novel view", "re-camera", "reproject", "rasterize"],
            inputs=[
                sockets.Mesh.Input("mesh", tooltip="One watertight mesh per source frame."),
                sockets.Cameras.Input("cameras", tooltip="The new path; it may show only source frames the mesh has."),
                io.DynamicCombo.Input("erosion", options=[
                    io.DynamicCombo.Option("released", []),
                    io.DynamicCombo.Option("fixed", [
                        io.Int.Input("pixels", default=4, min=1, max=64,
                                     tooltip="Side of the square that shrinks every frame's mask, pixels."),
                    ]),
                    io.DynamicCombo.Option("none", []),
                ], tooltip="Shrinks the mask, whose rim is the least certain. released: by a random square of 2 to 8 "
                           "pixels per frame, as the model was shown; fixed: by one size; none: not at all."),
                io.Int.Input("seed", default=0, min=0, max=2**32 - 1,
                             control_after_generate=io.ControlAfterGenerate.fixed,
                             tooltip="A number that draws the random squares of the released erosion."),
                io.Boolean.Input("anchor_first_frame", default=True,
                                 tooltip="Frame 0 is the source frame, all of it seen, as the released model expects. "
                                         "Turn off for paths that do not begin at the source camera."),
                io.Combo.Input("engine", options=["auto", *ENGINES], default="auto", advanced=True,
                               tooltip="What draws; auto takes the fastest that runs here. warp: NVIDIA GPUs and CPU. "
                                       "torch: anywhere, slower. nvdiffrast: where installed. All agree away from "
                                       "edges."),
                io.Combo.Input("texture", options=list(get_args(Texture)), default="vertex", advanced=True,
                               tooltip="Blackens the vertices of hidden faces (released) or the faces alone (paper)."),
            ],
            outputs=[
                io.Image.Output("color", tooltip="What the new camera sees; black where the source saw nothing."),
                io.Mask.Output("visible", tooltip="1 = seen in the source, 0 = to be painted. Invert it for VACE and "
                                                  "inpainting nodes, which paint where a mask is 1."),
                io.String.Output("coverage", tooltip="How much of the path the source has seen, in words."),
            ],
        )

    @classmethod
    def execute(cls, mesh, cameras, erosion, seed, anchor_first_frame, engine, texture) -> io.NodeOutput:
        pixels = {"released": "released", "fixed": erosion.get("pixels"), "none": 0}[erosion["erosion"]]
        rules = RenderRules(texture, anchor_first_frame, pixels, seed)
        device = drawing_device(engine, comfy.model_management.get_torch_device())
        prior = render_prior(move_to(mesh, device), move_to(cameras, device), rules, engine, show_progress())
        # ComfyUI's masks are numbers; 1 stays what EX-4D calls visible and its mask videos show white.
        return io.NodeOutput(sockets.as_images(prior.color), sockets.as_mask(prior.visible), prior.describe_coverage())
