"""Depth watertight meshes, and one frame of them as ComfyUI's own mesh."""

from __future__ import annotations

import math
from typing import get_args

import torch
from comfy_api.latest import Types, io

from ..ex4d_ops.depth import match_depth
from ..ex4d_ops.files.meshes import gltf_from_world, linear_from_srgb
from ..ex4d_ops.mesh import BORDER_DEPTH, MIN_ANGLE, DWMesh, Filter, MeshRules, build_dw_mesh, occluded_share
from . import sockets
from .progress import show_progress


class BuildDWMesh(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="BuildDWMesh",
            display_name="Build Watertight Mesh (EX-4D)",
            category="EX-4D/mesh",
            description="Turns every frame and its depth into a watertight mesh that knows its hidden surfaces. The "
                        "defaults are the released model's.",
            search_aliases=["DW-Mesh", "depth to mesh", "depth watertight mesh", "triangulate depth"],
            inputs=[
                io.Image.Input("images", tooltip="The source clip, as many frames as the depth."),
                sockets.Depth.Input("depth", tooltip="Its depth; resampled to the size of the images."),
                io.Float.Input("min_angle", default=MIN_ANGLE, min=0.0, max=60.0, step=0.1,
                               tooltip="Faces with a smaller angle are hidden, degrees: they span a depth edge. "
                                       "Released model: 2.5."),
                io.Float.Input("border_depth", default=BORDER_DEPTH, min=0.1, max=1e6, step=0.1, advanced=True,
                               tooltip="Depth of the border that closes the mesh, scene units. Released: 100."),
                io.Float.Input("depth_jump", default=0.0, min=0.0, max=1.0, step=0.001, advanced=True,
                               tooltip="Share of the depth range of frame 0; faces that span more are hidden too. 0: "
                                       "no such test, as released. Paper: 0.013."),
                io.Combo.Input("filter", options=list(get_args(Filter)), default="angle", advanced=True,
                               tooltip="How hidden faces are found: by min_angle, or by the released slope test in its "
                                       "place, which takes no setting."),
                io.Boolean.Input("clamp", default=True, advanced=True,
                                 tooltip="On: everything stays in front of the border, so that the surface is closed. "
                                         "Off: far content pokes through it, as in the released code."),
            ],
            outputs=[
                sockets.Mesh.Output("mesh", tooltip="One watertight mesh per frame."),
                io.Mask.Output("occluded", tooltip="The share of hidden faces around every pixel, 0..1, to look at."),
            ],
        )

    @classmethod
    def execute(cls, images, depth, min_angle, border_depth, depth_jump, filter, clamp) -> io.NodeOutput:
        frames = sockets.read_frames("images", images)
        if depth_jump and not math.isfinite(depth.nearest):
            raise ValueError("depth_jump: frame 0 shows only sky, which has no depth range to take a share of; use 0")
        rules = MeshRules(min_angle, depth_jump or None, filter, border_depth, clamp)
        mesh = build_dw_mesh(frames, match_depth(frames, depth, resize=True), rules, show_progress())
        shares = torch.stack([occluded_share(occluded) for occluded in mesh.occluded])
        return io.NodeOutput(sockets.keep(mesh), sockets.as_mask(shares))


class EX4DMeshToMesh(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="EX4DMeshToMesh",
            display_name="Watertight Mesh to Mesh (EX-4D)",
            category="EX-4D/mesh",
            description="One frame of a watertight mesh as ComfyUI's own mesh, for Save 3D Model.",
            search_aliases=["export mesh", "GLB", "preview 3d", "DW-Mesh to MESH"],
            inputs=[
                sockets.Mesh.Input("mesh", tooltip="The meshes of a clip."),
                io.Int.Input("frame", default=0, min=0, max=9999, tooltip="Which frame, counted from 0."),
                io.Combo.Input("faces", options=["visible", "all"], default="visible",
                               tooltip="visible: what the source camera saw. all: the whole watertight mesh, hidden "
                                       "parts black; it is as large as its border is far."),
                io.Boolean.Input("closed_ring", default=False, optional=True, advanced=True,
                                 tooltip="With all faces: close the border with a ring of faces, so that every edge "
                                         "has exactly two faces, as 3D printing needs. Off: the two large faces of the "
                                         "released model."),
            ],
            outputs=[io.Mesh.Output("core_mesh", display_name="mesh", tooltip="y up, z back, vertex colours, unlit.")],
        )

    @classmethod
    def execute(cls, mesh, frame, faces, closed_ring=False) -> io.NodeOutput:
        if frame >= len(mesh):
            raise ValueError(f"frame: there is no frame {frame}; the mesh has 0..{len(mesh) - 1}")
        return io.NodeOutput(core_mesh(mesh, frame, faces == "visible", closed_ring))


def core_mesh(mesh: DWMesh, frame: int, visible: bool, closed_ring: bool = False) -> Types.MESH:
    """ComfyUI's mesh of one frame: glTF axes, linear colors. visible: without the hidden faces and their vertices.

    closed_ring: see DWMesh.faces.
    """
    faces = mesh.visible_faces(frame) if visible else mesh.faces(closed_ring)
    if not len(faces):
        raise ValueError(f"faces: all of frame {frame} is hidden; take all, or lower min_angle where the mesh is built")
    used, faces = faces.long().unique(return_inverse=True)  # viewers fit their view to unused vertices too
    colors = mesh.colors[frame] * mesh.vertex_visible(frame)[..., None]
    return Types.MESH(gltf_from_world(mesh.vertices(frame)[used])[None], faces[None],
                      vertex_colors=linear_from_srgb(colors.reshape(-1, 3)[used])[None], unlit=True)
