"""What the engines are measured against: the released way to build the mesh, and other ways to draw it.

Each renderer draws a View: draw() is timed and returns what the renderer itself answers, picture() makes Fragments of
that and is not. A renderer that can't run here raises Missing, which says what to install.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from ex4d_ops.camera import invert_rigid, lift, pixel_centers
from ex4d_ops.mesh import grid_faces
from ex4d_ops.raster import FAR, NEAR, Fragments, rasterize, torch_raster
from ex4d_ops.raster.grid import pixels_from_grid, place_vertices

MIN_ANGLE = math.radians(2.5)
BORDER_DEPTH = 100.0


class Missing(Exception):
    """A renderer that can't run on this machine, and what it lacks."""


# ---- the mesh ------------------------------------------------------------------------------------


def build_released_mesh(depth: Tensor, frame: Tensor, intrinsics: Tensor, faces: Tensor) -> tuple[Tensor, Tensor]:
    """Vertices [N, 3] and their RGBA [N, 4] of one frame, step by step as the released code builds them.

    depth: [H, W]; frame: [H, W, 3]; faces: [F, 3] int64. It gathers the vertices of every face, takes the arccosine of
    all three angles and writes zeros to the vertices of faces with a smaller one than 2.5 degrees.
    """
    depth = depth.clamp(max=BORDER_DEPTH)
    depth[0], depth[-1], depth[:, 0], depth[:, -1] = BORDER_DEPTH, BORDER_DEPTH, BORDER_DEPTH, BORDER_DEPTH
    vertices = lift(depth, intrinsics).reshape(-1, 3)
    rgba = torch.cat([frame.reshape(-1, 3), torch.ones_like(vertices[:, :1])], 1)

    p, q, r = vertices[faces].unbind(1)  # [F, 3] each
    angles = torch.stack([angle_between(q - p, r - p), angle_between(p - q, r - q), angle_between(p - r, q - r)], 1)
    hidden = faces[angles.amin(1) < MIN_ANGLE]
    rgba.index_put_((hidden.reshape(-1),), rgba.new_zeros(4))
    return vertices, rgba


def angle_between(a: Tensor, b: Tensor) -> Tensor:
    """Radians between vectors [F, 3]."""
    cosine = (a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1)).clamp(min=1e-12)
    return torch.acos(cosine.clamp(-1, 1))


# ---- the picture ---------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class View:
    """One mesh of a depth grid and one camera, as rasterize takes them, and what ray tracers take in their place."""

    depth: Tensor
    rgba: Tensor
    intrinsics: Tensor
    cam_from_mesh: Tensor
    cam_intrinsics: Tensor
    size: tuple[int, int]

    @cached_property
    def vertices(self) -> np.ndarray:
        return lift(self.depth, self.intrinsics).reshape(-1, 3).numpy()

    @cached_property
    def faces(self) -> np.ndarray:
        return grid_faces(tuple(self.depth.shape)).numpy()

    @cached_property
    def rays(self) -> tuple[np.ndarray, np.ndarray]:
        """Origin and direction of every pixel's ray, [h*w, 3] each, z = 1 in the camera."""
        mesh_from_cam = invert_rigid(self.cam_from_mesh)
        pixels = torch.nn.functional.pad(pixel_centers(self.size).reshape(-1, 2), (0, 1), value=1.0)
        directions = pixels @ torch.linalg.inv(self.cam_intrinsics).T @ mesh_from_cam[:3, :3].T
        return mesh_from_cam[:3, 3].expand_as(directions).contiguous().numpy(), directions.contiguous().numpy()

    def picture(self, face: Tensor) -> Fragments:
        """The exact picture in which each pixel [h*w] sees this face, -1 for none."""
        points = place_vertices(self.depth, pixels_from_grid(self.intrinsics, self.cam_from_mesh, self.cam_intrinsics))
        keys = torch.where(face >= 0, torch_raster.pack(torch.ones_like(face), face), 0)
        return torch_raster.shade(keys, points, self.rgba, self.size)


class Ours:
    """An engine of this library."""

    def __init__(self, engine: str) -> None:
        self.engine = engine

    def draw(self, view: View) -> Fragments:
        return rasterize(view.depth, view.rgba, view.intrinsics, view.cam_from_mesh, view.cam_intrinsics, view.size,
                         self.engine)

    def picture(self, view: View, drawn: Fragments) -> Fragments:
        return drawn


class MemoryFloor:
    """No renderer: it moves the bytes that each must, depth and colors in, color, depth and face out."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.out = Fragments(torch.zeros(*size, 4), torch.zeros(size), torch.zeros(size, dtype=torch.int32))

    def draw(self, view: View) -> None:
        self.out.rgba.copy_(view.rgba)
        self.out.depth.copy_(view.depth)
        self.out.face.fill_(-1)


class Embree:
    """Intel Embree by way of embreex. A frame is a new mesh, so building its tree is part of drawing it."""

    def __init__(self) -> None:
        try:
            from embreex.mesh_construction import TriangleMesh
            from embreex.rtcore_scene import EmbreeScene
        except ImportError as error:
            raise Missing(f"{error}; pip install embreex") from None
        self.TriangleMesh, self.Scene = TriangleMesh, EmbreeScene

    def draw(self, view: View) -> np.ndarray:
        scene = self.Scene()
        self.TriangleMesh(scene, view.vertices, view.faces)
        return scene.run(*view.rays)

    def picture(self, view: View, drawn: np.ndarray) -> Fragments:
        return view.picture(torch.from_numpy(drawn).long())


class Open3D:
    """Open3D's RaycastingScene; building its tree is part of drawing."""

    def __init__(self) -> None:
        try:
            import open3d
        except (ImportError, OSError) as error:
            raise Missing(f"{error}; pip install open3d, apt-get install libusb-1.0-0 libgl1 libgomp1") from None
        self.Tensor, self.Scene = open3d.core.Tensor, open3d.t.geometry.RaycastingScene

    def draw(self, view: View) -> np.ndarray:
        scene = self.Scene(nthreads=1)
        scene.add_triangles(self.Tensor(view.vertices), self.Tensor(view.faces.view(np.uint32)))
        return scene.cast_rays(self.Tensor(np.hstack(view.rays)), nthreads=1)["primitive_ids"].numpy()

    def picture(self, view: View, drawn: np.ndarray) -> Fragments:
        return view.picture(torch.from_numpy(drawn.view(np.int32)).long())


VERTEX_SHADER = """
#version 330
uniform sampler2D depth;     // of the grid
uniform sampler2D rgba;
uniform mat4 clip_from_grid;  // times (j d, i d, d, 1)
out vec4 color;
void main() {
    ivec2 size = textureSize(depth, 0);
    ivec2 at = ivec2(gl_VertexID % size.x, gl_VertexID / size.x);
    float d = texelFetch(depth, at, 0).r;
    color = texelFetch(rgba, at, 0);
    gl_Position = clip_from_grid * vec4(vec2(at) * d, d, 1.0);
}
"""
FRAGMENT_SHADER = """
#version 330
uniform float near;
in vec4 color;
layout(location = 0) out vec4 seen_color;
layout(location = 1) out float seen_depth;
layout(location = 2) out int seen_face;
void main() {
    seen_color = color;
    seen_depth = 1.0 / gl_FragCoord.w;
    seen_face = gl_PrimitiveID;
    gl_FragDepth = near * gl_FragCoord.w;  // 1/z, precise far away too
}
"""


class LlvmPipe:
    """OpenGL in software (Mesa llvmpipe): the vertices are lifted from the depth map, color, depth and face read back.

    The mesh's faces are uploaded once.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        os.environ |= {"LIBGL_ALWAYS_SOFTWARE": "1", "LP_NUM_THREADS": "1"}  # read when the context is made
        try:
            import moderngl

            self.context = moderngl.create_context(standalone=True, backend="egl", require=330, libegl="libEGL.so.1",
                                                   libgl="libGL.so.1")
        except Exception as error:  # the wrapper raises whatever the system's EGL makes it raise
            raise Missing(f"{error}; pip install moderngl, apt-get install libegl1 libgl1 libgl1-mesa-dri") from None
        height, width = size
        self.program = self.context.program(vertex_shader=VERTEX_SHADER, fragment_shader=FRAGMENT_SHADER)
        self.program["depth"], self.program["rgba"], self.program["near"] = 0, 1, NEAR
        self.inputs = [self.context.texture((width, height), channels, dtype="f4") for channels in (1, 4)]
        faces = self.context.buffer(grid_faces(size).numpy())
        self.mesh = self.context.vertex_array(self.program, [], index_buffer=faces)
        self.outputs = [self.context.texture((width, height), channels, dtype=kind)
                        for channels, kind in ((4, "f4"), (1, "f4"), (1, "i4"))]
        self.target = self.context.framebuffer(self.outputs, self.context.depth_texture((width, height)))
        self.context.enable_only(moderngl.DEPTH_TEST)
        self.context.depth_func = ">"

    def draw(self, view: View) -> list[np.ndarray]:
        for unit, (texture, values) in enumerate(zip(self.inputs, (view.depth, view.rgba))):
            texture.write(values.numpy())
            texture.use(unit)
        self.program["clip_from_grid"].write(self.clip_from_grid(view).T.tobytes())
        self.target.use()
        self.target.clear(depth=0.0)
        self.mesh.render()
        return [np.frombuffer(texture.read(), kind) for texture, kind in zip(self.outputs, ("f4", "f4", "i4"))]

    def clip_from_grid(self, view: View) -> np.ndarray:
        """Float32 [4, 4] that takes (j d, i d, d, 1) to GL's clip space; rows run downwards here."""
        height, width = view.size
        x, y, z = pixels_from_grid(view.intrinsics, view.cam_from_mesh, view.cam_intrinsics).numpy()  # whole = centres
        near = np.array([0, 0, 0, NEAR])
        depth = (FAR + NEAR) / (FAR - NEAR) * z - 2 * FAR / (FAR - NEAR) * near
        return np.stack([2 * x / width + z / width - z, 2 * y / height + z / height - z, depth, z]).astype(np.float32)

    def picture(self, view: View, drawn: list[np.ndarray]) -> Fragments:
        color, depth, face = (torch.from_numpy(values.copy()).view(*view.size, -1) for values in drawn)
        missed = depth[..., 0] == 0
        return Fragments(color, depth[..., 0].masked_fill(missed, torch.inf), face[..., 0].masked_fill(missed, -1))
