"""The sound of a clip, in step with a camera path that changes its time."""

from __future__ import annotations

from typing import get_args

from comfy_api.latest import io

from ..ex4d_ops.sound import Retimed, sound_along
from . import sockets


class EX4DSoundForCameras(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="EX4DSoundForCameras",
            display_name="Sound for Cameras (EX-4D)",
            category="EX-4D/camera",
            description="Keeps the sound of a clip in step with a camera path: as long as the path, and silent or "
                        "stretched where the path holds or retimes the clip.",
            search_aliases=["audio", "retime audio", "slow motion sound", "bullet time sound", "mute", "audio sync"],
            inputs=[
                io.Audio.Input("audio", tooltip="Sound of the clip, from its first frame on."),
                sockets.Cameras.Input("cameras", tooltip="Camera path that the video shows."),
                io.Float.Input("fps", default=24.0, min=0.1, max=1000.0, step=0.01,
                               tooltip="Frame rate of the clip, in frames per second. Connect it from the node that "
                                       "loads the clip."),
                io.Combo.Input("retimed", options=list(get_args(Retimed)), default="silence",
                               tooltip="What is heard where the path shows the clip slower, faster or backward. "
                                       "silence: nothing. stretch: its sound at that speed, lower or higher. Where "
                                       "the path holds a frame or leaps, nothing is heard."),
            ],
            outputs=[io.Audio.Output("audio", tooltip="Sound of the path, for Create Video. Nothing if the clip is "
                                                      "silent.")],
        )

    @classmethod
    def execute(cls, audio, cameras, fps, retimed: Retimed) -> io.NodeOutput:
        if audio is None:  # as Get Video Components has it of a silent video
            return io.NodeOutput(None)
        rate = audio["sample_rate"]
        wave = sound_along(audio["waveform"], rate, cameras.source_frame, fps, retimed)
        return io.NodeOutput(sockets.as_audio(wave, rate))
