"""Laws of the sound along a path: what is shown at its own speed is heard as it is, wherever in the path it stands."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ex4d_ops.sound import FADE, sound_along

RATE, FPS = 8000, 20.0
RETIMED = ("silence", "stretch")
EDGE = round(2 * FADE * RATE)  # samples


def tone(seconds: float, pitch: float = 200.0) -> torch.Tensor:
    return torch.sin(2 * torch.pi * pitch * torch.arange(round(seconds * RATE)) / RATE)[None, None]


def pitch_of(wave: torch.Tensor) -> float:
    """The strongest frequency."""
    spectrum = torch.fft.rfft(wave.flatten() * torch.hann_window(wave.numel())).abs()
    return float(spectrum.argmax() * RATE / wave.numel())


def between(wave: torch.Tensor, begin: float, end: float) -> torch.Tensor:
    """The part of a sound between two output frames, without its edges."""
    edge = round(2 / FPS * RATE) + EDGE
    return wave[..., round(begin / FPS * RATE) + edge:round(end / FPS * RATE) - edge]


@pytest.mark.parametrize("retimed", RETIMED)
@settings(deadline=None, max_examples=50)
@given(st.integers(1, 60), st.sampled_from([8.0, 15.0, 23.976, 24.0, 59.94]), st.sampled_from([8000, 11025]),
       st.integers(0, 40), st.integers(1, 2))
def test_every_path_at_the_clips_own_speed_keeps_every_sample(retimed, frames, fps, rate, start, channels):
    wave = torch.randn(1, channels, round((start + frames) / fps * rate) + 5)
    heard = sound_along(wave, rate, torch.arange(frames) + start, fps, retimed)
    count, first = round(frames / fps * rate), start / fps * rate
    assert heard.shape == (1, channels, count)
    if first == int(first):
        assert torch.allclose(heard, wave[..., int(first):int(first) + count], atol=1e-4)


@pytest.mark.parametrize("retimed", RETIMED)
@settings(deadline=None, max_examples=50)
@given(st.integers(2, 90), st.integers(0, 20))
def test_every_path_that_holds_one_frame_is_silent(retimed, frames, held):
    heard = sound_along(tone(6), RATE, torch.full((frames,), held), FPS, retimed)
    assert heard.shape[-1] == round(frames / FPS * RATE) and (heard == 0).all()


@pytest.mark.parametrize("speed", [0.3, 0.5, 0.8, 1.25, 1.5, 2.0, 3.0, -1.0, -0.5])
def test_every_speed_is_silent_or_has_the_pitch_of_its_speed(speed):
    shown = (torch.arange(100) * abs(speed)).round().long()
    shown = shown if speed > 0 else shown.flip(0)
    wave = tone((float(shown.max()) + 1) / FPS)
    assert (sound_along(wave, RATE, shown, FPS, "silence") == 0).all()
    heard = between(sound_along(wave, RATE, shown, FPS, "stretch"), 0, 100)
    assert pitch_of(heard) == pytest.approx(200 * abs(speed), rel=0.02)
    assert heard.square().mean().sqrt() == pytest.approx(0.5 ** 0.5, rel=0.05)


@pytest.mark.parametrize("retimed", RETIMED)
def test_what_plays_on_after_a_hold_is_heard_where_it_is_shown(retimed):
    shown = torch.cat([torch.arange(40), torch.full((60,), 40), torch.arange(41, 100)])
    wave = torch.randn(1, 1, round(100 / FPS * RATE))
    heard = sound_along(wave, RATE, shown, FPS, retimed)
    later = round(59 / FPS * RATE)
    assert torch.allclose(between(heard, 0, 40), between(wave, 0, 40), atol=1e-4)
    assert (between(heard, 42, 98) == 0).all()
    delayed = torch.cat([wave[..., :later], wave], -1)
    assert torch.allclose(between(heard, 100, 159), between(delayed, 100, 159), atol=1e-4)


@pytest.mark.parametrize("retimed", RETIMED)
def test_a_leap_is_not_heard_and_what_is_on_both_sides_of_it_is(retimed):
    shown = torch.cat([torch.arange(40), torch.arange(200, 240)])
    wave = torch.randn(1, 1, round(240 / FPS * RATE))
    heard = sound_along(wave, RATE, shown, FPS, retimed)
    assert torch.allclose(between(heard, 0, 40), between(wave, 0, 40), atol=1e-4)
    assert torch.allclose(between(heard, 40, 80), between(wave, 200, 240), atol=1e-4)


@pytest.mark.parametrize("retimed", RETIMED)
@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(-5, 300), min_size=1, max_size=80), st.floats(1, 60), st.integers(1, 4000))
def test_every_path_has_a_sound_of_its_length_without_clicks(retimed, shown, fps, samples):
    wave = torch.ones(1, 1, samples)
    heard = sound_along(wave, 1000, torch.tensor(shown), fps, retimed)
    assert heard.shape[-1] == round(len(shown) / fps * 1000)
    assert torch.isfinite(heard).all()
    steps = np.abs(np.diff(heard.numpy().ravel()))
    assert not len(steps) or steps.max() <= 1 / (2 * round(FADE * 1000) + 1) + 1e-5


@pytest.mark.parametrize("retimed", RETIMED)
def test_beyond_the_end_of_the_sound_is_silence(retimed):
    heard = sound_along(tone(1), RATE, torch.arange(60), FPS, retimed)
    assert between(heard, 0, 20).abs().max() > 0.9 and (between(heard, 20, 60) == 0).all()
