"""A mesh along a camera path: the prior, of which EX-4D's adapter, VACE or Uni3C paint the rest."""

from __future__ import annotations

import uuid
from typing import get_args

import comfy.model_management
from comfy_api.latest import io, ui
from torch import Tensor

from ..ex4d_ops.background import make_background
from ..ex4d_ops.camera import move_to
from ..ex4d_ops.plot import origin_sheet, prior_loop
from ..ex4d_ops.prior import RenderRules, describe_origin, render_prior
from ..ex4d_ops.raster import ENGINES, drawing_device
from ..ex4d_ops.rules import Drawn, Texture
from ..ex4d_ops.scene import FPS
from . import sockets
from .lengths import check_path_fits
from .progress import show_progress
from .queued import complaint_of, queued_node


class RenderDWMesh(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="RenderDWMesh",
            display_name="Render Watertight Mesh (EX-4D)",
            category="EX-4D/render",
            description="Renders the mesh along a camera path: a color video, and a mask of what the source has seen. "
                        "The defaults are those of the released model.",
            search_aliases=["prior video", "novel view", "new view", "side view", "viewpoint", "reshoot", "recamera",
                            "re-camera", "parallax", "4d", "reproject", "rasterize"],
            inputs=[
                sockets.Mesh.Input("mesh", tooltip="Watertight meshes of the clip, one per source frame."),
                sockets.Cameras.Input("cameras",
                                      tooltip="Camera path to render. It sets the length and the size of the result, "
                                              "and may show only source frames that the mesh has."),
                io.DynamicCombo.Input("erosion", options=[
                    io.DynamicCombo.Option("released", []),
                    io.DynamicCombo.Option("fixed", [
                        io.Int.Input("pixels", default=4, min=1, max=64,
                                     tooltip="Side of the square that erodes each mask, in pixels."),
                    ]),
                    io.DynamicCombo.Option("none", []),
                ],
                tooltip="Shrinks the mask, because its rim is the least reliable part. released: erodes each frame by "
                        "a random square of 2 to 8 pixels, as in EX-4D's training. fixed: erodes all frames by the "
                        "same square. none: does not erode."),
                io.Int.Input("seed", default=0, min=0, max=2**32 - 1,
                             control_after_generate=io.ControlAfterGenerate.fixed,
                             tooltip="Random seed of the released erosion. The same seed gives the same result."),
                io.Boolean.Input("anchor_first_frame", default=True,
                                 tooltip="On: shows the source itself in frame 0, all of it visible, as the released "
                                         "model expects, if the path starts at the source camera. Off: renders frame 0 "
                                         "like the others."),
                io.Combo.Input("engine", options=["auto", *ENGINES], default="auto", advanced=True,
                               tooltip="Renderer. auto: uses the fastest one that runs here. warp: runs on NVIDIA "
                                       "GPUs and on any CPU. torch: runs anywhere, but is slower. nvdiffrast: needs "
                                       "an NVIDIA GPU and the nvdiffrast package. They differ only at edges."),
                io.Combo.Input("texture", options=list(get_args(Texture)), default="vertex", advanced=True,
                               tooltip="How to blacken hidden faces. vertex: blackens their vertices, as in EX-4D. "
                                       "face: blackens only the faces, as in the paper."),
                io.Mask.Input("moving", optional=True,
                              tooltip="Mask per frame of what moves, from Motion Mask (EX-4D) or any segmentation: 1 = "
                                      "moves, 0 = stands still. If connected, fills what a frame does not see with "
                                      "what other frames have seen of the rest. Set hidden_reach of the mesh to 0.1 "
                                      "for it."),
                io.Combo.Input("surface", options=list(get_args(Drawn)), default="mesh", optional=True, advanced=True,
                               tooltip="What to draw. mesh: draws the faces of the mesh. crossview-points and "
                                       "meridian-points: draw its pixels as the squares that the CrossView-Warp and "
                                       "Meridian LoRAs were trained on; set erosion to none for them."),
            ],
            outputs=[
                io.Image.Output("color", tooltip="What the new camera sees. Black where the source has seen nothing."),
                io.Mask.Output("visible", tooltip="1 = seen in the source, 0 = to be painted. Invert it for VACE and "
                                                  "inpainting nodes, which paint where a mask is 1."),
                io.String.Output("coverage", tooltip="How much of the path the source has seen, as text."),
            ],
        )

    @classmethod
    def validate_inputs(cls, cameras, *, erosion=None) -> bool | str:  # the dynamic combo comes; only cameras is blamed
        inputs = queued_node()[1]
        return complaint_of(check_path_fits, inputs.get("mesh"), inputs.get("cameras"))

    @classmethod
    def execute(cls, mesh, cameras, erosion, seed, anchor_first_frame, engine, texture, moving=None,
                surface: Drawn = "mesh") -> io.NodeOutput:
        pixels = {"released": "released", "fixed": erosion.get("pixels"), "none": 0}[erosion["erosion"]]
        rules = RenderRules(texture, anchor_first_frame, pixels, seed, surface)
        device = drawing_device(engine, comfy.model_management.get_torch_device())
        mesh, cameras = move_to(mesh, device), move_to(cameras, device)
        background = None if moving is None else make_background(
            mesh, sockets.read_mask("moving", moving).to(device), progress=show_progress())
        prior = render_prior(mesh, cameras, rules, engine, show_progress(), background)
        # ComfyUI's masks are numbers; 1 stays what EX-4D calls visible and its mask videos show white.
        outputs = sockets.as_images(prior.color), sockets.as_mask(prior.visible), describe_origin(prior, cameras)
        source = [mesh.colors[t % len(mesh)] for t in cameras.source_frame.tolist()]
        shown = show_loop(prior_loop(source, prior), len(prior))
        if background is not None:
            shown.results += ui.PreviewImage(sockets.as_images(origin_sheet(prior, cameras))).values
        return io.NodeOutput(*outputs, ui=shown)


def show_loop(pictures: Tensor, frames: int) -> ui.SavedImages:
    """Pictures [N, H, W, 3] of a clip of so many frames, looping on the node in the clip's time."""
    saved = ui.ImageSaveHelper.save_animated_webp(
        pictures, f"ex4d_{uuid.uuid4().hex}", io.FolderType.temp, None, fps=FPS * len(pictures) / frames,
        lossless=False, quality=80, method=0)
    return ui.SavedImages([saved], is_animated=len(pictures) > 1)
