"""The server's side of the camera editor: pictures of a kept scene, its coverage, paths and presets, under /ex4d/.

Everything is drawn on the CPU by two threads of our own (desk.py), never by the event loop, nor on the GPU that
samples. What a page may send is in preview_requests.py; what it gets where a scene is gone or a text is broken is an
answer with an error and a reason, as browsers write every other status into their console.
"""

from __future__ import annotations

import base64
import binascii
import io
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from aiohttp import web

from ..ex4d_ops.camera import CameraPath, invert_rigid, transform, transform_each
from ..ex4d_ops.files.path_settings import READ_SUFFIXES
from ..ex4d_ops.files.paths import read_path
from ..ex4d_ops.preflight import TRAINED_RANGES
from ..ex4d_ops.rules import RenderRules
from ..ex4d_ops.small_scene import Sight, SmallScene, look, point_at, sample_points, spread
from ..ex4d_ops.trajectory import MOVES, make_subject
from ..ex4d_ops.trajectory.entries import SEGMENT_EASES
from ..ex4d_ops.trajectory.keyframes import FIELDS, CameraMotion, Keyframe, camera_motion, parse_keyframes, parse_retime
from ..ex4d_ops.trajectory.keying import FittedTo, keyframe_of, keyframes_of, preset_keyframes
from ..ex4d_ops.trajectory.viewer import camera_from_load3d
from . import kept_scenes
from .camera import MAX_FRAMES, View, choose_view, scene_radius
from .desk import Crowded, Desk, Stale, take_one_core
from .directing import make_path
from .preview_requests import (
    KEY,
    LARGEST_BODY,
    LARGEST_FILE,
    LONGEST_NAME,
    MAPPING,
    RULES,
    TRUTH,
    Asked,
    Check,
    Reason,
    Refused,
    Unanswered,
    check_fields,
    choice,
    either,
    number,
    read_body,
    read_settings,
    rounded,
    text,
    whole,
)
from .progress import running_server

VERSION = 1  # of what pages and routes say to each other; a page of another one asks to be loaded anew
MOST_MOMENTS = 2000  # of a path that is told
MOST_COVERED = 128  # frames of a path whose coverage is told
MOST_KEYS = 1000
TINT = (0.55, 0.12, 0.42)  # of what nobody has seen
QUALITY = 85  # of JPEG
BREATH = 0.2  # seconds that coverage waits at most for pictures, which go first

pictures, paths = Desk("pictures"), Desk("paths")
drawers = ThreadPoolExecutor(2, "ex4d-coverage", take_one_core)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


# ---- a path of the settings ---------------------------------------------------------------------


class Directed:
    """The path that settings make of a kept scene, as the node makes it of the scene itself."""

    def __init__(self, asked: Asked) -> None:
        self.scene, self.asked = find_scene(asked.scene), asked
        self.shot = self.scene.shot
        try:
            self.subject = None if self.shot.subject is None else make_subject(self.shot.subject, asked.keep_aim)
            self.view: View = choose_view(self.shot, asked.frames, asked.radius, asked.width, asked.height, asked.focal,
                                          asked.fit, self.subject)
        except ValueError as error:
            raise Unanswered(Reason.SETTINGS, str(error)) from None

    def keyframes(self) -> Sequence[Keyframe]:
        """The keyframes, of a text that is right."""
        try:
            keys = parse_keyframes(self.asked.keyframes, self.view.frames)
            parse_retime(self.asked.keyframes, self.view.frames)
        except ValueError as error:
            raise Unanswered(Reason.KEYFRAMES, str(error)) from None
        if len(keys) > MOST_KEYS:
            raise Unanswered(Reason.KEYFRAMES, f"keyframes: {len(keys)} are more than the editor can show; use at most "
                                          f"{MOST_KEYS}")
        return keys

    @property
    def lens(self) -> torch.Tensor:
        """Intrinsics [3, 3] of zoom 1."""
        return self.view.intrinsics.reshape(-1, 3, 3)[0]

    @property
    def fitted(self) -> FittedTo:
        return FittedTo(self.view.radius, self.lens, self.asked.smooth, self.subject is None)

    def motion(self) -> CameraMotion:
        focal = float(self.lens[0, 0])
        return camera_motion(self.keyframes(), self.view.frames, focal, self.asked.smooth, self.subject)

    def path(self) -> CameraPath:
        """The path, following what it is told to follow."""
        self.keyframes()
        try:
            return make_path(self.shot, self.asked.keyframes, self.asked.smooth, self.view, self.asked.relative,
                             self.subject)
        except ValueError as error:
            raise Unanswered(Reason.SETTINGS, str(error)) from None

    def source_of(self, path: CameraPath) -> torch.Tensor:
        """world_from_cam [T, 4, 4] of the source frames that a path shows."""
        return self.shot.world_from_cam[path.source_frame.clamp(0, len(self.shot) - 1)]


def find_scene(key: str) -> SmallScene:
    try:
        scene = kept_scenes.find_scene(key)
    except kept_scenes.ForgedKey:
        raise Refused(403, "no scene of this server has that id") from None
    if scene is None:
        raise Unanswered(Reason.NO_SCENE, "The scene is not kept any more; run the node again")
    return scene


# ---- answers ------------------------------------------------------------------------------------


def draw_picture(asked: Asked) -> web.Response:
    """The prior of one output frame as JPEG, holes tinted, and its coverage."""
    begun = time.perf_counter()
    directed = Directed(asked)
    path, frame = directed.path(), frame_of(asked, directed.view)
    sight = look_at(directed.scene, path, frame, asked.rest.get("rules", RenderRules()))
    body = encode(sight, asked.rest.get("tint", True))
    return web.Response(body=body, content_type="image/jpeg", headers={
        "X-EX4D-Coverage": f"{sight.coverage:.4f}", "X-EX4D-Source": str(int(path.source_frame[frame])),
        "X-EX4D-Queued": str(count_queued()),
        "X-EX4D-Milliseconds": f"{(time.perf_counter() - begun) * 1e3:.1f}"})


def count_queued() -> int:
    """Graphs that run or wait: beside one, pages ask for fewer pictures."""
    server = running_server()
    return server.prompt_queue.get_tasks_remaining() if server else 0


def frame_of(asked: Asked, view: View) -> int:
    frame = asked.rest.get("frame", 0)
    if frame >= view.frames:
        raise Unanswered(Reason.SETTINGS, f"frame {frame} is not in the path; use 0..{view.frames - 1}")
    return frame


def look_at(scene: SmallScene, path: CameraPath, frame: int, how: RenderRules) -> Sight:
    try:
        return look(scene, path, frame, how)
    except ValueError as error:
        raise Unanswered(Reason.SETTINGS, str(error)) from None


def encode(sight: Sight, tint: bool) -> bytes:
    from PIL import Image

    color = sight.color
    if tint:
        color = torch.where(sight.visible[..., None], color, color.new_tensor(TINT))
    file = io.BytesIO()
    Image.fromarray((color * 255).round().byte().numpy()).save(file, "JPEG", quality=QUALITY)
    return file.getvalue()


def tell_path(asked: Asked) -> dict:
    """Every moment of a path: its keyframes' running values, and the camera they make."""
    directed = Directed(asked)
    motion, path = directed.motion(), directed.path()
    eye, orbit, headings = path.eye, motion.orbit_or_like(), motion.headings()
    moments = []
    for t in spread(len(path), MOST_MOMENTS):
        yaw, pitch, distance = orbit[t].tolist()
        pan, tilt, roll = headings[t].tolist()
        moments.append({
            "frame": t, "position": motion.eye[t].tolist(), "look_at": motion.target[t].tolist(), "yaw": yaw,
            "pitch": pitch, "distance": distance, "roll": roll, "pan": pan, "tilt": tilt, "zoom": float(motion.zoom[t]),
            "eye": eye[t].tolist(), "rotation": path.cam_from_world[t, :3, :3].reshape(-1).tolist(),
            "source": int(path.source_frame[t])})
    return {"frames": len(path), "radius": directed.view.radius, "circles": motion.orbit is not None,
            "heads": motion.heads,
            "retimed": bool(parse_retime(asked.keyframes, directed.view.frames)), "moments": moments}


def tell_coverage(asked: Asked) -> dict:
    """How much of every frame was seen, and from which angle. Pictures go first; Stale where a newer one is asked."""
    directed = Directed(asked)
    path, how = directed.path(), asked.rest.get("rules", RenderRules())
    motion, name = directed.motion(), ("coverage", asked.editor)

    def measure(t: int) -> float:
        pictures.wait_until_idle(BREATH)
        if paths.replaced(name):
            raise Stale
        with torch.inference_mode():
            return look_at(directed.scene, path, t, how).coverage

    frames = list(spread(len(path), MOST_COVERED))
    shares = list(drawers.map(measure, frames))
    yaw, pitch = angles_around(directed, motion, path)
    return {"frames": frames, "coverage": shares, "yaw": yaw[frames].tolist(), "pitch": pitch[frames].tolist()}


def angles_around(directed: Directed, motion: CameraMotion, path: CameraPath) -> tuple[torch.Tensor, torch.Tensor]:
    """Yaw and pitch [T], degrees, of every camera around its target, from the source camera of that moment."""
    from_source = invert_rigid(directed.source_of(path).double())
    target = motion.target * directed.view.radius
    if directed.asked.relative == "world":
        target = transform_each(from_source, target)
    eye = transform_each(from_source, path.eye.double())
    away, straight = target - eye, target
    yaw = torch.atan2(-away[:, 0], away[:, 2]) - torch.atan2(-straight[:, 0], straight[:, 2])
    rise = [torch.atan2(part[:, 1], torch.hypot(part[:, 0], part[:, 2])) for part in (away, straight)]
    return torch.rad2deg(torch.remainder(yaw + torch.pi, 2 * torch.pi) - torch.pi), torch.rad2deg(rise[0] - rise[1])


def tell_point(asked: Asked) -> dict:
    """The place of what the picture shows at a point, in the axes that keyframes are in."""
    directed = Directed(asked)
    path, frame = directed.path(), frame_of(asked, directed.view)
    try:
        point = point_at(directed.scene, path, frame, asked.rest.get("x", 0.5), asked.rest.get("y", 0.5))
    except ValueError as error:
        raise Unanswered(Reason.SETTINGS, str(error)) from None
    if point is None:
        raise Unanswered(Reason.NOTHING, "There is no surface here: it is sky, or nobody has seen it")
    own = point
    if asked.relative == "source":
        own = transform(invert_rigid(directed.source_of(path)[frame]), point)
    return {"look_at": (own / directed.view.radius).tolist(), "point": point.tolist(),
            "distance": float((point - path.eye[frame]).norm())}


def tell_scene(key: str) -> dict:
    """What views from above and from the side show of a scene."""
    scene = find_scene(key)
    shot, (height, width) = scene.shot, scene.size
    points, colors = sample_points(scene)
    cameras = [{"eye": camera[:3, 3].tolist(), "rotation": camera[:3, :3].mT.reshape(-1).tolist()}
               for camera in shot.world_from_cam]
    moving = not torch.allclose(shot.world_from_cam, torch.eye(4), atol=1e-5)
    return {"frames": len(scene), "width": width, "height": height, "source_width": shot.size[1],
            "source_height": shot.size[0], "radius": scene_radius(shot), "focal": float(shot.intrinsics[0, 0, 0]),
            "points": points.reshape(-1).tolist(), "colors": (colors * 255).round().int().reshape(-1).tolist(),
            "cameras": cameras, "moving_camera": moving,
            "subject": None if shot.subject is None else shot.subject.tolist()}


def tell_tables() -> dict:
    """What the editor lists: trained ranges, eases, moves, fields; and the version of what routes take and give."""
    moves = [{"name": name, "help": kind.help, "ease": kind.ease,
              "parameters": [asdict(parameter) for parameter in kind.parameters]} for name, kind in MOVES.items()]
    return {"version": VERSION, "ranges": [asdict(trained) for trained in TRAINED_RANGES], "eases": SEGMENT_EASES,
            "moves": moves, "fields": list(FIELDS)}


def tell_preset(said: dict) -> dict:
    fields = check_fields(said, {"move": text(LONGEST_NAME * 5), "frames": whole(1, MAX_FRAMES), "smooth": TRUTH},
                          ("move", "frames"))
    try:
        return {"keyframes": preset_keyframes(fields["move"], fields["frames"], fields.get("smooth", True))}
    except ValueError as error:
        raise Unanswered(Reason.SETTINGS, str(error)) from None


def tell_import(asked: Asked) -> dict:
    """The keyframes of a path file's content; only the ending of its name is looked at."""
    directed = Directed(asked)
    view, rest, lens = directed.view, asked.rest, directed.lens
    suffix = Path(rest["name"]).suffix.lower()
    if suffix not in READ_SUFFIXES:
        raise Unanswered(Reason.FILE, f"'{suffix[:LONGEST_NAME]}' is not the ending of a camera file; use one of "
                                 f"{', '.join(sorted(READ_SUFFIXES))}")
    with tempfile.TemporaryDirectory(prefix="ex4d-") as folder:
        file = Path(folder, f"cameras{suffix}")
        try:
            file.write_bytes(base64.b64decode(rest["content"], validate=True))
            path = read_path(file, view.size, view.frames, radius=view.radius, intrinsics=lens,
                             source=directed.shot.world_from_cam, length=rest.get("length", "fit"),
                             scale=rest.get("scale", 1.0), format=rest.get("format"), world=rest.get("world"))
        except (ValueError, binascii.Error) as error:
            raise Unanswered(Reason.FILE, str(error).replace(str(file), rest["name"])) from None
    if asked.relative == "source":
        path = replace(path, cam_from_world=path.cam_from_world @ directed.source_of(path))
    return {"keyframes": keyframes_of(path, directed.fitted), "frames": len(path)}


def tell_view(asked: Asked) -> dict:
    """A keyframe of the view of ComfyUI's 3D viewer."""
    directed = Directed(asked)
    try:
        path = camera_from_load3d(asked.rest["camera_info"], directed.view.size, asked.rest.get("model_3d_info"))
        return {"key": keyframe_of(path, 0, directed.fitted)}
    except ValueError as error:
        raise Unanswered(Reason.SETTINGS, str(error)) from None


# ---- routes -------------------------------------------------------------------------------------


PICTURE: dict[str, Check] = {"frame": whole(0, MAX_FRAMES), "tint": TRUTH, "rules": RULES}
POINT: dict[str, Check] = PICTURE | {"x": number(0, 1), "y": number(0, 1)}
IMPORT: dict[str, Check] = {"name": text(LONGEST_NAME), "content": text(LARGEST_FILE * 4 // 3 + 4),
                            "format": text(LONGEST_NAME), "world": choice("auto", "first", "file"),
                            "length": choice("exact", "fit"), "scale": either("auto", number(1e-6, 1e6))}
VIEW: dict[str, Check] = {"camera_info": MAPPING, "model_3d_info": MAPPING}
# Route: what it takes beside the settings, those of them that are needed, who answers, and at which desk.
OF_PATHS: dict[str, tuple[dict[str, Check], tuple[str, ...], Callable[[Asked], Any], Desk]] = {
    "picture": (PICTURE, ("keyframes",), draw_picture, pictures),
    "point": (POINT, ("keyframes",), tell_point, pictures),
    "path": ({}, ("keyframes",), tell_path, pictures),
    "coverage": ({"rules": RULES}, ("keyframes",), tell_coverage, paths),
    "import": (IMPORT, ("name", "content"), tell_import, paths),
    "view": (VIEW, ("camera_info",), tell_view, pictures)}


def answer_path(route: str) -> Handler:
    """The handler of a route of OF_PATHS."""
    more, needed, work, desk = OF_PATHS[route]

    async def answer(request: web.Request) -> web.StreamResponse:
        said = await read_body(request, 2 * LARGEST_FILE if route == "import" else LARGEST_BODY)
        for name in needed:
            if name not in said:
                raise Refused(400, f"{name} is missing")
        asked = read_settings(said, more)
        done = await desk.ask((route, asked.editor), lambda: work(asked))
        return done if isinstance(done, web.Response) else web.json_response(rounded(done))

    return answer


async def answer_preset(request: web.Request) -> web.StreamResponse:
    said = await read_body(request)
    return web.json_response(await paths.ask(("preset", str(id(request))), lambda: tell_preset(said)))


async def answer_scene(request: web.Request) -> web.StreamResponse:
    key = request.match_info["key"]
    if not KEY.fits(key):
        raise Refused(400, f"this must be {KEY.must}")
    return web.json_response(rounded(await pictures.ask(("scene", str(id(request))), lambda: tell_scene(key))))


async def answer_tables(request: web.Request) -> web.StreamResponse:
    return web.json_response(rounded(tell_tables()))


def guarded(handler: Handler) -> Handler:
    """A handler whose refusals and failures are answers."""

    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            response = await handler(request)
        except Refused as error:
            response = web.json_response({"error": str(error)}, status=error.status)
        except Crowded:
            response = web.json_response({"error": "too many requests wait"}, status=429)
        except Unanswered as error:
            response = web.json_response({"error": str(error), "reason": error.reason.value})
        except Stale:
            response = web.json_response({"error": "a newer request has taken its place", "reason": Reason.STALE.value})
        response.headers["Cache-Control"] = "no-store"
        return response

    return answer


def register_routes(routes: web.RouteTableDef) -> None:
    """Add the editor's routes to those of ComfyUI's server."""
    for route in OF_PATHS:
        routes.post(f"/ex4d/{route}")(guarded(answer_path(route)))
    routes.post("/ex4d/preset")(guarded(answer_preset))
    routes.get("/ex4d/scene/{key}")(guarded(answer_scene))
    routes.get("/ex4d/tables")(guarded(answer_tables))
