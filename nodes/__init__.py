"""The extension and its nodes."""

from comfy_api.latest import ComfyExtension, io

from .adapter import ApplyEX4DLoRA, EX4DPriorEncode
from .camera import (
    CameraTrajectory,
    EX4DCameraKeyframes,
    EX4DComposeCameras,
    EX4DLoadCameras,
    EX4DSaveCameras,
)
from .depth import (
    EX4DDepthFromGeometry,
    EX4DDepthFromImages,
    EX4DDepthToImages,
    EX4DLoadDepth,
    EX4DSaveDepth,
)
from .depth_models import EstimateVideoDepth
from .mesh import BuildDWMesh, EX4DMeshToMesh
from .models import register_folders
from .render import RenderDWMesh
from .sample import EX4DSampleScene
from .simulate import EX4DRandomMask, EX4DRenderingMask, EX4DSmoothCrop, EX4DTrackingMask
from .train import EX4DTrainAdapter
from .viewer import EX4DCameraFromLoad3D, EX4DCameraToLoad3D

NODES: list[type[io.ComfyNode]] = [
    EX4DSampleScene,
    EstimateVideoDepth,
    EX4DDepthFromImages,
    EX4DDepthFromGeometry,
    EX4DLoadDepth,
    EX4DSaveDepth,
    EX4DDepthToImages,
    BuildDWMesh,
    EX4DMeshToMesh,
    CameraTrajectory,
    EX4DCameraKeyframes,
    EX4DComposeCameras,
    EX4DLoadCameras,
    EX4DSaveCameras,
    EX4DCameraFromLoad3D,
    EX4DCameraToLoad3D,
    RenderDWMesh,
    EX4DPriorEncode,
    ApplyEX4DLoRA,
    EX4DRenderingMask,
    EX4DTrackingMask,
    EX4DRandomMask,
    EX4DSmoothCrop,
    EX4DTrainAdapter,
]


class EX4DExtension(ComfyExtension):
    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return NODES


async def comfy_entrypoint() -> EX4DExtension:
    register_folders()
    return EX4DExtension()
