"""Depth watertight meshes, and one frame of them as ComfyUI's own mesh."""

from __future__ import annotations

import math
from typing import get_args

import torch
from comfy_api.latest import Types, io

from ..ex4d_ops.depth import match_depth
from ..ex4d_ops.files.meshes import gltf_from_world, linear_from_srgb
from ..ex4d_ops.mesh import DWMesh, MeshRules, build_dw_mesh, drawn_surface, occluded_share
from ..ex4d_ops.motion import add_confidence
from ..ex4d_ops.rules import BORDER_DEPTH, MIN_ANGLE, Filter
from . import sockets
from .progress import show_progress


class BuildDWMesh(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="BuildDWMesh",
            display_name="Build Watertight Mesh (EX-4D)",
            category="EX-4D/mesh",
            description="Builds a watertight mesh from each frame and its depth, and marks its hidden faces. The "
                        "defaults are those of the released model.",
            search_aliases=["DW-Mesh", "depth to mesh", "depth watertight mesh", "triangulate depth"],
            inputs=[
                io.Image.Input("images", tooltip="Frames of the source clip, as many as the depth has."),
                sockets.Depth.Input("depth", tooltip="Depth of the clip. It is resized to the size of the images."),
                io.Float.Input("min_angle", default=MIN_ANGLE, min=0.0, max=60.0, step=0.1,
                               tooltip="Smallest angle of a visible face, in degrees. Faces with a smaller angle span "
                                       "a jump in depth and become hidden. EX-4D uses 2.5."),
                io.Float.Input("border_depth", default=BORDER_DEPTH, min=0.1, max=1e6, step=0.1, advanced=True,
                               tooltip="Depth of the border that closes the mesh, in scene units. EX-4D uses 100."),
                io.Float.Input("depth_jump", default=0.0, min=0.0, max=1.0, step=0.001, advanced=True,
                               tooltip="Faces that span more than this share of the depth range of frame 0 become "
                                       "hidden too. 0: off, as in EX-4D. The paper uses 0.013."),
                io.Combo.Input("filter", options=list(get_args(Filter)), default="angle", advanced=True,
                               tooltip="How to find hidden faces. angle: uses min_angle. boundary: uses the slope test "
                                       "of the released code, which has no settings. gap: uses min_angle, and also "
                                       "finds small gaps in depth that it misses, for other models."),
                io.Boolean.Input("clamp", default=True, advanced=True,
                                 tooltip="On: pulls everything in front of the border, so that the mesh is closed. "
                                         "Off: lets far content stick out through the border, as in the released "
                                         "code."),
                io.Float.Input("hidden_reach", default=0.0, min=0.0, max=1000.0, step=0.01, optional=True,
                               advanced=True,
                               tooltip="How far hidden faces reach behind their nearest corner, as a share of its "
                                       "depth, and less behind thin things. 0: all the way to the far side, as in "
                                       "EX-4D. 0.1 shows more of what the source has seen, for other models."),
                io.Float.Input("min_confidence", default=0.0, min=0.0, max=1.0, step=0.01, optional=True, advanced=True,
                               tooltip="Hides faces of which the depth model is less sure than this share, from 0, the "
                                       "least sure in the clip, to 1, the most sure. 0: off. Depth Anything 3 Small "
                                       "and Base say how sure they are; for other depth, it is how well neighboring "
                                       "frames agree."),
            ],
            outputs=[
                sockets.Mesh.Output("mesh", tooltip="One watertight mesh per frame."),
                io.Mask.Output("occluded", tooltip="Share of hidden faces around each pixel, 0..1, to check the mesh."),
            ],
        )

    @classmethod
    def execute(cls, images, depth, min_angle, border_depth, depth_jump, filter, clamp,
                hidden_reach=0.0, min_confidence=0.0) -> io.NodeOutput:
        frames = sockets.read_frames("images", images)
        if not hidden_reach >= 0:
            raise ValueError(f"hidden_reach: got {hidden_reach:g}, must be 0 or more; use 0 for faces that reach all "
                             "the way, as released")
        if depth_jump and not math.isfinite(depth.nearest):
            raise ValueError("depth_jump: frame 0 shows only sky, so there is no depth range to take a share of; use 0")
        rules = MeshRules(min_angle, depth_jump or None, filter, border_depth, clamp, hidden_reach or None,
                          min_confidence or None)
        depth = match_depth(frames, depth, resize=True)
        if min_confidence:
            depth = add_confidence(frames, depth, show_progress())
        mesh = build_dw_mesh(frames, depth, rules, show_progress())
        shares = torch.stack([occluded_share(occluded) for occluded in mesh.occluded])
        return io.NodeOutput(sockets.keep(mesh), sockets.as_mask(shares))


class EX4DMeshToMesh(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="EX4DMeshToMesh",
            display_name="Watertight Mesh to Mesh (EX-4D)",
            category="EX-4D/mesh",
            description="Converts one frame of a watertight mesh to ComfyUI's own mesh, for Save 3D Model.",
            search_aliases=["export mesh", "GLB", "preview 3d", "DW-Mesh to MESH"],
            inputs=[
                sockets.Mesh.Input("mesh", tooltip="Watertight meshes of a clip."),
                io.Int.Input("frame", default=0, min=0, max=9999, tooltip="Frame to convert, counted from 0."),
                io.Combo.Input("faces", options=["visible", "all"], default="visible",
                               tooltip="Which faces to keep. visible: keeps what the source camera saw. all: keeps the "
                                       "whole watertight mesh, which is as large as its border is far, with hidden "
                                       "faces black."),
                io.Boolean.Input("closed_ring", default=False, optional=True, advanced=True,
                                 tooltip="For all faces only. On: closes the border with a ring of faces, so that "
                                         "every edge has exactly two faces, as 3D printing needs. Off: closes it with "
                                         "two large faces, as in EX-4D."),
            ],
            outputs=[io.Mesh.Output("core_mesh", display_name="mesh",
                                    tooltip="Mesh of the frame, y up, z back, with unlit vertex colors.")],
        )

    @classmethod
    def execute(cls, mesh, frame, faces, closed_ring=False) -> io.NodeOutput:
        if frame >= len(mesh):
            raise ValueError(f"frame: the mesh does not have a frame {frame}; use 0..{len(mesh) - 1}")
        return io.NodeOutput(core_mesh(mesh, frame, faces == "visible", closed_ring))


def core_mesh(mesh: DWMesh, frame: int, visible: bool, closed_ring: bool = False) -> Types.MESH:
    """ComfyUI's mesh of one frame: glTF axes, linear colors. visible: without the hidden faces and their vertices.

    closed_ring: see DWMesh.faces.
    """
    points, rgba, faces = drawn_surface(mesh, frame, closed_ring)
    if visible:
        faces = mesh.visible_faces(frame)
    if not len(faces):
        raise ValueError(f"faces: frame {frame} does not have visible faces; use all, or lower min_angle in Build "
                         "Watertight Mesh")
    used, faces = faces.long().unique(return_inverse=True)  # viewers fit their view to unused vertices too
    colors = rgba[used, :3] * rgba[used, 3:]
    return Types.MESH(gltf_from_world(points[used])[None], faces[None],
                      vertex_colors=linear_from_srgb(colors)[None], unlit=True)
