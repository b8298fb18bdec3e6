"""The kernels that color what each pixel sees, see warp_kernels.py."""
# pyright: reportInvalidTypeForm=false

from __future__ import annotations

from .warp_kernels import F64, LAST_FACE, Sizes, edge_functions, face_vertices, wp

wp.set_module_options({"enable_backward": False, "fast_math": False})
wp.get_module(__name__).name = "ex4d_shading"


@wp.func
def face_of(kept: wp.uint64) -> wp.int32:
    """The face of a key, -1 where nothing is hit."""
    low = kept & LAST_FACE
    return wp.where(low == wp.uint64(0), -1, wp.int32(LAST_FACE - low))


@wp.func
def depth_of(kept: wp.uint64) -> wp.float32:
    return 1.0 / wp.cast(wp.uint32(kept >> wp.uint64(32)), wp.float32)


@wp.func
def shares_of(v: wp.vec3i, points: wp.array(dtype=wp.vec4), x: wp.int32, y: wp.int32) -> wp.vec3:
    """How much each vertex of a face adds to what a pixel sees."""
    p = points[v[0]]
    q = points[v[1]]
    r = points[v[2]]
    e = wp.cw_mul(edge_functions(p, q, r, F64(x), F64(y)), wp.vec3d(F64(p[3]), F64(q[3]), F64(r[3])))
    share = F64(1.0) / (e[0] + e[1] + e[2])
    return wp.vec3(wp.float32(e[0] * share), wp.float32(e[1] * share), wp.float32(e[2] * share))


@wp.kernel
def shade(sizes: Sizes, span: wp.int32, points: wp.array(dtype=wp.vec4), keys: wp.array(dtype=wp.uint64),
          rgba: wp.array(dtype=wp.vec4), colors: wp.array(dtype=wp.vec4), depths: wp.array(dtype=wp.float32),
          faces: wp.array(dtype=wp.int32)):
    """Blend the vertices of the face that each pixel keeps."""
    spans = (sizes.width + span - 1) / span
    y = wp.tid() / spans
    first = (wp.tid() - y * spans) * span
    for x in range(first, wp.min(first + span, sizes.width)):
        pixel = y * sizes.width + x
        face = face_of(keys[pixel])
        color = wp.vec4(0.0, 0.0, 0.0, 0.0)
        depth = wp.float32(wp.inf)
        if face >= 0:
            v = face_vertices(face, sizes)
            share = shares_of(v, points, x, y)
            color = share[0] * rgba[v[0]] + share[1] * rgba[v[1]] + share[2] * rgba[v[2]]
            depth = depth_of(keys[pixel])
        colors[pixel] = color
        depths[pixel] = depth
        faces[pixel] = face


@wp.kernel
def shade_faces(sizes: Sizes, span: wp.int32, points: wp.array(dtype=wp.vec4), keys: wp.array(dtype=wp.uint64),
                rgb: wp.array(dtype=wp.vec3), hidden: wp.array(dtype=wp.bool), colors: wp.array(dtype=wp.vec4),
                depths: wp.array(dtype=wp.float32), faces: wp.array(dtype=wp.int32)):
    """Blend the vertices of the face that each pixel keeps; hidden faces and the back are transparent."""
    spans = (sizes.width + span - 1) / span
    quads = (sizes.rows - 1) * (sizes.columns - 1)
    y = wp.tid() / spans
    first = (wp.tid() - y * spans) * span
    for x in range(first, wp.min(first + span, sizes.width)):
        pixel = y * sizes.width + x
        face = face_of(keys[pixel])
        color = wp.vec3(0.0, 0.0, 0.0)
        alpha = wp.float32(0.0)
        depth = wp.float32(wp.inf)
        if face >= 0:
            v = face_vertices(face, sizes)
            share = shares_of(v, points, x, y)
            color = share[0] * rgb[v[0]] + share[1] * rgb[v[1]] + share[2] * rgb[v[2]]
            depth = depth_of(keys[pixel])
            lower = wp.where(face >= quads, 1, 0)
            if face < 2 * quads:
                alpha = wp.where(hidden[2 * (face - lower * quads) + lower], 0.0, 1.0)
        colors[pixel] = wp.vec4(color[0], color[1], color[2], alpha)
        depths[pixel] = depth
        faces[pixel] = face
