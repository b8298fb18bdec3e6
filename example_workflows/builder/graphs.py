"""The example workflows that make a prior, one function each, and the parts that all workflows share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from notes import NOTES
from sheet import EX4D, INPUT, MODELS, OUTPUT, VIEW_BOX, Group, Model, Node, Sheet, Socket, note

FRAMES, WIDTH, HEIGHT = 49, 512, 512  # what EX-4D was trained on
SHORT = 2.0  # seconds of a video: some 49 frames, soon made, and no more than fits into memory at any size
HUB = "https://huggingface.co"
DA3 = Model("depth_anything_3_base.safetensors", f"{HUB}/Comfy-Org/Depth-Anything-3/resolve/main/geometry_estimation/"
            "depth_anything_3_base.safetensors", "geometry_estimation")
MOGE = Model("moge_2_vitl_normal_fp16.safetensors", f"{HUB}/Comfy-Org/MoGe/resolve/main/geometry_estimation/"
             "moge_2_vitl_normal_fp16.safetensors", "geometry_estimation")
VIDEO_DEPTH_ANYTHING = Model(
    "video_depth_anything_vits.pth", f"{HUB}/depth-anything/Video-Depth-Anything-Small/resolve/main/"
    "video_depth_anything_vits.pth", "video_depth_anything")


class Clip(NamedTuple):
    """What the geometry starts from."""

    images: Socket
    depth: Socket
    fps: Socket
    audio: Socket | None = None


class Video(NamedTuple):
    """A video of the user's, and the nodes that take the same part of its pictures and its sound."""

    load: Node
    parts: tuple[Node, Node, Node]

    @property
    def group(self) -> Group:
        return Group("1  Your video", INPUT, [[self.load]])

    @property
    def images(self) -> Socket:
        return self.parts[-1]["resized"]

    def clip(self, depth: Node) -> Clip:
        return Clip(self.images, depth["depth"], self.parts[1]["fps"], self.parts[1]["audio"])


# ---- the workflows ------------------------------------------------------------------------------


def video_from_a_new_view() -> Sheet:
    video, view, columns = view_of_your_video()
    return sheet("00_ex4d_video_from_a_new_view", *columns,
                 [Group("New view", OUTPUT, [[save_video(view["new_view"], "00_new_view", "New view")]])],
                 asked=[video["file"], view["yaw"], view["pitch"], view["start_time"], view["duration"]], app=True)


def sample_scene_to_prior() -> Sheet:
    clip, scene = sample_clip()
    film = Node("CreateVideo", {"images": clip.images, "fps": clip.fps})
    source = Group("Source", OUTPUT, [[film, save_video(film["VIDEO"], "01_source", "Source")]])
    mesh, path, render = prior_nodes(clip, {"move": "orbit", "move.yaw": 30.0, "move.pitch": 10.0})
    return sheet("01_ex4d_sample_scene_from_the_side", [scene], [source],
                 [Group("2  Mesh and camera", EX4D, [[mesh, path]])], [rendered(render, clip, "01", 3)],
                 asked=[scene.columns[0][0]["scene"], path["move.yaw"], path["move.pitch"]])


def depth_anything_to_prior() -> Sheet:
    video = your_video()
    return video_to_prior("02_ex4d_new_view_by_depth_anything_3", video, depth_anything(video.images))


def moge_to_prior() -> Sheet:
    video, load = your_video(), Node("LoadMoGeModel", {"model_name": MOGE.name}, models=(MOGE,))
    infer = Node("MoGeInference", {"moge_model": load["MOGE_MODEL"], "image": video.images})
    depth = Node("EX4DDepthFromGeometry", {"geometry": infer["moge_geometry"]})
    return video_to_prior("03_ex4d_new_view_by_moge", video, (load, infer, depth), "arc")


def estimated_depth_to_prior() -> Sheet:
    video = your_video()
    return video_to_prior("13_ex4d_new_view_by_video_depth_anything", video, (video_depth_anything(video.images),))


def background_to_prior() -> Sheet:
    """Workflow 02 whose frames are filled with what other frames saw."""
    video = your_video()
    load, infer, depth = depth_anything(video.images)
    moving = Node("EX4DMotionMask", {"images": video.images, "depth": depth["depth"]})
    clip = video.clip(depth)
    mesh, path, render = prior_nodes(clip, {"move": "orbit", "move.yaw": 40.0}, {"hidden_reach": 0.1},
                                     {"moving": moving["moving"]})
    sound = sound_along(clip, path["cameras"])
    angles = Node("EX4DCoverageMap", {"mesh": mesh["mesh"]}, None, 400)
    seen = preview(angles["map"], "How far the camera can go")
    return sheet("14_ex4d_new_view_background_kept", [video.group],
                 [Group("2  Its depth", MODELS, [[*video.parts, load, infer, depth]])],
                 [Group("3  What moves, mesh and camera", EX4D, [[moving, mesh, path, sound]])],
                 [rendered(render, clip, "14", 4, sound)],
                 [Group("5  How far the camera can go", OUTPUT, [[angles, seen]])],
                 asked=[video.load["file"], path["move.yaw"], path["move.pitch"]])


def depth_images_to_prior() -> Sheet:
    exact, scene = sample_clip("1  Stand-in: a clip")
    gray = Node("EX4DDepthToImages", {"depth": exact.depth, "colors": "gray"}, "Stand-in: gray depth images")
    stand_in = Group("2  Stand-in: its depth", INPUT, [[gray, preview(gray["images"], "Depth images")]])
    depth = Node("EX4DDepthFromImages", {"images": gray["images"], "convention": "released", "lens": "released"})
    clip = Clip(exact.images, depth["depth"], exact.fps)
    mesh, path, render = prior_nodes(clip, {"move": "truck", "move.distance": 0.4})
    return sheet("04_ex4d_new_view_by_depth_images", [scene], [stand_in],
                 [Group("3  Depth, mesh and camera", EX4D, [[depth, mesh, path]])], [rendered(render, clip, "04", 4)],
                 asked=[scene.columns[0][0]["scene"], path["move.distance"]])


SHEETS = (video_from_a_new_view, sample_scene_to_prior, depth_anything_to_prior, moge_to_prior, depth_images_to_prior,
          estimated_depth_to_prior, background_to_prior)


# ---- the parts they share -----------------------------------------------------------------------


def sheet(name: str, first: list[Group], *stacks: Sequence[Group], asked: Sequence[Socket] = (),
          app: bool = False) -> Sheet:
    """The workflow, with what is to be said of it above its first group."""
    return Sheet(name, [[Group("", "", [[note("Read me", NOTES[name])]]), *first], *stacks], asked, app)


def sample_clip(title: str = "1  A clip with exact depth") -> tuple[Clip, Group]:
    scene = Node("EX4DSampleScene", {"scene": "gallery", "frames": FRAMES, "width": WIDTH, "height": HEIGHT})
    return Clip(scene["images"], scene["depth"], scene["fps"]), Group(title, INPUT, [[scene]])


def load_video() -> Node:
    return Node("LoadVideo", {"file": "your_video.mp4"}, "Your video", 300)


def view_of_your_video() -> tuple[Node, Node, list[list[Group]]]:
    """A video of the user's and the blueprint that shows it from a new view."""
    video = load_video()
    view = Node(VIEW_BOX, {"video": video["VIDEO"]})
    return video, view, [[Group("Your video", INPUT, [[video]])], [Group("From another side", EX4D, [[view]])]]


def your_video() -> Video:
    load = load_video()
    return Video(load, parts_of(load["VIDEO"]))


def parts_of(video: Socket | None) -> tuple[Node, Node, Node]:
    """A video, cut before it is taken apart so that its sound stays in step, at a size that video files can have."""
    trim = Node("Video Slice", {"duration": SHORT} | ({"video": video} if video else {}))
    parts = Node("GetVideoComponents", {"video": trim["VIDEO"]})
    even = Node("ResizeImageMaskNode", {"input": parts["images"], "resize_type": "scale to multiple",
                                        "resize_type.multiple": 2, "scale_method": "area"}, "Even width and height")
    return trim, parts, even


def video_depth_anything(images: Socket) -> Node:
    return Node("EstimateVideoDepth", {"images": images, "model": "Video-Depth-Anything",
                                       "model.file": VIDEO_DEPTH_ANYTHING.name, "scale": "released",
                                       "lens": "as given", "cuts": "split"}, models=(VIDEO_DEPTH_ANYTHING,))


def depth_anything(images: Socket) -> tuple[Node, Node, Node]:
    load = Node("LoadDA3Model", {"model_name": DA3.name}, models=(DA3,))
    infer = Node("DA3Inference", {"da3_model": load["DA3_MODEL"], "image": images, "mode": "multiview"})
    return load, infer, Node("EX4DDepthFromGeometry", {"geometry": infer["da3_geometry"]})


def video_to_prior(name: str, video: Video, estimate: Sequence[Node], move: str = "orbit") -> Sheet:
    clip = video.clip(estimate[-1])
    if estimate[-1].kind == "EstimateVideoDepth":
        pictures, shown = [], estimate[-1]["preview"]
    else:
        pictures = [Node("EX4DDepthToImages", {"depth": clip.depth, "colors": "turbo"})]
        shown = pictures[0]["images"]
    mesh, path, render = prior_nodes(clip, {"move": move, "move.yaw": 30.0})
    return sheet(name, [video.group], [Group("2  Its depth", MODELS, [[*video.parts, *estimate]])],
                 [Group("3  Mesh and camera", EX4D, [[mesh, path]]),
                  Group("Depth to look at", OUTPUT, [[*pictures, preview(shown, "Depth to look at", 150)]])],
                 [rendered(render, clip, name[:2], 4)],
                 asked=[video.load["file"], path["move.yaw"], path["move.pitch"]])


def prior_nodes(clip: Clip, move: dict, of_mesh: dict | None = None,
                of_render: dict | None = None) -> tuple[Node, Node, Node]:
    """Mesh, camera path and render. of_mesh, of_render: further inputs of those."""
    mesh = Node("BuildDWMesh", {"images": clip.images, "depth": clip.depth, **(of_mesh or {})})
    path = Node("CameraTrajectory", {**move, "scene": clip.depth, "frames": 0})
    render = Node("RenderDWMesh", {"mesh": mesh["mesh"], "cameras": path["cameras"], "erosion": "released",
                                   **(of_render or {})}, None, 480)
    return mesh, path, render


def rendered(render: Node, clip: Clip, number: str, place: int, sound: Node | None = None) -> Group:
    """The render and what it shows as a video file. place: the number of the group. sound: if it stands elsewhere."""
    film = Node("CreateVideo", {"images": render["color"], "fps": clip.fps})
    end = [film, save_video(film["VIDEO"], f"{number}_color", "Color")]
    columns = [[render, *end]]
    if clip.audio and not sound:
        sound = sound_along(clip, render.inputs["cameras"])
        columns = [[render], [sound, *end]]
    if sound:
        film.inputs["audio"] = sound["audio"]
    return Group(f"{place}  New view", OUTPUT, columns)


def sound_along(clip: Clip, cameras: Socket) -> Node:
    """The sound of a clip, in step whatever becomes of the path."""
    return Node("EX4DSoundForCameras", {"audio": clip.audio, "cameras": cameras, "fps": clip.fps})


def save_video(video: Socket, name: str, title: str) -> Node:
    return Node("SaveVideo", {"video": video, "filename_prefix": f"ex4d/{name}"}, title, 370)


def preview(images: Socket, title: str, height: int = 260) -> Node:
    return Node("PreviewImage", {"images": images}, title, height)
