"""NeoVerse's trajectories: matrices at some frames, or moves at keyframes, and what runs between them."""

from __future__ import annotations

import json
import math
from pathlib import Path

import torch
from torch import Tensor

from ...camera import CameraPath, invert_rigid, rigid
from ...rotation import rotate_about, rotate_between
from ...trajectory import zoom_intrinsics
from ..damage import quote
from ..parsing import number_array, read_json
from .npz import read_arrays
from .request import Request, make_path
from .transforms import number_in

USUAL_FRAMES = 81  # num_frames where the file doesn't say it
MOST_FRAMES = 100_000
SHIFTS = {"move_left": (-1, 0, 0), "move_right": (1, 0, 0), "push_in": (0, 0, 1), "pull_out": (0, 0, -1),
          "boom_up": (0, -1, 0), "boom_down": (0, 1, 0)}  # x right, y down, z forward
TURNS = {"pan_left": ("y", -1), "pan_right": ("y", 1), "tilt_up": ("x", 1), "tilt_down": ("x", -1)}
ORBITS = {"orbit_left": -1, "orbit_right": 1}


def read_neoverse(path: Path, request: Request) -> CameraPath:
    """NeoVerse's json, or an npz of frame_indices and frame_matrices: world_from_cam in OpenCV's axes.

    Between keyframes places run straight and headings the shortest arc. "relative" trajectories go on from the source
    cameras where they are known. zoom_ratio is reached at the last frame.
    """
    if path.suffix.lower() == ".npz":
        stored = read_arrays(path, ("frame_indices", "frame_matrices"))
        trajectory = {name: array for name, array in stored.items() if array is not None}
        content = {"trajectory": trajectory, "num_frames": request.frames or 1 + int(frame_numbers(trajectory)[-1])}
    else:
        content = read_json(path)
    if not isinstance(content, dict) or not {"trajectory", "keyframes"} & set(content):
        raise ValueError("has neither keyframes nor a trajectory, as NeoVerse's files have")
    if content.get("mode", "relative") not in ("relative", "global"):
        raise ValueError(f"mode is {quote(content['mode'])}, but must be relative or global")
    frames = number_in(content, "num_frames", USUAL_FRAMES)
    if not 1 <= frames <= MOST_FRAMES or frames % 1:
        raise ValueError(f"num_frames is {frames:g}, must be 1..{MOST_FRAMES}")
    knots, poses = read_moves(content["keyframes"]) if "keyframes" in content else read_matrices(content["trajectory"])
    if (knots.diff() <= 0).any() or knots[0] < 0:
        raise ValueError("keyframes must be in the order of their frames, from 0 up")
    world_from_cam = run_between(knots * max(int(frames) - 1, 0) / max(float(knots[-1]), 1), poses, int(frames))
    if content.get("mode", "relative") == "relative" and request.source is not None:
        world_from_cam = source_cameras(request.source, int(frames)) @ world_from_cam
    zoom = torch.linspace(1, number_in(content, "zoom_ratio", 1.0), int(frames), dtype=torch.float64)
    return make_path(invert_rigid(world_from_cam), zoom_intrinsics(request.lens(), zoom), request.needed_size())


def write_neoverse(cameras: CameraPath) -> dict[str, bytes]:
    """NeoVerse's json: a matrix at every frame, and the zoom of the last; its lens is NeoVerse's own."""
    if len(cameras) < 2:
        raise ValueError("has one camera, but NeoVerse needs 2 or more; use another format")
    world_from_cam = invert_rigid(cameras.cam_from_world.double())
    focal = cameras.intrinsics[:, 0, 0]
    content = {"name": "ex4d", "mode": "global", "num_frames": len(cameras), "zoom_ratio": float(focal[-1] / focal[0]),
               "trajectory": {"frame_indices": list(range(len(cameras))), "frame_matrices": world_from_cam.tolist()}}
    return {"": json.dumps(content).encode()}


def frame_numbers(trajectory: dict) -> Tensor:
    """frame_indices [K], or ValueError."""
    numbers = number_array("frame_indices", trajectory.get("frame_indices"), (None,))
    if not len(numbers) or not ((numbers >= 0) & (numbers < MOST_FRAMES)).all():
        raise ValueError(f"frame_indices must be frame numbers in 0..{MOST_FRAMES - 1}")
    return numbers


def read_matrices(trajectory: object) -> tuple[Tensor, Tensor]:
    """Frames [K] and world_from_cam [K, 4, 4] of matrices at some frames."""
    if not isinstance(trajectory, dict):
        raise ValueError("trajectory must contain frame_indices and frame_matrices")
    if "file" in trajectory:
        raise ValueError(f"refers to another file, {quote(trajectory['file'])}; read that file instead")
    knots = frame_numbers(trajectory)
    return knots, number_array("frame_matrices", trajectory.get("frame_matrices"), (len(knots), 4, 4))


def read_moves(keyframes: object) -> tuple[Tensor, Tensor]:
    """Frames [K] and world_from_cam [K, 4, 4] of keyframes [{"0": [{"pan_left": {"angle": 15}}]}, ...].

    The moves of a keyframe follow each other in the camera's own axes, from where the keyframe before left it.
    """
    if not isinstance(keyframes, list) or not keyframes:
        raise ValueError("keyframes must be a list")
    knots, poses, pose = [], [], torch.eye(4, dtype=torch.float64)
    for index, keyframe in enumerate(keyframes):
        (frame, moves), = keyframe.items() if isinstance(keyframe, dict) and len(keyframe) == 1 else [("", None)]
        if not frame.isdecimal() or len(frame) > 6 or not isinstance(moves, list):
            raise ValueError(f'keyframe {index}: must read {{"FRAME": [{{"MOVE": {{...}}}}]}}')
        for move in moves:
            (name, values), = move.items() if isinstance(move, dict) and len(move) == 1 else [("", None)]
            if not isinstance(values, dict):
                raise ValueError(f'keyframe {index}: a move must read {{"MOVE": {{...}}}}')
            pose = pose @ move_matrix(index, name, values)
        knots.append(float(frame))
        poses.append(pose)
    return torch.tensor(knots, dtype=torch.float64), torch.stack(poses)


def move_matrix(index: int, name: str, values: dict) -> Tensor:
    """What one move makes of the camera, [4, 4]; the defaults are NeoVerse's for files."""
    angle = torch.tensor(math.radians(number_in(values, "angle", 30.0)), dtype=torch.float64)
    turn, place = torch.eye(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64)
    if name in SHIFTS:
        place = number_in(values, "distance", 0.1) * torch.tensor(SHIFTS[name], dtype=torch.float64)
    elif name in TURNS:
        axis, sign = TURNS[name]
        turn = rotate_about(axis, sign * angle)
    elif name in ORBITS:  # around a point in front, which it keeps looking at
        angle = ORBITS[name] * angle
        turn = rotate_about("y", -angle)
        place = number_in(values, "orbit_radius", 0.5) * torch.stack([angle.sin(), 0 * angle, 1 - angle.cos()])
    elif name != "static":
        raise ValueError(f"keyframe {index}: {quote(name)} is not a move; use "
                         f"{', '.join([*SHIFTS, *TURNS, *ORBITS, 'static'])}")
    return rigid(turn, place)


def run_between(knots: Tensor, poses: Tensor, frames: int) -> Tensor:
    """Poses [T, 4, 4] of every frame between poses [K, 4, 4] at frames knots [K]; held before and after."""
    at = torch.arange(frames, dtype=torch.float64).clamp(knots[0], knots[-1])
    right = torch.searchsorted(knots, at).clamp(min=1, max=max(len(knots) - 1, 1)).clamp(max=len(knots) - 1)
    left = (right - 1).clamp(min=0)
    weight = ((at - knots[left]) / (knots[right] - knots[left]).clamp(min=1e-9)).clamp(0, 1)
    place = torch.lerp(poses[left, :3, 3], poses[right, :3, 3], weight[:, None])
    return rigid(rotate_between(poses[left, :3, :3], poses[right, :3, :3], weight), place)


def source_cameras(source: Tensor, frames: int) -> Tensor:
    """world_from_cam [T, 4, 4] of the first source cameras, or ValueError where there are fewer."""
    if len(source) < frames:
        raise ValueError(f"goes on from {frames} source cameras, but the clip has {len(source)}; set num_frames to "
                         "that")
    return source[:frames].cpu().double()
