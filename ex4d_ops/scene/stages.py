"""The named scenes. Metres; y points down, the floor lies EYE below the camera and the nearest point some 3 m away."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import torch
from torch import Tensor

from ..camera import CameraPath, invert_rigid
from ..clip import Progress
from ..depth import VideoDepth
from ..rules import SCENE_NAMES
from .paints import checker, clouds, mix, plain, rgb, stripes, windows
from .scene import Light, Scene
from .solids import Paint, Solid, X, Y, Z, shift, turn

EYE = 1.5  # m above the floor
IDENTITY = torch.eye(4, dtype=torch.float64)
QUARTER = math.pi / 2
PALETTE = ["e76f51", "f4a261", "e9c46a", "2a9d8f", "457b9d", "9b5de5", "d1495b", "8ab17d"]
CREAM, IVORY, GOLD, SLATE = rgb("f6ead7"), rgb("faf6ee"), rgb("d9a441"), rgb("3d4a5c")

Place = Callable[[float], Tensor]


def still(matrix: Tensor) -> Place:
    return lambda seconds: matrix


def even(half: float) -> tuple[float, float, float]:
    """The same half extent along every axis."""
    return half, half, half


def on_floor(x: float, z: float, height: float = 0.0) -> Tensor:
    """Translation to a point height m above the floor."""
    return shift(x, EYE - height, z)


def draw_colors(rng: random.Random) -> list[Tensor]:
    return [rgb(code) for code in rng.sample(PALETTE, len(PALETTE))]


def unit(*vector: float) -> Tensor:
    return torch.nn.functional.normalize(torch.tensor(vector, dtype=torch.float64), dim=0)


def paint_sky(horizon: str, zenith: str, cloud: str, rng: random.Random) -> Paint:
    """A gradient from horizon to zenith with clouds."""
    cover = clouds(plain(torch.zeros(3)), torch.ones(3), 0.8, rng, 1.0)

    def sky(directions: Tensor, width: Tensor) -> Tensor:
        up = (-directions[Y]).clamp(min=0)
        gradient = mix(rgb(horizon), rgb(zenith), (1.6 * up).clamp(max=1))
        plane = directions * directions.new_tensor([[1], [3], [1]]) / (up + 0.25)
        share = ((cover(plane, width)[0] - 0.45) * 2.2).clamp(0, 1)
        return mix(gradient, rgb(cloud), 0.75 * share * (6 * up).clamp(max=1))

    return sky


def gallery(rng: random.Random) -> Scene:
    """Indoors: spheres and boxes on pedestals at many depths, pictures on the walls, thin posts, a mobile."""
    colors = draw_colors(rng)
    wall = stripes(plain(rgb("c3d5cf")), rgb("b3cac4"), 0.9, (1, 0, 1))
    oak = stripes(clouds(plain(rgb("c98f5e")), rgb("a8693e"), 1.3, rng), rgb("7d4a2a"), 0.55, (1, 0, 0), 0.05)
    solids = [
        Solid("cube", (6.5, 2.25, 9), still(shift(0, EYE - 2.25, 5)), wall, casts=False, hollow=True),
        Solid("cube", (6.5, 0.05, 9), still(shift(0, EYE, 5)), oak, casts=False),
        Solid("cube", (6.5, 0.12, 9), still(shift(0, EYE - 4.5, 5)), plain(rgb("fffaf0")), casts=False),
    ]
    for k, (x, z) in enumerate(((-2.1, 6.2), (0.35, 4.0), (2.5, 7.4), (-4.2, 9.8), (4.6, 10.6), (0.6, 11.2))):
        solids += exhibit(k, x + rng.uniform(-0.2, 0.2), z + rng.uniform(-0.15, 0.15), colors, rng)
    for side in (-1, 1):
        for z in (4.5, 8.0, 11.5):
            solids += picture(shift(side * 6.42, -0.35, z) @ turn(Y, QUARTER), 1.2, 0.85, colors, rng)
    for x in (-3.6, 0.0, 3.6):
        solids += picture(shift(x, -0.5, 13.92), 1.1, 0.9, colors, rng)
    solids += barrier([(-2.9, 4.9), (-1.6, 5.1), (-0.6, 5.6)]) + barrier([(1.5, 5.4), (2.5, 5.6), (3.4, 6.4)])
    solids += mobile(shift(-0.9, -2.9, 5.4), colors, rng)
    light = Light(unit(0.45, -1.0, -0.55), 0.38 * rgb("ffefd6"), 0.82 * rgb("fbf6f0"), IVORY, 0.0)
    return Scene(tuple(solids), plain(IVORY), light, still(IDENTITY))


def exhibit(k: int, x: float, z: float, colors: list[Tensor], rng: random.Random) -> list[Solid]:
    """A ball or a tumbling box that hovers over a pedestal."""
    height, size = rng.uniform(0.55, 0.85), rng.uniform(0.46, 0.56)
    color, other = colors[k % len(colors)], colors[(k + 3) % len(colors)]
    phase, spin = rng.uniform(0, 6), rng.choice((-1, 1)) * rng.uniform(0.7, 1.1)
    paint = rng.choice([checker(color, CREAM, 0.5), stripes(plain(CREAM), color, 0.3, (0.3, 1, 0)),
                        stripes(clouds(plain(color), other, 0.5, rng, 0.9), CREAM, 0.45, (0, 1, 0), 0.18)])

    def hover(seconds: float) -> Tensor:
        lift = height + 1.25 * size + 0.12 + 0.1 * math.sin(1.7 * seconds + phase)
        return on_floor(x, z, lift) @ turn(Y, spin * seconds + phase) @ turn(X, 0.5)

    marble = clouds(plain(IVORY), rgb("cfc6bb"), 0.5, rng, 0.7)
    item = Solid("cube", even(0.8 * size), hover, paint) if k % 3 == 2 else Solid("ball", even(size), hover, paint)
    return [Solid("pillar" if k % 2 else "cube", (0.42, height / 2, 0.42), still(on_floor(x, z, height / 2)), marble),
            item]


def picture(place: Tensor, width: float, height: float, colors: list[Tensor], rng: random.Random) -> list[Solid]:
    """A framed picture of the given half extents."""
    low, high, accent = rng.sample(colors, 3)
    canvas = rng.choice([stripes(clouds(plain(low), high, 1.1, rng, 1.0), accent, 0.9, (0.4, 1, 0), 0.3),
                         checker(low, high, 0.9, (X, Y)), windows(plain(low), accent, (0.55, 0.5), (0.6, 0.6))])
    return [Solid("cube", (width, height, 0.05), still(place), plain(rgb("4a3527")), casts=False),
            Solid("cube", (width - 0.1, height - 0.1, 0.06), still(place), canvas, casts=False)]


def barrier(posts: list[tuple[float, float]]) -> list[Solid]:
    """Thin brass posts joined by a cord."""
    solids, brass, cord = [], plain(GOLD), stripes(plain(rgb("9e2a2b")), rgb("c8474b"), 0.12, (0, 1, 0))
    for x, z in posts:
        solids += [Solid("pillar", (0.028, 0.48, 0.028), still(on_floor(x, z, 0.48)), brass),
                   Solid("ball", even(0.06), still(on_floor(x, z, 1.0)), brass),
                   Solid("pillar", (0.16, 0.025, 0.16), still(on_floor(x, z, 0.07)), brass)]
    for (x0, z0), (x1, z1) in zip(posts, posts[1:]):
        along = turn(Y, math.atan2(x1 - x0, z1 - z0)) @ turn(X, QUARTER)
        place = on_floor((x0 + x1) / 2, (z0 + z1) / 2, 0.86) @ along
        solids.append(Solid("pillar", (0.022, math.dist((x0, z0), (x1, z1)) / 2, 0.022), still(place), cord))
    return solids


def mobile(top: Tensor, colors: list[Tensor], rng: random.Random) -> list[Solid]:
    """Balls on thin rods that turn below a point of the ceiling."""
    rod = plain(SLATE)
    solids = [Solid("pillar", (0.012, 0.6, 0.012), still(top @ shift(0, 0.6, 0)), rod)]
    for k, reach in enumerate((0.95, 0.7)):
        speed, phase = (0.9, -1.3)[k], rng.uniform(0, 6)

        def arm(seconds: float, k=k, speed=speed, phase=phase) -> Tensor:
            return top @ shift(0, 0.75 + 0.45 * k, 0) @ turn(Y, speed * seconds + phase)

        solids.append(Solid("pillar", (0.014, reach, 0.014), lambda s, arm=arm: arm(s) @ turn(Z, QUARTER), rod))
        for side in (-1, 1):
            ball = shift(side * reach, 0.3, 0)
            thread = ball @ shift(0, -0.15, 0)
            solids += [Solid("pillar", (0.01, 0.15, 0.01), lambda s, arm=arm, thread=thread: arm(s) @ thread, rod),
                       Solid("ball", even(0.17), lambda s, arm=arm, ball=ball: arm(s) @ ball,
                             stripes(plain(colors[2 * k + (side > 0)]), IVORY, 0.2, (0, 1, 0), 0.25))]
    return solids


def garden(rng: random.Random) -> Scene:
    """Outdoors: flowers in the wind before a picket fence, trees, hills and sky."""
    colors = draw_colors(rng)
    grass = clouds(clouds(plain(rgb("7fb069")), rgb("4f8a4b"), 2.4, rng, 0.9), rgb("c5d86d"), 0.7, rng, 0.35)
    solids = [Solid("cube", (55, 0.3, 55), still(shift(0, EYE + 0.3, 0)), grass, casts=False),
              Solid("cube", (0.9, 0.02, 9), still(on_floor(1.4, 9) @ turn(Y, 0.22)),
                    clouds(plain(rgb("e3cfa4")), rgb("b99b6b"), 0.5, rng, 0.7), casts=False)]
    for x, z, reach, height in ((-26, 46, 22, 9), (4, 52, 26, 6), (30, 44, 18, 8), (-8, 36, 12, 3)):
        solids.append(Solid("ball", (reach, height, 8), still(on_floor(x + rng.uniform(-3, 3), z)),
                            clouds(plain(rgb("6fa287")), rgb("4d8172"), 6.0, rng, 0.9), casts=False))
    for x, z, size in ((-3.6, 8.4, 1.0), (3.9, 10.5, 1.25), (-1.2, 15.0, 1.3), (8.5, 17.0, 1.5), (-9.0, 16.0, 1.4)):
        solids += tree(x + rng.uniform(-0.4, 0.4), z + rng.uniform(-0.4, 0.4), size, rng)
    solids += fence(6.6, -4.6, 4.6)
    for k, (x, z, height) in enumerate(((0.25, 3.7, 1.42), (-0.95, 4.2, 1.05), (1.15, 4.5, 1.12), (-2.0, 5.0, 1.3),
                                        (2.1, 5.4, 0.95), (-0.35, 5.4, 0.8), (0.75, 5.9, 1.25), (-1.4, 5.8, 0.75))):
        solids += flower(x + rng.uniform(-0.1, 0.1), z + rng.uniform(-0.1, 0.1), height, colors[k % 6], rng)
    solids += butterfly(0.5, 4.9, colors[6], rng) + butterfly(-1.3, 6.1, colors[7], rng)
    light = Light(unit(-0.5, -0.9, -0.45), 0.5 * rgb("fff2cf"), 0.6 * rgb("e8f1ff"), rgb("dcebf2"), 0.012)
    return Scene(tuple(solids), paint_sky("e6f1f4", "6fb1de", "ffffff", rng), light, still(IDENTITY))


def tree(x: float, z: float, size: float, rng: random.Random) -> list[Solid]:
    """A trunk and a crown of five balls that sway together."""
    phase = rng.uniform(0, 6)
    leaves = clouds(plain(rgb(rng.choice(["3f7d4f", "5b8c3e", "7a9e3f"]))), rgb("b7cf6a"), 0.6, rng, 0.8)

    def sway(seconds: float) -> Tensor:
        return on_floor(x, z) @ turn(Z, 0.02 * math.sin(1.3 * seconds + phase)) @ shift(0, -2.1 * size, 0)

    solids = [Solid("pillar", (0.13 * size, 0.9 * size, 0.13 * size), still(on_floor(x, z, 0.9 * size)),
                    stripes(plain(rgb("7b5a3e")), rgb("5f4430"), 0.11, (1, 0, 1)))]
    for dx, dy, dz, reach in ((0, -0.35, 0, 0.75), (-0.6, 0.05, 0.1, 0.55), (0.6, 0, -0.1, 0.6),
                              (0.05, 0.15, -0.5, 0.5), (0.1, 0.1, 0.5, 0.55)):
        ball = shift(dx * size, dy * size, dz * size)
        solids.append(Solid("ball", even(reach * size), lambda s, ball=ball: sway(s) @ ball, leaves))
    return solids


def fence(z: float, left: float, right: float) -> list[Solid]:
    """White pickets on two rails along x."""
    white, middle, half = plain(rgb("f5f2ea")), (left + right) / 2, (right - left) / 2
    solids = [Solid("cube", (half, 0.035, 0.02), still(on_floor(middle, z, height)), white) for height in (0.32, 0.72)]
    for k in range(int(2 * half / 0.34) + 1):
        solids.append(Solid("cube", (0.05, 0.48, 0.015), still(on_floor(left + 0.34 * k, z - 0.04, 0.48)), white))
    return solids


def flower(x: float, z: float, height: float, color: Tensor, rng: random.Random) -> list[Solid]:
    """A stem with two leaves and a head of petals, bending in the wind."""
    phase, size, count = rng.uniform(0, 6), rng.uniform(0.2, 0.24) * (0.6 + 0.35 * height), rng.choice((6, 7, 8))
    green = plain(rgb("4f8a3c"))

    def bend(seconds: float) -> Tensor:
        wind = 0.09 * math.sin(1.9 * seconds + phase) + 0.04 * math.sin(3.1 * seconds)
        return on_floor(x, z) @ turn(Z, wind) @ turn(X, 0.5 * wind)

    def head(seconds: float) -> Tensor:
        return bend(seconds) @ shift(0, -height, 0) @ turn(X, 0.3) @ turn(Y, 0.35 * math.sin(phase))

    solids = [Solid("pillar", (0.02, height / 2, 0.02), lambda s: bend(s) @ shift(0, -height / 2, 0), green),
              Solid("ball", (0.45 * size, 0.45 * size, 0.22 * size), lambda s: head(s) @ shift(0, 0, -0.06 * size),
                    checker(rgb("f2b134"), rgb("b5651d"), 0.05))]
    petals = stripes(plain(color), torch.lerp(color, torch.ones(3).double(), 0.45), 0.09, (1, 0, 0), 0.3)
    for k in range(count):
        petal = turn(Z, 2 * math.pi * k / count) @ shift(0, -0.95 * size, 0) @ turn(X, -0.25)
        solids.append(Solid("ball", (0.36 * size, 0.68 * size, 0.06 * size),
                            lambda s, petal=petal: head(s) @ petal, petals))
    for side in (-1, 1):
        leaf = shift(0, -height * (0.3 + 0.08 * side), 0) @ turn(Z, side * 0.9) @ shift(0, -0.2, 0)
        solids.append(Solid("ball", (0.055, 0.2, 0.014), lambda s, leaf=leaf: bend(s) @ leaf, green))
    return solids


def butterfly(x: float, z: float, color: Tensor, rng: random.Random) -> list[Solid]:
    """Two wings that beat on a wandering path."""
    phase = rng.uniform(0, 6)

    def fly(seconds: float) -> Tensor:
        a = 0.9 * seconds + phase
        path = on_floor(x + 0.8 * math.sin(a), z + 0.5 * math.cos(a), 1.75 + 0.18 * math.sin(3 * a))
        return path @ turn(Y, -a) @ turn(X, 0.5)

    def wing(side: int) -> Place:
        return lambda s: fly(s) @ turn(Z, side * (0.5 + 0.6 * math.sin(11 * s))) @ shift(0.11 * side, 0, 0)

    paint = stripes(plain(color), SLATE, 0.1, (1, 0, 0), 0.25)
    return [Solid("ball", (0.11, 0.012, 0.085), wing(side), paint) for side in (-1, 1)]


def street(rng: random.Random) -> Scene:
    """A busy road: cars in both directions, a bouncing ball, balloons, lamp posts, houses and sky."""
    colors = draw_colors(rng)
    asphalt = clouds(plain(rgb("5d6470")), rgb("4a505b"), 0.9, rng)
    joint = rgb("b3aa9c")
    paving = stripes(stripes(plain(rgb("cfc8bc")), joint, 0.6, (1, 0, 0), 0.06), joint, 0.6, (0, 0, 1), 0.06)
    solids = [Solid("cube", (55, 0.3, 55), still(shift(0, EYE + 0.3, 0)), paving, casts=False),
              Solid("cube", (55, 0.01, 2.3), still(on_floor(0, 7.4)), asphalt, casts=False),
              Solid("cube", (55, 0.015, 0.07), still(on_floor(0, 7.4)),
                    stripes(plain(rgb("5d6470")), rgb("f7f3e3"), 1.5, (1, 0, 0), 0.5), casts=False)]
    x = -13.0
    for k in range(9):
        width, height, z = rng.uniform(1.3, 1.9), rng.uniform(2.4, 4.2), 14 + rng.uniform(0, 2.5)
        facade = windows(plain(torch.lerp(colors[k % 8], CREAM, 0.45)), SLATE, (1.0, 1.25), (0.5, 0.55))
        solids += [Solid("cube", (width, height, 1.6), still(on_floor(x + width, z, height)), facade),
                   Solid("cube", (width + 0.1, 0.12, 1.7), still(on_floor(x + width, z, 2 * height)), plain(IVORY))]
        x += 2 * width + rng.choice((0.05, 0.05, 1.2))
    for k, (lane, speed) in enumerate(((6.3, 3.1), (6.3, 3.1), (8.5, -2.4), (8.5, -2.4))):
        solids += car(lane, speed, 2.0 + 9.5 * (k % 2) + rng.uniform(-0.8, 0.8), colors[k])
    for x in (-3.1, 1.7, 6.5):
        solids += lamp(x, 4.9)
    for x in (-2.4, -1.4, -0.4, 2.6):
        solids.append(Solid("pillar", (0.07, 0.36, 0.07), still(on_floor(x, 4.4, 0.36)),
                            stripes(plain(rgb("f5f0e6")), rgb("c8414b"), 0.3, (0, 1, 0))))
    solids.append(Solid("ball", even(0.32), bounce(3.7, rng.uniform(0, 1)), checker(colors[4], IVORY, 0.32)))
    for k in range(4):
        solids += balloon(rng.uniform(-4, 4), rng.uniform(10, 12.5), colors[4 + k], rng)
    light = Light(unit(0.6, -0.9, -0.5), 0.5 * rgb("ffe9c7"), 0.6 * rgb("e9eeff"), rgb("e9e4ea"), 0.008)
    return Scene(tuple(solids), paint_sky("f6e7d8", "7fb0dc", "fffaf2", rng), light, still(IDENTITY))


def car(lane: float, speed: float, start: float, color: Tensor) -> list[Solid]:
    """A car on a road of 22 m that it drives again and again."""

    def drive(seconds: float) -> Tensor:
        return on_floor((start + speed * seconds) % 22 - 11, lane)

    def part(x: float, height: float, z: float = 0.0) -> Place:
        return lambda s: drive(s) @ shift(x, -height, z)

    cabin = windows(plain(color), rgb("bfe3ee"), (0.62, 0.9), (0.8, 0.9))
    solids = [Solid("cube", (1.05, 0.26, 0.48), part(0, 0.5), stripes(plain(color), IVORY, 0.52, (0, 1, 0), 0.12)),
              Solid("cube", (0.58, 0.23, 0.42), part(-0.1 * math.copysign(1, speed), 0.95), cabin)]
    tyre = checker(SLATE, rgb("d8d8d8"), 0.44, (X, Z))
    for x, z in ((-0.62, -0.46), (-0.62, 0.46), (0.62, -0.46), (0.62, 0.46)):
        axle = part(x, 0.22, z)
        solids.append(Solid("pillar", (0.22, 0.07, 0.22),
                            lambda s, axle=axle: axle(s) @ turn(Z, speed * s / 0.22) @ turn(X, QUARTER), tyre))
    return solids


def lamp(x: float, z: float) -> list[Solid]:
    """A thin street lamp."""
    iron = plain(rgb("2f3e46"))
    return [Solid("pillar", (0.035, 1.5, 0.035), still(on_floor(x, z, 1.5)), iron),
            Solid("pillar", (0.09, 0.12, 0.09), still(on_floor(x, z, 0.12)), iron),
            Solid("pillar", (0.018, 0.3, 0.018), still(on_floor(x + 0.28, z, 2.95) @ turn(Z, QUARTER)), iron),
            Solid("ball", (0.13, 0.16, 0.13), still(on_floor(x + 0.58, z, 2.86)), plain(rgb("fff1c1")))]


def bounce(z: float, phase: float) -> Place:
    """A ball of radius 0.32 that bounces on the spot and rolls to and fro."""

    def place(seconds: float) -> Tensor:
        hop = (0.9 * seconds + phase) % 1
        x = 1.1 * math.sin(0.9 * seconds + 6 * phase)
        return on_floor(x, z, 0.32 + 3.6 * hop * (1 - hop)) @ turn(Z, 3 * x) @ turn(X, 0.6)

    return place


def balloon(x: float, z: float, color: Tensor, rng: random.Random) -> list[Solid]:
    """A balloon on a thread, drifting."""
    phase = rng.uniform(0, 6)

    def drift(seconds: float) -> Tensor:
        return on_floor(x + 0.7 * math.sin(0.5 * seconds + phase), z, 4.2 + 0.5 * math.sin(0.8 * seconds + 2 * phase))

    return [Solid("ball", (0.36, 0.45, 0.36), drift, stripes(plain(color), IVORY, 0.3, (0, 1, 0), 0.2)),
            Solid("pillar", (0.012, 0.7, 0.012), lambda s: drift(s) @ shift(0, 1.1, 0), plain(IVORY))]


def colonnade(rng: random.Random) -> Scene:
    """Filmed by a walking camera: two rows of columns, orbs circling between them, hills in the evening."""
    colors = draw_colors(rng)
    marble = checker(rgb("efe6da"), rgb("b88b72"), 1.6, (X, Z))
    solids = [Solid("cube", (55, 0.3, 55), still(shift(0, EYE + 0.32, 0)),
                    clouds(plain(rgb("c9b48a")), rgb("9c8f5f"), 3.0, rng, 0.9), casts=False),
              Solid("cube", (3.4, 0.02, 18), still(on_floor(0, 12)), marble, casts=False)]
    stone = stripes(clouds(plain(rgb("f2ebe0")), rgb("d8c6b4"), 0.8, rng, 0.7), rgb("d3c1ad"), 0.14, (1, 0, 1), 0.3)
    for k in range(9):
        for side in (-1, 1):
            solids += column(2.3 * side, 4.4 + 2.6 * k, stone)
    for side in (-1, 1):
        solids.append(Solid("cube", (0.4, 0.22, 12), still(on_floor(2.3 * side, 14.6, 3.72)), plain(rgb("e9dfd2"))))
    for k in range(6):
        solids.append(orb(k, colors[k], rng))
    for x, z, reach, height in ((-30, 42, 20, 9), (2, 54, 28, 7), (32, 46, 22, 10)):
        solids.append(Solid("ball", (reach, height, 8), still(on_floor(x + rng.uniform(-3, 3), z)),
                            clouds(plain(rgb("8e7f9e")), rgb("6f6a8f"), 7.0, rng, 0.8), casts=False))
    light = Light(unit(0.75, -0.8, -0.3), 0.52 * rgb("ffd9a8"), 0.58 * rgb("f0e6ff"), rgb("f3cfb8"), 0.012)
    return Scene(tuple(solids), paint_sky("fbd3b0", "8f9fd0", "fff0e6", rng), light, walk)


def column(x: float, z: float, stone: Paint) -> list[Solid]:
    """A column between a base and a capital."""
    block = plain(rgb("e9dfd2"))
    return [Solid("pillar", (0.27, 1.55, 0.27), still(on_floor(x, z, 1.75)), stone),
            Solid("cube", (0.38, 0.1, 0.38), still(on_floor(x, z, 0.1)), block),
            Solid("cube", (0.38, 0.1, 0.38), still(on_floor(x, z, 3.4)), block)]


def orb(k: int, color: Tensor, rng: random.Random) -> Solid:
    """A spinning ball that circles over the floor."""
    size, phase, speed = rng.uniform(0.28, 0.42), rng.uniform(0, 6), rng.choice((-1, 1)) * rng.uniform(0.7, 1.2)

    def circle(seconds: float) -> Tensor:
        a = speed * seconds + phase
        height = 1.3 + 0.35 * math.sin(1.3 * a) + 0.25 * (k % 3)
        return on_floor(0.8 * math.cos(a), 5.4 + 2.2 * k + 0.7 * math.sin(a), height) @ turn(Y, 2 * a) @ turn(X, 0.4)

    return Solid("ball", even(size), circle, stripes(plain(IVORY), color, 0.24, (0.4, 1, 0), 0.6))


def walk(seconds: float) -> Tensor:
    """cam_from_world of a camera that walks four metres ahead and back in 20 s, swaying; the identity at 0."""
    stride = 1 - math.cos(2 * math.pi * seconds / 20)
    sway = math.sin(1.1 * seconds)
    world_from_cam = shift(0.35 * sway, 0.03 * math.sin(4 * seconds), 2 * stride) @ turn(Y, 0.12 * sway)
    return invert_rigid(world_from_cam @ turn(Z, 0.01 * math.sin(2 * seconds)))


SCENES = dict(zip(SCENE_NAMES, (gallery, garden, street, colonnade)))


def make_scene(name: str, seed: int = 0) -> Scene:
    return SCENES[name](random.Random(seed))


def sample_clip(name: str, frames: int, size: tuple[int, int], seed: int = 0,
                progress: Progress | None = None) -> tuple[Tensor, VideoDepth]:
    """A clip [T, H, W, 3] in [0, 1] of a named scene at FPS, and its exact depth in metres with the source cameras."""
    scene = make_scene(name, seed)
    cameras = scene.source_cameras(frames, size)
    colors, depth = scene.render(cameras, progress)
    return colors, exact_depth(depth, cameras)


def exact_depth(depth: Tensor, cameras: CameraPath) -> VideoDepth:
    """Depth [T, H, W] of a scene as its source cameras have seen it."""
    return VideoDepth(depth, cameras.intrinsics, invert_rigid(cameras.cam_from_world), metric=True)
