"""A clip from a video: as many frames as asked for, 4k+1, at the size chosen, with the sound of the same moments."""

import logging
from fractions import Fraction
from types import SimpleNamespace

import pytest
import torch

from ex4d_ops.clip import CLIP_SIZES, fit_frame

RATE, SOUND = 12, 48000  # of the film below: frames and samples a second
FILMED = 41


@pytest.fixture(scope="module")
def film(comfy, tmp_path_factory):
    """A video in memory and the same from a file: frame t is gray t / 50, and its sound is t / 50 all the while."""
    from comfy_api.latest import InputImpl, Types

    level = torch.arange(FILMED) / 50
    frames = level[:, None, None, None].expand(FILMED, 36, 64, 3).contiguous()
    sound = level.repeat_interleave(SOUND // RATE)[None, None]
    audio = {"waveform": sound, "sample_rate": SOUND}
    kept = InputImpl.VideoFromComponents(Types.VideoComponents(images=frames, audio=audio, frame_rate=Fraction(RATE)))
    file = tmp_path_factory.mktemp("film") / "film.mp4"
    kept.save_to(str(file))
    return {"memory": kept, "file": InputImpl.VideoFromFile(str(file)), "frames": frames}


def take(nodes, video, size="same as the video", **widgets):
    size = size if isinstance(size, dict) else {"size": size}
    images, audio, fps = nodes.run("EX4DClipFromVideo", video=video, size=size, **widgets)
    return SimpleNamespace(images=images, audio=audio, fps=fps)


@pytest.mark.parametrize("source", ["memory", "file"])
@pytest.mark.parametrize("start, frames, first, length", [
    (0.0, 49, 0, 41), (0.0, 0, 0, 41), (0.0, 9, 0, 9), (0.0, 12, 0, 9), (0.0, 1, 0, 1), (1.0, 0, 12, 29),
    (1.0, 17, 12, 17), (3.0, 49, 36, 5), (3.25, 0, 39, 1), (0.5, 40, 6, 33),
])
def test_every_clip_has_4k_1_frames_from_its_start_on(nodes, film, source, start, frames, first, length):
    clip = take(nodes, film[source], start=start, frames=frames)
    assert clip.fps == RATE and clip.images.shape == (length, 36, 64, 3)
    assert (clip.images - film["frames"][first:first + length]).abs().max() < (1e-6 if source == "memory" else 0.02)


@pytest.mark.parametrize("start, frames", [(0.0, 0), (0.0, 9), (1.0, 17), (2.5, 5)])
def test_every_clip_has_the_sound_of_its_own_moments(nodes, film, start, frames):
    clip = take(nodes, film["memory"], start=start, frames=frames)
    wave = clip.audio["waveform"][0, 0]
    assert clip.audio["sample_rate"] == SOUND and len(wave) == len(clip.images) * SOUND // RATE
    assert torch.equal(wave.view(len(clip.images), -1), clip.images[:, 0, 0, :1].expand(-1, SOUND // RATE))


@pytest.mark.parametrize("start, frames", [(0.0, 0), (0.0, 9), (1.0, 17), (2.5, 5)])
def test_the_sound_of_a_file_lasts_as_long_as_the_pictures(nodes, film, start, frames):
    clip = take(nodes, film["file"], start=start, frames=frames)
    assert abs(clip.audio["waveform"].shape[-1] / clip.audio["sample_rate"] - len(clip.images) / RATE) < 0.01


def test_a_silent_video_has_no_sound(nodes, film):
    from comfy_api.latest import InputImpl, Types

    silent = InputImpl.VideoFromComponents(Types.VideoComponents(images=film["frames"], frame_rate=Fraction(RATE)))
    assert take(nodes, silent).audio is None


@pytest.mark.parametrize("source", ["memory", "file"])
def test_a_start_after_the_end_is_refused(nodes, film, source):
    with pytest.raises(ValueError, match=r"start: the video ends before 4 s; use less than 3\.4"):
        take(nodes, film[source], start=4.0)


SIZES = {**{name: size for name, size in CLIP_SIZES.items()}, "auto": (480, 832), "same as the video": (36, 64)}


@pytest.mark.parametrize("fit", ["crop", "stretch", "pad"])
@pytest.mark.parametrize("name", SIZES)
def test_every_size_is_the_librarys_fit(nodes, film, name, fit):
    clip = take(nodes, film["memory"], size=name, frames=1, start=1.0, fit=fit)
    assert torch.equal(clip.images[0], fit_frame(film["frames"][12], SIZES[name], fit))


def test_every_size_offered_is_tested(nodes, choices):
    size = next(widget for widget in nodes.by_id["EX4DClipFromVideo"].define_schema().inputs if widget.id == "size")
    assert set(choices(size)) == {*SIZES, "custom"}


def test_a_size_of_one_s_own(nodes, film):
    clip = take(nodes, film["memory"], size={"size": "custom", "width": 96, "height": 48}, frames=1)
    assert clip.images.shape == (1, 48, 96, 3)


@pytest.mark.parametrize("size, words", [
    ("512x512", "is cropped: 44% of its width is lost; 832x480 keeps more of it"),
    ("480x832", "is cropped: 68% of its width is lost; 832x480 keeps more of it"),
    ("auto", "is cropped: 2% of its width is lost"), ("same as the video", None),
])
def test_a_crop_says_what_it_loses_and_which_size_keeps_more(nodes, film, caplog, size, words):
    with caplog.at_level(logging.WARNING):
        take(nodes, film["memory"], size=size, frames=1)
    assert words in caplog.text if words else not caplog.text
    assert ("keeps more" in caplog.text) == ("keeps more" in (words or ""))
