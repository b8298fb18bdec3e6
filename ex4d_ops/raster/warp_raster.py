"""The fast engine: one kernel source for CPUs and CUDA, compiled by Warp when first used."""

from __future__ import annotations

import threading

import torch
import warp as wp
from torch import Tensor

from . import FAR, NEAR, Fragments
from .grid import SNAP, pixels_from_grid

wp.config.log_level = wp.LOG_WARNING
wp.set_module_options({"enable_backward": False, "fast_math": False})

F64 = wp.float64
MAP = wp.types.matrix(shape=(3, 4), dtype=wp.float64)
CORNERS = wp.types.matrix(shape=(3, 4), dtype=wp.float64)
SMALL = wp.constant(16)  # pixels; a quad whose box holds more waits in the queue
BEHIND = wp.constant(-1.0)  # in place of 1/z where a vertex is not beyond NEAR
NEAREST = wp.constant(F64(NEAR))
FARTHEST_INVERSE = wp.constant(1.0 / FAR)
ROUND = wp.constant(F64(SNAP))
ROUNDING = wp.constant(F64(1e-6))
LAST_FACE = wp.constant(wp.uint64(0xFFFFFFFF))


@wp.struct
class Sizes:
    rows: wp.int32
    columns: wp.int32
    height: wp.int32
    width: wp.int32


@wp.func
def lift(depth: wp.float32, i: wp.int32, j: wp.int32, m: MAP) -> wp.vec3d:
    """Homogeneous pixel (x z, y z, z) of a vertex."""
    d, u, v = F64(depth), F64(j), F64(i)
    return wp.vec3d(
        d * (m[0, 0] * u + (m[0, 1] * v + m[0, 2])) + m[0, 3],
        d * (m[1, 0] * u + (m[1, 1] * v + m[1, 2])) + m[1, 3],
        d * (m[2, 0] * u + (m[2, 1] * v + m[2, 2])) + m[2, 3])


@wp.kernel
def place_vertices(depth: wp.array(dtype=wp.float32), maps: wp.array(dtype=MAP), sizes: Sizes, span: wp.int32,
                   xs: wp.array(dtype=wp.float32), ys: wp.array(dtype=wp.float32), ws: wp.array(dtype=wp.float32)):
    spans = (sizes.columns + span - 1) / span
    i = wp.tid() / spans
    first = (wp.tid() - i * spans) * span
    m = maps[0]
    for j in range(first, wp.min(first + span, sizes.columns)):
        v = i * sizes.columns + j
        p = lift(depth[v], i, j, m)
        w = F64(1.0) / p[2]
        xs[v] = wp.float32(p[0] * w + ROUND - ROUND)
        ys[v] = wp.float32(p[1] * w + ROUND - ROUND)
        ws[v] = wp.where(p[2] >= NEAREST, wp.float32(w), BEHIND)


@wp.func
def key(inverse_z: wp.float32, face: wp.int32) -> wp.uint64:
    return (wp.uint64(wp.cast(inverse_z, wp.uint32)) << wp.uint64(32)) | (LAST_FACE - wp.uint64(face))


@wp.func
def cross(p: wp.vec2d, q: wp.vec2d) -> wp.float64:
    return p[0] * q[1] - p[1] * q[0]


@wp.func
def draw_pixel(keys: wp.array(dtype=wp.uint64), pixel: wp.int32, face: wp.int32,
               ep: wp.float64, eq: wp.float64, er: wp.float64, wp_: wp.float32, wq: wp.float32, wr: wp.float32):
    if wp.min(wp.min(ep, eq), er) >= F64(0.0) or wp.max(wp.max(ep, eq), er) <= F64(0.0):
        total = ep + eq + er
        if total != F64(0.0):
            w = (ep * F64(wp_) + eq * F64(wq) + er * F64(wr)) / total
            wp.atomic_max(keys, pixel, key(wp.float32(w), face))


@wp.kernel
def draw_quads(xs: wp.array(dtype=wp.float32), ys: wp.array(dtype=wp.float32), ws: wp.array(dtype=wp.float32),
               sizes: Sizes, span: wp.int32, keys: wp.array(dtype=wp.uint64),
               queue: wp.array(dtype=wp.int32), count: wp.array(dtype=wp.int32)):
    across = sizes.columns - 1
    quads = (sizes.rows - 1) * across
    spans = (across + span - 1) / span
    i = wp.tid() / spans
    first = (wp.tid() - i * spans) * span
    top = i * sizes.columns
    low = top + sizes.columns
    right = wp.float32(sizes.width - 1)
    bottom = wp.float32(sizes.height - 1)
    ax = xs[top + first]
    ay = ys[top + first]
    aw = ws[top + first]
    cx = xs[low + first]
    cy = ys[low + first]
    cw = ws[low + first]
    for j in range(first, wp.min(first + span, across)):
        bx = xs[top + j + 1]
        by = ys[top + j + 1]
        bw = ws[top + j + 1]
        dx = xs[low + j + 1]
        dy = ys[low + j + 1]
        dw = ws[low + j + 1]
        if wp.min(wp.min(aw, bw), wp.min(cw, dw)) > 0.0:
            x0 = wp.max(wp.min(wp.min(ax, bx), wp.min(cx, dx)), 0.0)
            x1 = wp.min(wp.max(wp.max(ax, bx), wp.max(cx, dx)), right)
            y0 = wp.max(wp.min(wp.min(ay, by), wp.min(cy, dy)), 0.0)
            y1 = wp.min(wp.max(wp.max(ay, by), wp.max(cy, dy)), bottom)
            if x0 <= x1 and y0 <= y1:
                px0 = wp.int32(wp.ceil(x0))
                px1 = wp.int32(x1)
                py0 = wp.int32(wp.ceil(y0))
                py1 = wp.int32(y1)
                if px0 <= px1 and py0 <= py1:
                    quad = i * across + j
                    if (px1 - px0 + 1) * (py1 - py0 + 1) <= SMALL:
                        for y in range(py0, py1 + 1):
                            for x in range(px0, px1 + 1):
                                fx = F64(x)
                                fy = F64(y)
                                a = wp.vec2d(F64(ax) - fx, F64(ay) - fy)
                                b = wp.vec2d(F64(bx) - fx, F64(by) - fy)
                                c = wp.vec2d(F64(cx) - fx, F64(cy) - fy)
                                d = wp.vec2d(F64(dx) - fx, F64(dy) - fy)
                                shared = cross(b, c)
                                pixel = y * sizes.width + x
                                draw_pixel(keys, pixel, quad, cross(a, b), shared, cross(c, a), cw, aw, bw)
                                draw_pixel(keys, pixel, quad + quads, cross(b, d), cross(d, c), -shared, cw, bw, dw)
                    else:
                        queue[wp.atomic_add(count, 0, 1)] = quad
        elif wp.max(wp.max(aw, bw), wp.max(cw, dw)) > 0.0:
            queue[wp.atomic_add(count, 0, 1)] = i * across + j
        ax = bx
        ay = by
        aw = bw
        cx = dx
        cy = dy
        cw = dw


@wp.func
def face_vertices(face: wp.int32, sizes: Sizes) -> wp.vec3i:
    across = sizes.columns - 1
    quads = (sizes.rows - 1) * across
    last = sizes.rows * sizes.columns - 1
    if face == 2 * quads:
        return wp.vec3i(across, 0, last)
    if face > 2 * quads:
        return wp.vec3i(last, 0, last - across)
    if face < quads:
        top_left = face + face / across
        return wp.vec3i(top_left + sizes.columns, top_left, top_left + 1)
    top_left = (face - quads) + (face - quads) / across
    return wp.vec3i(top_left + sizes.columns, top_left + 1, top_left + sizes.columns + 1)


@wp.func
def vertex(v: wp.int32, depth: wp.array(dtype=wp.float32), m: MAP, sizes: Sizes, xs: wp.array(dtype=wp.float32),
           ys: wp.array(dtype=wp.float32), ws: wp.array(dtype=wp.float32)) -> wp.vec4d:
    """Homogeneous pixel of a vertex: (x, y, 1, 1/z) beyond NEAR, else (x z, y z, z, 1)."""
    w = ws[v]
    if w > 0.0:
        return wp.vec4d(F64(xs[v]), F64(ys[v]), F64(1.0), F64(w))
    i = v / sizes.columns
    p = lift(depth[v], i, v - i * sizes.columns, m)
    return wp.vec4d(p[0], p[1], p[2], F64(1.0))


@wp.func
def seen_from(p: wp.vec4d, x: wp.float64, y: wp.float64) -> wp.vec2d:
    return wp.vec2d(p[0] - x * p[2], p[1] - y * p[2])


@wp.func
def edge_functions(p: wp.vec4d, q: wp.vec4d, r: wp.vec4d, x: wp.float64, y: wp.float64) -> wp.vec3d:
    a = seen_from(p, x, y)
    b = seen_from(q, x, y)
    c = seen_from(r, x, y)
    return wp.vec3d(cross(b, c), cross(c, a), cross(a, b))


@wp.func
def touched(p: wp.vec4d, q: wp.vec4d, axis: wp.int32, bounds: wp.vec2d) -> wp.vec2d:
    """Widen bounds by the part of the edge pq beyond NEAR."""
    z = p[2] / p[3]
    next_z = q[2] / q[3]
    low = bounds[0]
    high = bounds[1]
    if z >= NEAREST:
        low = wp.min(low, p[axis] / p[2])
        high = wp.max(high, p[axis] / p[2])
    if (z >= NEAREST) != (next_z >= NEAREST):
        share = (NEAREST - z) / (next_z - z)
        cut = (p[axis] / p[3] + share * (q[axis] / q[3] - p[axis] / p[3])) / NEAREST
        low = wp.min(low, cut)
        high = wp.max(high, cut)
    return wp.vec2d(low, high)


@wp.func
def draw_rows(keys: wp.array(dtype=wp.uint64), face: wp.int32, p: wp.vec4d, q: wp.vec4d, r: wp.vec4d, sizes: Sizes,
              lane: wp.int32, lanes: wp.int32):
    bounds = wp.vec2d(F64(1e30), F64(-1e30))
    bounds = touched(p, q, 1, bounds)
    bounds = touched(q, r, 1, bounds)
    bounds = touched(r, p, 1, bounds)
    first = wp.max(bounds[0] - ROUNDING, F64(0.0))
    last = wp.min(bounds[1] + ROUNDING, F64(sizes.height - 1))
    if first <= last:
        for y in range(wp.int32(wp.ceil(first)) + lane, wp.int32(last) + 1, lanes):
            fy = F64(y)
            start = edge_functions(p, q, r, F64(0.0), fy)
            slope = edge_functions(p, q, r, F64(1.0), fy) - start
            facing = wp.sign(start[0] * p[2] + start[1] * q[2] + start[2] * r[2])
            x0 = F64(0.0)
            x1 = F64(sizes.width - 1)
            for k in range(3):
                s = slope[k] * facing
                zero = -start[k] / slope[k]
                if s > F64(0.0):
                    x0 = wp.max(x0, zero - ROUNDING)
                if s < F64(0.0):
                    x1 = wp.min(x1, zero + ROUNDING)
            if x0 <= x1:
                for x in range(wp.int32(wp.ceil(x0)), wp.int32(x1) + 1):
                    e = edge_functions(p, q, r, F64(x), fy)
                    if wp.min(e) >= F64(0.0) or wp.max(e) <= F64(0.0):
                        w = (e[0] * p[3] + e[1] * q[3] + e[2] * r[3]) / (e[0] * p[2] + e[1] * q[2] + e[2] * r[2])
                        if w > F64(0.0) and w <= F64(1.0) / NEAREST:
                            wp.atomic_max(keys, y * sizes.width + x, key(wp.float32(w), face))


@wp.kernel
def draw_queue(depth: wp.array(dtype=wp.float32), maps: wp.array(dtype=MAP), sizes: Sizes,
               xs: wp.array(dtype=wp.float32), ys: wp.array(dtype=wp.float32), ws: wp.array(dtype=wp.float32),
               keys: wp.array(dtype=wp.uint64), queue: wp.array(dtype=wp.int32), count: wp.array(dtype=wp.int32),
               groups: wp.int32, lanes: wp.int32):
    group = wp.tid() / lanes
    lane = wp.tid() - group * lanes
    quads = (sizes.rows - 1) * (sizes.columns - 1)
    m = maps[0]
    for item in range(group, 2 * count[0] + 2, groups):
        face = 2 * quads + item
        if item >= 2:
            face = queue[item / 2 - 1] + (item % 2) * quads
        v = face_vertices(face, sizes)
        p = vertex(v[0], depth, m, sizes, xs, ys, ws)
        q = vertex(v[1], depth, m, sizes, xs, ys, ws)
        r = vertex(v[2], depth, m, sizes, xs, ys, ws)
        draw_rows(keys, face, p, q, r, sizes, lane, lanes)


@wp.kernel
def shade(depth: wp.array(dtype=wp.float32), rgba: wp.array(dtype=wp.vec4), maps: wp.array(dtype=MAP), sizes: Sizes,
          span: wp.int32,
          xs: wp.array(dtype=wp.float32), ys: wp.array(dtype=wp.float32), ws: wp.array(dtype=wp.float32),
          keys: wp.array(dtype=wp.uint64), colors: wp.array(dtype=wp.vec4), depths: wp.array(dtype=wp.float32),
          faces: wp.array(dtype=wp.int32)):
    spans = (sizes.width + span - 1) / span
    y = wp.tid() / spans
    first = (wp.tid() - y * spans) * span
    m = maps[0]
    for x in range(first, wp.min(first + span, sizes.width)):
        pixel = y * sizes.width + x
        k = keys[pixel]
        low = k & LAST_FACE
        if low == wp.uint64(0):
            colors[pixel] = wp.vec4(0.0, 0.0, 0.0, 0.0)
            depths[pixel] = wp.inf
            faces[pixel] = -1
        else:
            face = wp.int32(LAST_FACE - low)
            v = face_vertices(face, sizes)
            p = vertex(v[0], depth, m, sizes, xs, ys, ws)
            q = vertex(v[1], depth, m, sizes, xs, ys, ws)
            r = vertex(v[2], depth, m, sizes, xs, ys, ws)
            e = wp.cw_mul(edge_functions(p, q, r, F64(x), F64(y)), wp.vec3d(p[3], q[3], r[3]))
            e = e / (e[0] + e[1] + e[2])
            colors[pixel] = wp.float32(e[0]) * rgba[v[0]] + wp.float32(e[1]) * rgba[v[1]] + wp.float32(e[2]) * rgba[v[2]]
            depths[pixel] = 1.0 / wp.cast(wp.uint32(k >> wp.uint64(32)), wp.float32)
            faces[pixel] = face


def find_obstacle(device: torch.device) -> str | None:
    """Why the kernels can't run on device and what to do about it; None where they can. Compiles them if need be."""
    with compiling:
        try:
            wp.load_module(wp.get_module(__name__), wp.get_device(str(device)))
        except Exception as error:  # Warp raises nothing narrower where there is no driver, or an old one, or an old GPU
            return f"{str(error).splitlines()[0]}; it needs driver R580 or newer and a Turing GPU or newer"


compiling = threading.Lock()
wp.init()


def draw(depth: Tensor, rgba: Tensor, intrinsics: Tensor, cam_from_mesh: Tensor, cam_intrinsics: Tensor,
         size: tuple[int, int]) -> Fragments:
    """Draw one depth grid; see rasterize."""
    (rows, columns), (height, width) = depth.shape, size
    device = wp.device_from_torch(depth.device)
    sizes = Sizes()
    sizes.rows, sizes.columns, sizes.height, sizes.width = rows, columns, height, width
    maps = pixels_from_grid(intrinsics, cam_from_mesh, cam_intrinsics)
    wrap = wp.from_torch
    maps = wrap(maps[None].contiguous(), dtype=MAP)
    cpu = depth.device.type == "cpu"
    span = 1 << 30 if cpu else 4
    groups, lanes = (1, 1) if cpu else (2048, 32)
    new = depth.new_empty
    xs, ys, ws = (wrap(new(rows * columns)) for _ in range(3))
    empty = int(torch.tensor(1 / FAR, dtype=torch.float32).view(torch.int32)) << 32
    keys = torch.full((height * width,), empty, dtype=torch.int64, device=depth.device)
    keys = wrap(keys, dtype=wp.uint64)
    queue, count = wrap(new(rows * columns, dtype=torch.int32)), wrap(torch.zeros(1, dtype=torch.int32, device=depth.device))
    out = Fragments(new(height, width, 4), new(height, width), new(height, width, dtype=torch.int32))
    d, c = wrap(depth.reshape(-1)), wrap(rgba.reshape(-1, 4), dtype=wp.vec4)

    def threads(r, c):
        return r * -(-c // min(span, c))
    wp.launch(place_vertices, threads(rows, columns), [d, maps, sizes, min(span, columns), xs, ys, ws], device=device)
    wp.launch(draw_quads, threads(rows - 1, columns - 1), [xs, ys, ws, sizes, min(span, columns - 1), keys, queue, count], device=device)
    wp.launch(draw_queue, groups * lanes, [d, maps, sizes, xs, ys, ws, keys, queue, count, groups, lanes], device=device)
    wp.launch(shade, threads(height, width), [d, c, maps, sizes, min(span, width), xs, ys, ws, keys, wrap(out.rgba.reshape(-1, 4), dtype=wp.vec4), wrap(out.depth.reshape(-1)), wrap(out.face.reshape(-1))], device=device)
    return out
