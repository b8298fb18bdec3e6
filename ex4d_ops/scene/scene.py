"""A Scene: solids that move in the light of a sun, and the camera that films them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from ..camera import CameraPath, default_intrinsics, invert_rigid
from ..clip import Progress
from ..parallel import in_order, one_by_one
from .paints import mix
from .solids import Paint, Solid, hit, spans, surface

FPS = 15  # frames a second; released inference
LATTICE = [((k + 0.5) / 5 - 0.5, (2 * k % 5 + 0.5) / 5 - 0.5) for k in range(5)]  # where pixels are sampled at edges
PIXELS_AT_ONCE = 2**17  # shaded together; a picture of 4K has sixty times as many
SEEN_TOLERANCE = 1e-6  # of the depth, far above what double precision loses
SHADOW_EDGE = (0.8, 1.25)  # radii of the caster between which its shadow fades
SKY = -1


@dataclass(frozen=True, eq=False)
class Light:
    """Where it comes from and its colors, each [3] float64. to_sun: unit length, y down; haze: per scene unit."""

    to_sun: Tensor
    sun: Tensor
    ambient: Tensor
    haze_color: Tensor
    haze: float = 0.0


@dataclass(frozen=True, eq=False)
class Scene:
    """Solids over time, in seconds. The world is the source camera of time 0.

    sky: paints directions in the world, of unit length; film: seconds -> cam_from_world [4, 4] of the source camera.
    """

    solids: tuple[Solid, ...]
    sky: Paint
    light: Light
    film: Callable[[float], Tensor]

    def source_cameras(self, frames: int, size: tuple[int, int]) -> CameraPath:
        """The cameras that film this scene: frame t at t / FPS seconds."""
        cam_from_world = torch.stack([self.film(t / FPS) for t in range(frames)]).float()
        return CameraPath(cam_from_world, default_intrinsics(size).repeat(frames, 1, 1), size)

    def render(self, cameras: CameraPath, progress: Progress | None = None) -> tuple[Tensor, Tensor]:
        """Exact views: frames [T, H, W, 3] float32 in [0, 1] and depth [T, H, W] float32, z, inf = sky.

        Output frame t shows the moment source_frame[t] / FPS. Depth is that of the pixel's centre, color is averaged
        over the pixel. progress(done, total) is called after every frame; what it raises cancels.
        """
        count, device = len(cameras), cameras.cam_from_world.device
        frames = torch.empty(count, *cameras.size, 3)
        depth = torch.empty(count, *cameras.size)
        with closing(self.shoot(cameras)) as shots:
            for t, shot in enumerate(one_by_one(shots, count, progress)):
                frames[t], depth[t] = shot
        return frames.to(device), depth.to(device)

    def shoot(self, cameras: CameraPath) -> Generator[tuple[Tensor, Tensor], None, None]:
        """The same on the CPU, frame by frame, of which no more are in memory than are worked on at once."""
        return in_order(lambda t: Shot(self, cameras, t).render(), range(len(cameras)), torch.device("cpu"))

    def seen_from_source(self, cameras: CameraPath, source: CameraPath) -> Tensor:
        """Whether the surface at each pixel's centre was in the source camera's sight at that time, [T, H, W] bool."""
        shots = ((Shot(self, cameras, t), Shot(self, source, int(k))) for t, k in enumerate(cameras.source_frame))
        return torch.stack([source_shot.sees(shot.points()).reshape(cameras.size) for shot, source_shot in shots])


class Shot:
    """One camera at one moment of a scene. Vectors are columns: pixels [2, N], rays and colors [3, N], all float64."""

    def __init__(self, scene: Scene, cameras: CameraPath, t: int) -> None:
        self.scene, self.size = scene, cameras.size
        self.cam_from_world = cameras.cam_from_world[t].cpu().double()  # not every device has float64
        self.world_from_cam = invert_rigid(self.cam_from_world)
        self.intrinsics = cameras.intrinsics[t].cpu().double()
        self.eye = self.world_from_cam[:3, 3]
        self.world_from_image = self.world_from_cam[:3, :3] @ torch.linalg.inv(self.intrinsics)
        seconds = int(cameras.source_frame[t]) / FPS
        self.world_from_unit = torch.stack([solid.world_from_unit(seconds) for solid in scene.solids]).to(self.eye)
        self.unit_from_world = torch.linalg.inv(self.world_from_unit)
        self.unit_eyes = (self.unit_from_world @ self.world_from_cam[:, 3])[:, :3].T  # [3, S]
        self.halves = self.eye.new_tensor([solid.half for solid in scene.solids]).T
        self.outward = self.eye.new_tensor([-1 if solid.hollow else 1 for solid in scene.solids])
        self.shaded = self.eye.new_tensor([not solid.casts for solid in scene.solids]).bool()
        self.spans = torch.stack([spans(solid.shape) for solid in scene.solids], -1).to(self.eye)
        self.image_bounds = self.bound_solids()

    def bound_solids(self) -> Tensor:
        """Every solid's least x and y and greatest x and y in the image [S, 4], infinite where it reaches behind."""
        signs = self.eye.new_tensor([-1, 1])
        corners = torch.cat([torch.cartesian_prod(signs, signs, signs).T, self.eye.new_ones(1, 8)])
        corners = (self.cam_from_world @ self.world_from_unit @ corners)[:, :3]  # [S, 3, 8]
        image = self.intrinsics @ corners
        image = image[:, :2] / image[:, 2:]
        bounds = torch.cat([image.amin(2), image.amax(2)], 1)
        behind = (corners[:, 2] <= 0).any(1, keepdim=True)
        return torch.where(behind, bounds.new_tensor([-torch.inf, -torch.inf, torch.inf, torch.inf]), bounds)

    def centers(self, pixels: Tensor) -> Tensor:
        """Image coordinates [2, N] of the centres of pixels [N], counted row by row."""
        return torch.stack([pixels % self.size[1], pixels // self.size[1]]).to(self.eye) + 0.5

    def cast(self, pixels: Tensor) -> Tensor:
        """Rays in the world through pixels, z = 1 in the camera."""
        return self.world_from_image @ torch.cat([pixels, torch.ones_like(pixels[:1])])

    def trace(self, pixels: Tensor, rays: Tensor) -> tuple[Tensor, Tensor]:
        """Depth [N] of the nearest solid along each ray and its index [N]; inf and SKY where there is none."""
        depth = torch.full_like(rays[0], torch.inf)
        nearest = torch.full_like(depth, SKY, dtype=torch.int64)
        for k, near in enumerate(within(pixels, self.image_bounds)):
            unit_rays = self.unit_from_world[k, :3, :3] @ rays[:, near]
            reach = hit(self.scene.solids[k].shape, self.unit_eyes[:, k], unit_rays)
            closer = reach < depth[near]
            depth[near[closer]] = reach[closer]
            nearest[near[closer]] = k
        return depth, nearest

    def trace_all(self) -> tuple[Tensor, Tensor, Tensor]:
        """The rays [3, H*W] through every pixel's center, and what trace finds along them."""
        pixels = self.centers(torch.arange(self.size[0] * self.size[1]))
        rays = self.cast(pixels)
        return rays, *self.trace(pixels, rays)

    def points(self) -> Tensor:
        """The surface at every pixel's centre, homogeneous in the world [4, H*W]; (direction, 0) where it is sky."""
        rays, depth, nearest = self.trace_all()
        sky = nearest == SKY
        points = torch.where(sky, rays, self.eye[:, None] + rays * depth)
        return torch.cat([points, (~sky).double()[None]])

    def sees(self, points: Tensor) -> Tensor:
        """Which homogeneous world points [4, N] lie in this camera's image and behind nothing, [N] bool."""
        points = self.cam_from_world @ points
        image = self.intrinsics @ points[:3]
        pixels, (height, width) = image[:2] / image[2], self.size
        framed = (points[2] > 0).nonzero()[:, 0]
        framed = framed[next(within(pixels[:, framed], pixels.new_tensor([[0, 0, width, height]])))]
        depth, _ = self.trace(pixels[:, framed], self.cast(pixels[:, framed]))
        distance = (points[2] / points[3])[framed]  # inf for the sky
        seen = torch.zeros_like(points[0], dtype=torch.bool)
        seen[framed] = depth >= distance * (1 - SEEN_TOLERANCE)
        return seen

    def render(self) -> tuple[Tensor, Tensor]:
        """Color [H, W, 3] and depth [H, W], float32. Paints average themselves, so only edges need more rays."""
        count = self.size[0] * self.size[1]
        color, depth, patch = torch.empty(count, 3), torch.empty(count), torch.empty(count, dtype=torch.int32)
        for here in torch.arange(count).split(PIXELS_AT_ONCE):
            some = slice(int(here[0]), int(here[-1]) + 1)
            shaded, depth[some], patch[some] = self.shade_some(self.centers(here))
            color[some] = shaded.T
        rim = find_rims(patch.reshape(self.size)).reshape(-1).nonzero()[:, 0]
        samples = self.centers(rim)[:, None] + self.eye.new_tensor(LATTICE).T[..., None]  # [2, 5, rim]
        color[rim] = self.shade(samples.reshape(2, -1))[0].reshape(3, len(LATTICE), -1).mean(1).T.float()
        return color.clamp_(0, 1).reshape(*self.size, 3), depth.reshape(self.size)

    def shade(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Color [3, N], depth [N] and a number [N] for the face of the solid that is seen, SKY for none."""
        color, depth, patch = zip(*map(self.shade_some, pixels.split(PIXELS_AT_ONCE, 1)))
        return torch.cat(color, 1), torch.cat(depth), torch.cat(patch)

    def shade_some(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The same of so few pixels that what is worked out on the way does not fill the memory."""
        rays = self.cast(pixels)
        depth, nearest = self.trace(pixels, rays)
        color, patch = torch.empty_like(rays), nearest.clone()
        sky, struck = (nearest == SKY).nonzero()[:, 0], (nearest != SKY).nonzero()[:, 0]
        directions = rays[:, sky] / length(rays[:, sky])
        color[:, sky] = self.scene.sky(directions, torch.zeros_like(directions))
        color[:, struck], face = self.shade_solids(nearest[struck], rays[:, struck], depth[struck])
        patch[struck] += face * len(self.scene.solids)
        return color, depth, patch

    def shade_solids(self, which: Tensor, rays: Tensor, depth: Tensor) -> tuple[Tensor, Tensor]:
        """Lit color [3, N] and face [N] of the solids which [N] at this depth [N] along the rays."""
        unit_from_world = self.unit_from_world[:, :3, :3].permute(1, 2, 0)[..., which]  # [3, 3, N]
        unit_rays = (unit_from_world * rays).sum(1)
        unit_points = self.unit_eyes[:, which] + unit_rays * depth
        unit_normals, face = surface(self.spans[..., which], unit_points)
        width = self.pixel_width(which, unit_rays, unit_normals, depth)
        color = self.paint(which, unit_points * self.halves[:, which], width * self.halves[:, which])
        normals = (unit_from_world * unit_normals[:, None]).sum(0) * self.outward[which]
        return self.light_points(color, self.eye[:, None] + rays * depth, normals / length(normals), which), face

    def pixel_width(self, which: Tensor, unit_rays: Tensor, unit_normals: Tensor, depth: Tensor) -> Tensor:
        """Extent [3, N] of one pixel on the tangent plane of the unit shape, along each axis of it."""
        slope = (unit_rays * unit_normals).sum(0)
        slope = torch.where(slope.abs() < 1e-9, 1e-9, slope)
        extent = 0
        for step in (self.unit_from_world[:, :3, :3] @ self.world_from_image[:, :2]).permute(2, 1, 0):
            step = step[:, which]  # to the next pixel in x, then in y
            extent = extent + (step - unit_rays * ((step * unit_normals).sum(0) / slope)).abs()
        return extent * depth

    def paint(self, which: Tensor, points: Tensor, width: Tensor) -> Tensor:
        """Unlit color [3, N] of the solids which [N] at points of theirs, scene units; one call for each paint."""
        paints = list(dict.fromkeys(solid.paint for solid in self.scene.solids))
        number = torch.tensor([paints.index(solid.paint) for solid in self.scene.solids], device=which.device)[which]
        counts = torch.bincount(number, minlength=len(paints)).tolist()
        color = torch.empty_like(points)
        for paint, here in zip(paints, number.argsort().split(counts)):
            color[:, here] = paint(points[:, here], width[:, here])
        return color

    def light_points(self, color: Tensor, points: Tensor, normals: Tensor, which: Tensor) -> Tensor:
        """Color [3, N] under sun, sky and haze of world points [3, N] of the solids which [N]."""
        light = self.scene.light
        sun = (light.to_sun.to(points) @ normals).clamp(min=0)
        shaded = self.shaded[which] & (sun > 0)
        sun[shaded] *= self.sunlit(points[:, shaded])
        above = 0.9 - 0.1 * normals[1]  # the sky is brighter than the ground
        lit = color * (light.ambient.to(points)[:, None] * above + light.sun.to(points)[:, None] * sun)
        return mix(lit, light.haze_color, 1 - (-light.haze * length(points)).exp())

    def sunlit(self, points: Tensor) -> Tensor:
        """The share of sun [N] that reaches world points [3, N]; each caster shades as the ellipsoid in its box."""
        to_sun = self.scene.light.to_sun.to(points)
        across = torch.linalg.svd(to_sun[None])[2][1:]  # two axes of the shadow
        inner, outer = SHADOW_EDGE
        lit, places = torch.ones_like(points[0]), across @ points
        casters = [k for k, solid in enumerate(self.scene.solids) if solid.casts]
        shapes = across @ self.world_from_unit[casters, :3]
        center, reach = shapes[..., 3], outer * shapes[..., :3].norm(dim=2)
        for k, near in zip(casters, within(places, torch.cat([center - reach, center + reach], 1))):
            rotation, offset = self.unit_from_world[k, :3, :3], self.unit_from_world[k, :3, 3:]
            origin, unit_sun = rotation @ points[:, near] + offset, rotation @ to_sun
            ahead = -(unit_sun @ origin / unit_sun.square().sum()).clamp(max=0)
            distance = length(origin + unit_sun[:, None] * ahead)
            lit[near] *= ((distance - inner) / (outer - inner)).clamp(0, 1)
        return lit


def within(places: Tensor, bounds: Tensor) -> Iterator[Tensor]:
    """For each of bounds [S, 4], (least x, least y, greatest x, greatest y), the indices of the places [2, N] inside.

    Sorted by y once, so that each of many small bounds looks at its own rows only.
    """
    y, order = places[1].sort()
    x = places[0, order]
    first = torch.searchsorted(y, bounds[:, 1].contiguous()).tolist()
    last = torch.searchsorted(y, bounds[:, 3].contiguous(), right=True).tolist()
    for start, stop, (least, _, greatest, _) in zip(first, last, bounds.tolist()):
        rows = slice(start, max(start, stop))
        yield order[rows][(x[rows] >= least) & (x[rows] <= greatest)]


def length(vectors: Tensor) -> Tensor:
    return vectors.square().sum(0).sqrt()


def find_rims(patch: Tensor) -> Tensor:
    """Pixels [H, W] bool with a neighbour beside, above or below that has another number in patch [H, W]."""
    beside, below = patch[:, 1:] != patch[:, :-1], patch[1:] != patch[:-1]
    return pad(beside, (1, 0)) | pad(beside, (0, 1)) | pad(below, (0, 0, 1, 0)) | pad(below, (0, 0, 0, 1))
