"""A video that can be heard where it is: silent, then a tone; and what is heard of another."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

RATE, FPS, SIZE, SECONDS = 16000, 8, (48, 64), 5  # samples and frames a second, (H, W)
SILENT = 2.0  # seconds before the tone
START = 1.5  # seconds into it, where the tests begin
STEP = RATE // 16  # samples that are heard as one


def write_tone(path: Path) -> None:
    """A video whose pictures grow bright from left to right, silent for SILENT seconds and a tone from then on."""
    height, width = SIZE
    with av.open(str(path), "w") as file:
        video, audio = file.add_stream("h264", rate=FPS), file.add_stream("aac", rate=RATE, layout="mono")
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        for t in range(FPS * SECONDS):
            row = np.linspace(40, 200, width) + t
            picture = np.broadcast_to(row[None, :, None], (height, width, 3)).astype(np.uint8)
            file.mux(video.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")))
        file.mux(video.encode(None))
        times = np.arange(RATE * SECONDS) / RATE
        wave = np.where(times < SILENT, 0, 0.5 * np.sin(2 * np.pi * 440 * times)).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(wave[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
        file.mux(audio.encode(frame))
        file.mux(audio.encode(None))


def loudness(path: Path) -> np.ndarray | None:
    """How loud a video is from step to step, None where it has no sound."""
    with av.open(str(path)) as file:
        if not file.streams.audio:
            return None
        wave = np.concatenate([frame.to_ndarray().mean(0) for frame in file.decode(audio=0)])
    wave = wave[:len(wave) // STEP * STEP].reshape(-1, STEP)
    return np.sqrt((wave ** 2).mean(1))
