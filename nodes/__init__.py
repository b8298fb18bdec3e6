"""ComfyUI's nodes: thin, for what they do is in ex4d_ops. Read sockets.py, the types that flow, then one node's file.

video.py, depth.py, depth_models.py, mesh.py, camera.py, directing.py, camera_files.py, viewer.py, sound.py, render.py,
guide.py, stereo.py, adapter.py, evaluate.py, simulate.py, train.py and sample.py hold the nodes in the order of a
graph; injection.py puts the prior into ComfyUI's Wan, depth_memory.py depth models into its memory; folders.py knows
ComfyUI's folders, queued.py the graph that is checked and lengths.py how many frames flow in it, help.py how help pages
are served, progress.py what a node shows while it runs.

preview.py answers the camera editor: preview_requests.py reads what it asks, kept_scenes.py keeps the scenes that it
shows, desk.py holds the threads that draw them.
"""

from comfy_api.latest import ComfyExtension, io

from .adapter import ApplyEX4DLoRA, EX4DPriorEncode
from .background import EX4DCoverageMap, EX4DMotionMask
from .camera import CameraTrajectory, EX4DComposeCameras
from .camera_files import EX4DLoadCameras, EX4DSaveCameras
from .depth import (
    EX4DDepthFromGeometry,
    EX4DDepthFromImages,
    EX4DDepthToImages,
    EX4DLoadDepth,
    EX4DSaveDepth,
)
from .depth_models import EstimateVideoDepth
from .directing import EX4DCameraKeyframes, EX4DSourceCameras
from .evaluate import EX4DEvaluate
from .folders import register_model_folders
from .guide import EX4DAnchorFrames, EX4DGuideVideo
from .help import serve_help
from .mesh import BuildDWMesh, EX4DMeshToMesh
from .progress import running_server, show_warnings
from .queued import watch_queue
from .render import RenderDWMesh
from .sample import EX4DSampleScene
from .simulate import EX4DRandomMask, EX4DRenderingMask, EX4DSmoothCrop, EX4DTrackingMask
from .sound import EX4DSoundForCameras
from .stereo import EX4DStereoCameras, EX4DStereoVideo
from .train import EX4DTrainAdapter
from .video import EX4DClipFromVideo
from .viewer import EX4DCameraFromLoad3D, EX4DCameraToLoad3D

NODES: list[type[io.ComfyNode]] = [
    EX4DSampleScene,
    EX4DClipFromVideo,
    EstimateVideoDepth,
    EX4DDepthFromImages,
    EX4DDepthFromGeometry,
    EX4DLoadDepth,
    EX4DSaveDepth,
    EX4DDepthToImages,
    EX4DMotionMask,
    BuildDWMesh,
    EX4DMeshToMesh,
    CameraTrajectory,
    EX4DCameraKeyframes,
    EX4DSourceCameras,
    EX4DComposeCameras,
    EX4DLoadCameras,
    EX4DSaveCameras,
    EX4DCameraFromLoad3D,
    EX4DCameraToLoad3D,
    EX4DSoundForCameras,
    EX4DCoverageMap,
    RenderDWMesh,
    EX4DAnchorFrames,
    EX4DGuideVideo,
    EX4DStereoCameras,
    EX4DStereoVideo,
    EX4DPriorEncode,
    ApplyEX4DLoRA,
    EX4DEvaluate,
    EX4DRenderingMask,
    EX4DTrackingMask,
    EX4DRandomMask,
    EX4DSmoothCrop,
    EX4DTrainAdapter,
]


class EX4DExtension(ComfyExtension):
    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return NODES


def open_editor() -> None:
    """Let ComfyUI's server answer the camera editor; who calls nodes without a server needs no editor."""
    if server := running_server():
        from .preview import register_routes

        register_routes(server.routes)


async def comfy_entrypoint() -> EX4DExtension:
    register_model_folders()
    show_warnings()
    watch_queue()
    serve_help()
    open_editor()
    return EX4DExtension()
