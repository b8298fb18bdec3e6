"""Cameras of a path from and to ComfyUI's 3D viewers."""

from __future__ import annotations

from comfy_api.latest import io

from ..ex4d_ops.trajectory.editing import arrive
from ..ex4d_ops.trajectory.viewer import camera_from_load3d, load3d_from_camera
from . import sockets
from .camera import SPEED_TIP, SPEEDS, pack_path, path_outputs


class EX4DCameraFromLoad3D(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="EX4DCameraFromLoad3D",
            display_name="Camera from 3D Viewer (EX-4D)",
            category="EX-4D/camera",
            description="Moves a camera path to a view that you chose in a 3D viewer, and stays there.",
            search_aliases=["load 3d camera", "viewer camera", "camera info"],
            inputs=[
                sockets.Cameras.Input("cameras",
                                      tooltip="Camera path to start from. A static path starts at the source camera."),
                io.Load3DCamera.Input("camera_info",
                                      tooltip="Camera of the viewer, from Load 3D (Advanced) or Preview 3D "
                                              "(Advanced)."),
                io.Int.Input("frame", default=48, min=1, max=9999,
                             tooltip="Frame in which the path arrives, counted from 0."),
                io.Combo.Input("ease", options=SPEEDS, default="ease-in-out",
                               tooltip=f"How the speed changes on the way. {SPEED_TIP}"),
                io.Load3DModelInfo.Input("model_3d_info", optional=True,
                                         tooltip="Position and scale of the mesh in the viewer, which moves and scales "
                                                 "meshes to fit. Connect it from the same viewer."),
            ],
            outputs=path_outputs(),
        )

    @classmethod
    def execute(cls, cameras, camera_info, frame, ease, model_3d_info=None) -> io.NodeOutput:
        if not isinstance(camera_info, dict):
            raise ValueError("camera_info: the viewer has not sent a camera yet; open it, turn the view and run again")
        view = camera_from_load3d(camera_info, cameras.size, model_3d_info[0] if model_3d_info else None)
        return pack_path(arrive(cameras, sockets.keep(view), frame, ease))


class EX4DCameraToLoad3D(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="EX4DCameraToLoad3D",
            display_name="Camera to 3D Viewer (EX-4D)",
            category="EX-4D/camera",
            description="Converts one frame of a camera path to a camera for ComfyUI's 3D viewers.",
            search_aliases=["load 3d camera", "viewer camera", "camera info"],
            inputs=[
                sockets.Cameras.Input("cameras", tooltip="Camera path to take the frame from."),
                io.Int.Input("frame", default=0, min=0, max=9999, tooltip="Frame to convert, counted from 0."),
                io.Float.Input("target_distance", default=3.0, min=0.001, max=1e6, step=0.001,
                               tooltip="Distance from the camera to the point that the viewer turns around, in scene "
                                       "units."),
            ],
            outputs=[io.Load3DCamera.Output("camera_info",
                                            tooltip="Camera for the camera input of ComfyUI's 3D viewers.")],
        )

    @classmethod
    def execute(cls, cameras, frame, target_distance) -> io.NodeOutput:
        if frame >= len(cameras):
            raise ValueError(f"frame: the path does not have a frame {frame}; use 0..{len(cameras) - 1}")
        return io.NodeOutput(load3d_from_camera(cameras, frame, target_distance))
