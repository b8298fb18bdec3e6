"""The kernels that find what each pixel sees, one source for CPUs and CUDA. warp_raster.py launches them."""
# pyright: reportInvalidTypeForm=false
# Kernels are written in Warp's language, whose types are made by calls.

from __future__ import annotations

from typing import Any

import torch
import warp

from . import FAR, NEAR
from .grid import SNAP

wp: Any = warp  # its stubs tell what calls from Python take, not what kernels do

wp.config.log_level = wp.LOG_WARNING
wp.set_module_options({"enable_backward": False, "fast_math": False})
# Warp names its files after the module, and ComfyUI names the modules of a pack after the folder they lie in.
wp.get_module(__name__).name = "ex4d_raster"

F64 = wp.float64
MAP = wp.types.matrix(shape=(3, 4), dtype=wp.float64)
SMALL = wp.constant(16)  # pixels; a quad whose box holds more waits in the queue
NARROW = wp.constant(2048.0)  # pixels; the edge functions of wider quads are not exact where they grow step by step
NEAREST = wp.constant(F64(NEAR))
ROUND = wp.constant(F64(SNAP))
ROUNDING = wp.constant(F64(1e-6))
LAST_FACE = wp.constant(wp.uint64(0xFFFFFFFF))
FARTHEST = int(torch.tensor(1 / FAR).view(torch.int32)) << 32  # the key of what lies at FAR, less than any face's


@wp.struct
class Sizes:
    rows: wp.int32
    columns: wp.int32
    height: wp.int32
    width: wp.int32


@wp.func
def less(a: Any, b: Any):
    """The smaller of two; unlike wp.min one instruction, for it may answer either where one is NaN."""
    return wp.where(a < b, a, b)


@wp.func
def more(a: Any, b: Any):
    return wp.where(a > b, a, b)


@wp.func
def less_each(a: wp.vec4, b: wp.vec4):
    return wp.vec4(less(a[0], b[0]), less(a[1], b[1]), less(a[2], b[2]), less(a[3], b[3]))


@wp.func
def more_each(a: wp.vec4, b: wp.vec4):
    return wp.vec4(more(a[0], b[0]), more(a[1], b[1]), more(a[2], b[2]), more(a[3], b[3]))


@wp.kernel
def place_vertices(sizes: Sizes, span: wp.int32, depth: wp.array(dtype=wp.float32), maps: wp.array(dtype=MAP),
                   points: wp.array(dtype=wp.vec4)):
    """Write where the vertices lie in the target: grid.place_vertices."""
    spans = (sizes.columns + span - 1) / span
    i = wp.tid() / spans
    first = (wp.tid() - i * spans) * span
    m = maps[0]
    v = F64(i)
    for j in range(first, wp.min(first + span, sizes.columns)):
        k = i * sizes.columns + j
        d = F64(depth[k])
        u = F64(j)
        x = d * (m[0, 0] * u + (m[0, 1] * v + m[0, 2])) + m[0, 3]
        y = d * (m[1, 0] * u + (m[1, 1] * v + m[1, 2])) + m[1, 3]
        z = d * (m[2, 0] * u + (m[2, 1] * v + m[2, 2])) + m[2, 3]
        w = F64(1.0) / z
        if z >= NEAREST:
            x = x * w + ROUND - ROUND
            y = y * w + ROUND - ROUND
            points[k] = wp.vec4(wp.float32(x), wp.float32(y), 1.0, wp.float32(w))
        else:
            points[k] = wp.vec4(wp.float32(x), wp.float32(y), wp.float32(z), 1.0)


@wp.func
def key(inverse_z: wp.float32, face: wp.int32) -> wp.uint64:
    """A number that is larger for the nearer face, then for the lower one: so the order of threads can't matter."""
    return (wp.uint64(wp.cast(inverse_z, wp.uint32)) << wp.uint64(32)) | (LAST_FACE - wp.uint64(face))


@wp.func
def cross(p: wp.vec2d, q: wp.vec2d) -> wp.float64:
    return p[0] * q[1] - p[1] * q[0]


@wp.func
def inside(edges: wp.vec3d) -> wp.bool:
    """Whether a pixel with these edge functions lies in the face, whichever way it winds."""
    return less(less(edges[0], edges[1]), edges[2]) >= F64(0.0) or more(more(edges[0], edges[1]), edges[2]) <= F64(0.0)


@wp.func
def draw_pixel(keys: wp.array(dtype=wp.uint64), pixel: wp.int32, face: wp.int32, edges: wp.vec3d, area: wp.float64,
               inverse_z: wp.vec3d, depth: wp.vec3d, limit: wp.float32):
    """Keep a face whose vertices lie beyond NEAR where it is nearer than what the pixel holds, and not cut off."""
    if inside(edges) and area != F64(0.0) and before(limit, edges, inverse_z, depth):
        wp.atomic_max(keys, pixel, key(wp.float32(wp.dot(edges, inverse_z) / area), face))


@wp.func
def before(limit: wp.float32, edges: wp.vec3d, once: wp.vec3d, depth: wp.vec3d) -> wp.bool:
    """Whether a face with these depths in the grid's camera at its corners is within its limit of them in a pixel."""
    return limit == wp.inf or wp.dot(wp.cw_mul(edges, once), depth) / wp.dot(edges, once) <= F64(limit)


@wp.func
def seen_from(p: wp.vec4, x: wp.float64, y: wp.float64) -> wp.vec2d:
    return wp.vec2d(F64(p[0]) - x, F64(p[1]) - y)


@wp.func
def draw_small_quad(keys: wp.array(dtype=wp.uint64), width: wp.int32, quad: wp.int32, quads: wp.int32, a: wp.vec4,
                    b: wp.vec4, c: wp.vec4, d: wp.vec4, depth: wp.vec4, limit: wp.vec2, box: wp.vec4i):
    """Draw both faces of a quad into its box (x0, x1, y0, y1). depth: of a, b, c, d in the grid's camera.

    The edge functions of the box's first pixel grow by the same from each pixel to the next: exactly so, for corners
    lie on multiples of 1/2^14 px.
    """
    upper_z = wp.vec3d(F64(c[3]), F64(a[3]), F64(b[3]))
    lower_z = wp.vec3d(F64(c[3]), F64(b[3]), F64(d[3]))
    upper_depth = wp.vec3d(F64(depth[2]), F64(depth[0]), F64(depth[1]))
    lower_depth = wp.vec3d(F64(depth[2]), F64(depth[1]), F64(depth[3]))
    from_a = seen_from(a, F64(box[0]), F64(box[2]))
    from_b = seen_from(b, F64(box[0]), F64(box[2]))
    from_c = seen_from(c, F64(box[0]), F64(box[2]))
    from_d = seen_from(d, F64(box[0]), F64(box[2]))
    ab = cross(from_a, from_b)
    bc = cross(from_b, from_c)
    ca = cross(from_c, from_a)
    bd = cross(from_b, from_d)
    dc = cross(from_d, from_c)
    upper_area = ab + bc + ca
    lower_area = bd + dc - bc
    y = box[2]  # for loops over so few pixels would cost more than what they repeat
    while y <= box[3]:
        x = box[0]
        pixel = y * width + x
        ab_x = ab
        bc_x = bc
        ca_x = ca
        bd_x = bd
        dc_x = dc
        while x <= box[1]:
            draw_pixel(keys, pixel, quad, wp.vec3d(ab_x, bc_x, ca_x), upper_area, upper_z, upper_depth, limit[0])
            draw_pixel(keys, pixel, quad + quads, wp.vec3d(bd_x, dc_x, -bc_x), lower_area, lower_z, lower_depth,
                       limit[1])
            ab_x += from_a[1] - from_b[1]
            bc_x += from_b[1] - from_c[1]
            ca_x += from_c[1] - from_a[1]
            bd_x += from_b[1] - from_d[1]
            dc_x += from_d[1] - from_c[1]
            x += 1
            pixel += 1
        ab += from_b[0] - from_a[0]
        bc += from_c[0] - from_b[0]
        ca += from_a[0] - from_c[0]
        bd += from_d[0] - from_b[0]
        dc += from_c[0] - from_d[0]
        y += 1


@wp.kernel
def draw_quads(sizes: Sizes, span: wp.int32, depth: wp.array(dtype=wp.float32), points: wp.array(dtype=wp.vec4),
               keys: wp.array(dtype=wp.uint64), limits: wp.array(dtype=wp.vec2), queue: wp.array(dtype=wp.int32),
               count: wp.array(dtype=wp.int32)):
    """Draw the quads that cover few pixels, and queue those that cover many or reach behind NEAR.

    Corners a b over c d; what two quads share is computed once.
    """
    across = sizes.columns - 1
    quads = (sizes.rows - 1) * across
    spans = (across + span - 1) / span
    i = wp.tid() / spans
    first = (wp.tid() - i * spans) * span
    top = i * sizes.columns
    low = top + sizes.columns
    right = wp.float32(sizes.width - 1)
    bottom = wp.float32(sizes.height - 1)
    a = points[top + first]
    c = points[low + first]
    left_low = less_each(a, c)
    left_high = more_each(a, c)
    for j in range(first, wp.min(first + span, across)):
        b = points[top + j + 1]
        d = points[low + j + 1]
        right_low = less_each(b, d)
        right_high = more_each(b, d)
        lowest = less_each(left_low, right_low)
        highest = more_each(left_high, right_high)
        quad = i * across + j
        limit = wp.vec2(wp.inf, wp.inf)
        if limits.shape[0] > 0:
            limit = limits[quad]
        drawn = more(limit[0], limit[1]) > 0.0
        if drawn and lowest[2] == 1.0:
            x0 = wp.int32(wp.ceil(more(lowest[0], 0.0)))
            x1 = wp.int32(wp.floor(less(highest[0], right)))
            y0 = wp.int32(wp.ceil(more(lowest[1], 0.0)))
            y1 = wp.int32(wp.floor(less(highest[1], bottom)))
            if x0 <= x1 and y0 <= y1:
                narrow = more(highest[0] - lowest[0], highest[1] - lowest[1]) <= NARROW
                if narrow and (x1 - x0 + 1) * (y1 - y0 + 1) <= SMALL:
                    corners = wp.vec4(depth[top + j], depth[top + j + 1], depth[low + j], depth[low + j + 1])
                    box = wp.vec4i(x0, x1, y0, y1)
                    draw_small_quad(keys, sizes.width, quad, quads, a, b, c, d, corners, limit, box)
                else:
                    queue[wp.atomic_add(count, 0, 1)] = quad
        elif drawn and highest[2] == 1.0:
            queue[wp.atomic_add(count, 0, 1)] = quad
        a = b
        c = d
        left_low = right_low
        left_high = right_high


@wp.func
def face_vertices(face: wp.int32, sizes: Sizes) -> wp.vec3i:
    """The vertices of a face: grid.face_vertices. It selects and does not branch, which is twice as fast on CPUs."""
    across = sizes.columns - 1
    quads = (sizes.rows - 1) * across
    last = sizes.rows * sizes.columns - 1
    lower = wp.where(face >= quads, 1, 0)
    quad = face - lower * quads
    top_left = quad + quad / across
    front = wp.vec3i(top_left + sizes.columns, top_left + lower, top_left + 1 + lower * sizes.columns)
    first = face == 2 * quads
    back = wp.vec3i(wp.where(first, across, last), 0, wp.where(first, last, last - across))
    return wp.where(face >= 2 * quads, back, front)


@wp.func
def see(p: wp.vec4, x: wp.float64, y: wp.float64) -> wp.vec2d:
    return wp.vec2d(F64(p[0]) - x * F64(p[2]), F64(p[1]) - y * F64(p[2]))


@wp.func
def edge_functions(p: wp.vec4, q: wp.vec4, r: wp.vec4, x: wp.float64, y: wp.float64) -> wp.vec3d:
    """On which side of the edge opposite each corner a pixel lies, also where corners lie behind the camera."""
    a = see(p, x, y)
    b = see(q, x, y)
    c = see(r, x, y)
    return wp.vec3d(cross(b, c), cross(c, a), cross(a, b))


@wp.func
def line(p: wp.vec4, q: wp.vec4) -> wp.vec3d:
    """By how much the edge function of pq grows from a pixel to the next, across and down; its value at (0, 0)."""
    return wp.cross(wp.vec3d(F64(p[0]), F64(p[1]), F64(p[2])), wp.vec3d(F64(q[0]), F64(q[1]), F64(q[2])))


@wp.func
def widen(rows: wp.vec2d, p: wp.vec4, q: wp.vec4) -> wp.vec2d:
    """Widen a range of rows by the part of the edge pq beyond NEAR."""
    z = F64(p[2]) / F64(p[3])
    next_z = F64(q[2]) / F64(q[3])
    low = rows[0]
    high = rows[1]
    if z >= NEAREST:
        low = wp.min(low, F64(p[1] / p[2]))
        high = wp.max(high, F64(p[1] / p[2]))
    if (z >= NEAREST) != (next_z >= NEAREST):
        share = (NEAREST - z) / (next_z - z)
        cut = (F64(p[1] / p[3]) + share * F64(q[1] / q[3] - p[1] / p[3])) / NEAREST
        low = wp.min(low, cut)
        high = wp.max(high, cut)
    return wp.vec2d(low, high)


@wp.func
def draw_rows(keys: wp.array(dtype=wp.uint64), face: wp.int32, p: wp.vec4, q: wp.vec4, r: wp.vec4, sizes: Sizes,
              depth: wp.vec3d, limit: wp.float32, lane: wp.int32, down: wp.int32, across: wp.int32):
    """Draw what one lane takes of any face, its corners before or behind NEAR; beyond the limit of depth it is cut.

    That is every down-th row, and of it every across-th pixel.
    """
    rows = widen(widen(widen(wp.vec2d(F64(1e30), F64(-1e30)), p, q), q, r), r, p)
    top = wp.ceil(more(rows[0] - ROUNDING, F64(0.0)))
    bottom = wp.floor(less(rows[1] + ROUNDING, F64(sizes.height - 1)))
    if top > bottom:
        return
    z = wp.vec3d(F64(p[2]), F64(q[2]), F64(r[2]))
    once = wp.vec3d(F64(p[3]), F64(q[3]), F64(r[3]))
    start = edge_functions(p, q, r, F64(0.0), top)
    facing = wp.sign(wp.dot(start, z))
    lines = wp.matrix_from_rows(line(q, r), line(r, p), line(p, q))
    nearest = key(wp.float32(F64(1.0) / NEAREST), face)  # that any pixel of it can have
    if less(less(z[0], z[1]), z[2]) == F64(1.0):
        nearest = key(wp.float32(more(more(once[0], once[1]), once[2])), face)
    # Where the edges cross the top row, on the side that they bound, and how far further right each row below.
    left = wp.vec3d(F64(-wp.inf))
    right = wp.vec3d(F64(wp.inf))
    step = wp.vec3d()
    for k in range(3):
        if lines[k, 0] != F64(0.0):
            zero = -start[k] / lines[k, 0]
            slack = ROUNDING + F64(1e-14) * wp.abs(zero)
            step[k] = -lines[k, 1] / lines[k, 0]
            if lines[k, 0] * facing > F64(0.0):
                left[k] = zero - slack
            else:
                right[k] = zero + slack
    row = lane / across
    column = lane - row * across
    for y in range(wp.int32(top) + row, wp.int32(bottom) + 1, down):
        below = F64(y) - top
        x0 = F64(0.0)
        x1 = F64(sizes.width - 1)
        for k in range(3):
            x0 = more(x0, left[k] + step[k] * below)
            x1 = less(x1, right[k] + step[k] * below)
        if x0 <= x1:
            for x in range(wp.int32(wp.ceil(x0)) + column, wp.int32(x1) + 1, across):
                pixel = y * sizes.width + x
                if keys[pixel] < nearest:
                    edges = edge_functions(p, q, r, F64(x), F64(y))
                    if inside(edges):
                        inverse_z = wp.dot(edges, once) / wp.dot(edges, z)
                        seen = inverse_z > F64(0.0) and inverse_z <= F64(1.0) / NEAREST
                        if seen and before(limit, edges, once, depth):
                            wp.atomic_max(keys, pixel, key(wp.float32(inverse_z), face))


@wp.kernel
def draw_queue(sizes: Sizes, threads: wp.int32, down: wp.int32, across: wp.int32, back_across: wp.int32,
               depth: wp.array(dtype=wp.float32), points: wp.array(dtype=wp.vec4), keys: wp.array(dtype=wp.uint64),
               limits: wp.array(dtype=wp.vec2), queue: wp.array(dtype=wp.int32), count: wp.array(dtype=wp.int32)):
    """Draw the two faces of the back, by all threads together, and those of the queued quads, by down x across each.

    back_across: of all threads, those that share a row of the back.
    """
    quads = (sizes.rows - 1) * (sizes.columns - 1)
    group = wp.tid() / (down * across)
    item = wp.int32(0)
    while item < 2 * count[0] + 2:
        face = 2 * quads + item
        limit = wp.float32(wp.inf)
        lane = wp.tid()
        lanes_down = threads / back_across
        lanes_across = back_across
        if item >= 2:
            quad = queue[item / 2 - 1]
            face = quad + (item % 2) * quads
            if limits.shape[0] > 0:
                limit = limits[quad][item % 2]
            lane = wp.tid() - group * (down * across)
            lanes_down = down
            lanes_across = across
        v = face_vertices(face, sizes)
        reach = wp.vec3d(F64(depth[v[0]]), F64(depth[v[1]]), F64(depth[v[2]]))
        draw_rows(keys, face, points[v[0]], points[v[1]], points[v[2]], sizes, reach, limit, lane, lanes_down,
                  lanes_across)
        if item < 1:
            item = 1
        elif item < 2:
            item = 2 + group
        else:
            item += threads / (down * across)
