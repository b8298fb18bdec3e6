"""Laws of clips on disk: what comes back is what went in, at its time, upright; damage is one sentence."""

import logging
import os
import struct
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from ex4d_ops.files import read_video, write_video
from ex4d_ops.files.footage import estimate_rate, hold_pictures
from ex4d_ops.files.whole import written_whole

FUZZ = settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
MILLISECONDS = Fraction(1, 1000)
IDENTITY, QUARTER, HALF, THREE_QUARTERS = (1, 0, 0, 1), (0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0)  # clockwise


def random_frames(seed: int, frames: int = 5, height: int = 12, width: int = 16) -> torch.Tensor:
    return torch.rand(frames, height, width, 3, generator=torch.Generator().manual_seed(seed))


def numbered(frames: int, height: int = 32, width: int = 48) -> list[np.ndarray]:
    """Flat gray pictures that tell their number: 10 t."""
    return [np.full((height, width, 3), 10 * t, np.uint8) for t in range(frames)]


def numbers(path: Path, **span) -> list[int]:
    """Which of the numbered pictures the frames read from path are."""
    return [round(float(frame.mean()) * 25.5) for frame in read_video(path, **span).frames]


def encode(path: Path, pictures, codec="libx264", pixels="yuv420p", rate=10, times=None, options=None, tags=None):
    """Write a test video with PyAV itself. times: when each picture appears, in milliseconds."""
    with av.open(str(path), "w", options={"movflags": "+faststart"} if path.suffix in (".mp4", ".mov") else {}) as file:
        stream = file.add_stream(codec, rate, options or {})
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = pixels
        stream.metadata.update(tags or {})
        if times is not None:
            stream.codec_context.time_base = MILLISECONDS
        for index, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, {3: "rgb24", 4: "rgba"}[picture.shape[2]])
            if times is not None:
                frame.pts, frame.time_base = times[index], MILLISECONDS
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


def turn(path: Path, matrix: tuple[float, ...]) -> None:
    """Set the display matrix of an mp4's track, rows (a, b), (c, d), as a phone held sideways does."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 44  # type, version, times, id, duration, layer, group, volume
    a, b, c, d = (round(value * 2**16) for value in matrix)
    struct.pack_into(">9i", data, at, a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)


# ---- writing and reading back -------------------------------------------------------------------


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(2, 40), st.integers(2, 40))
def test_ffv1_stores_round_255_x_bit_for_bit(tmp_path_factory, seed, frames, height, width):
    clip = random_frames(seed, frames, height, width)
    path = tmp_path_factory.mktemp("clip") / "color.mkv"
    write_video(path, clip, 15)
    assert torch.equal((read_video(path).frames * 255).round(), (clip * 255).round())


def test_every_byte_value_survives(tmp_path):
    ramp = torch.arange(256).repeat(3, 1).T.reshape(16, 16, 3)
    clip = torch.stack([ramp, ramp.flip(1), 255 - ramp, ramp * torch.tensor([1, 0, 0])]) / 255
    write_video(tmp_path / "ramp.mkv", clip, 15)
    assert torch.equal(read_video(tmp_path / "ramp.mkv").frames, clip)


def test_masks_are_white_where_true(tmp_path):
    mask = random_frames(1)[..., 0] < 0.5
    write_video(tmp_path / "visible.mkv", mask, 15)
    assert torch.equal(read_video(tmp_path / "visible.mkv").frames, mask[..., None].expand(-1, -1, -1, 3).float())


def test_png_folder_returns_every_byte(tmp_path):
    clip = random_frames(2, 12)
    write_video(tmp_path / "frames", clip, 15)
    assert torch.equal((read_video(tmp_path / "frames").frames * 255).round(), (clip * 255).round())


@pytest.mark.parametrize("height, width", [(32, 48), (33, 47)])
def test_previews_look_the_same_and_are_even(tmp_path, height, width):
    color = torch.tensor([0.8, 0.2, 0.1])
    write_video(tmp_path / "preview.mp4", color.expand(4, height, width, 3), 12)
    clip = read_video(tmp_path / "preview.mp4")
    assert clip.size == (height + height % 2, width + width % 2) and clip.fps == 12
    assert (clip.frames - color).abs().max() < 3 / 255


def test_previews_are_tagged_as_bt709(tmp_path):
    write_video(tmp_path / "preview.mp4", random_frames(3, 3, 32, 32), 15)
    with av.open(str(tmp_path / "preview.mp4")) as file:
        context, frame = file.streams.video[0].codec_context, next(file.decode(video=0))
        assert (frame.format.name, frame.colorspace, frame.color_range) == ("yuv420p", 1, 1)
        assert (context.color_primaries, context.color_trc) == (1, 1)


@pytest.mark.parametrize("fps", [15, 23.976, 24, 29.97, 30000 / 1001, 59.94])
@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_the_frame_rate_comes_back(tmp_path, fps, suffix):
    write_video(tmp_path / f"clip{suffix}", random_frames(4, 9, 16, 16), fps)
    assert read_video(tmp_path / f"clip{suffix}").fps == pytest.approx(fps, rel=1e-4)
    assert len(read_video(tmp_path / f"clip{suffix}")) == 9


def test_frames_are_taken_one_by_one_as_they_come(tmp_path):
    alive = []

    def stream():
        for t in range(30):
            alive.append(t)
            yield torch.full((8, 8, 3), t / 30)

    write_video(tmp_path / "clip.mkv", stream(), 15)
    assert alive == list(range(30)) and len(read_video(tmp_path / "clip.mkv")) == 30


# ---- part of a clip -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.gif", "frames"])
def test_start_and_frames_cut_out_what_they_say(tmp_path, name):
    write = {"clip.gif": write_gif, "frames": write_folder}.get(name, encode)
    write(tmp_path / name, numbered(20))
    assert numbers(tmp_path / name) == list(range(20))
    assert numbers(tmp_path / name, start=3, frames=5) == [3, 4, 5, 6, 7]
    assert numbers(tmp_path / name, start=18, frames=5) == [18, 19]
    with pytest.raises(ValueError, match="has ended before the frame to start at"):
        read_video(tmp_path / name, start=20)


def write_gif(path: Path, pictures, durations=100) -> Path:
    first, *rest = map(Image.fromarray, pictures)
    options = {"lossless": True} if path.suffix == ".webp" else {}
    first.save(path, save_all=True, append_images=rest, duration=durations, **options)
    return path


def write_folder(path: Path, pictures) -> Path:
    path.mkdir()
    for index, picture in enumerate(pictures):
        Image.fromarray(picture).save(path / f"shot{index}.png")
    return path


@pytest.mark.parametrize("span", [dict(start=-1), dict(frames=0)])
def test_spans_of_nothing_are_refused(tmp_path, span):
    encode(tmp_path / "clip.mp4", numbered(3))
    with pytest.raises(ValueError, match="start must be 0 or more"):
        read_video(tmp_path / "clip.mp4", **span)


def test_size_resamples_every_frame(tmp_path):
    write_video(tmp_path / "clip.mkv", torch.tensor([0.2, 0.4, 0.6]).expand(3, 30, 50, 3), 15)
    clip = read_video(tmp_path / "clip.mkv", size=(16, 24))
    assert clip.frames.shape == (3, 16, 24, 3)
    assert clip.frames[1, 8, 8].tolist() == pytest.approx([0.2, 0.4, 0.6], abs=1e-6)


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux tells and resets a process's peak")
def test_a_clip_is_never_held_twice(tmp_path):
    write_video(tmp_path / "clip.mkv", (torch.zeros(128, 128, 3) for _ in range(400)), 15)
    code = ("import pathlib, sys; from ex4d_ops.files import read_video; read_video(sys.argv[1], frames=2); "
            "own = pathlib.Path('/proc/self'); (own / 'clear_refs').write_text('5'); "  # its parent's peak counts else
            "peak = lambda: 1024 * int((own / 'status').read_text().partition('VmHWM:')[2].split()[0]); "
            "before = peak(); clip = read_video(sys.argv[1]); print((peak() - before) / clip.frames.nbytes)")
    assert 0.9 < float(run_python(code, tmp_path / "clip.mkv")) < 1.4


def test_pictures_that_claim_gigabytes_are_refused(tmp_path):
    Image.new("1", (2**14, 2**13)).save(tmp_path / "huge.png")
    with pytest.raises(ValueError, match="huge.png: cannot be read as an image .it is 16384x8192"):
        read_video(tmp_path / "huge.png")


def run_python(code: str, path: Path) -> str:
    """What a fresh interpreter prints that runs code with path as its argument."""
    ran = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    return ran.stdout


# ---- kinds of files -----------------------------------------------------------------------------


@pytest.mark.parametrize("name, codec, pixels", [
    ("clip.mp4", "libx264", "yuv420p"), ("clip.mov", "prores_ks", "yuv422p10le"), ("clip.avi", "mpeg4", "yuv420p"),
    ("clip.mkv", "libx264", "yuv420p10le"), ("clip.webm", "libvpx-vp9", "yuv420p"), ("clip.ts", "libx264", "yuv420p"),
    ("clip.flv", "flv", "yuv420p"), ("clip.mkv", "libx264", "yuv444p10le"), ("clip.mkv", "ffv1", "gray"),
])
def test_containers_and_codecs_are_read(tmp_path, name, codec, pixels):
    encode(tmp_path / name, numbered(12), codec, pixels)
    assert numbers(tmp_path / name) == list(range(12))
    assert read_video(tmp_path / name).fps == 10


@pytest.mark.parametrize("height, width", [(1, 1), (31, 47), (2, 501)])
def test_odd_sizes_are_read_as_they_are(tmp_path, height, width):
    encode(tmp_path / "odd.mkv", numbered(3, height, width), "libx264", "yuv444p")
    assert read_video(tmp_path / "odd.mkv").size == (height, width)


def test_more_than_8_bits_are_kept(tmp_path):
    ramp = (np.arange(1024).reshape(16, 64) * 64).astype(np.uint16)
    with av.open(str(tmp_path / "deep.mkv"), "w") as file:
        stream = file.add_stream("ffv1", 10)
        stream.height, stream.width, stream.pix_fmt = 16, 64, "gbrp10le"
        frame = av.VideoFrame.from_ndarray(np.repeat(ramp[..., None], 3, axis=2), "rgb48le").reformat(format="gbrp10le")
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    read = read_video(tmp_path / "deep.mkv").frames[0, ..., 0]
    assert len(read.unique()) == 1024 and (read - torch.from_numpy(ramp / 65472.0)).abs().max() < 1 / 2046


@pytest.mark.parametrize("matrix, turned", [
    (IDENTITY, lambda a: a), (QUARTER, lambda a: np.rot90(a, -1)), (HALF, lambda a: np.rot90(a, 2)),
    (THREE_QUARTERS, lambda a: np.rot90(a, 1)), ((-1, 0, 0, 1), lambda a: a[:, ::-1]),
    ((1, 0, 0, -1), lambda a: a[::-1]), ((0, 1, 1, 0), lambda a: a.swapaxes(0, 1)),
    ((0, -1, -1, 0), lambda a: np.rot90(a, 2).swapaxes(0, 1)), ((0, 0, 0, 0), lambda a: a),
    ((2, 0, 0, 2), lambda a: a), ((0.9, 0.1, -0.1, 0.9), lambda a: a),
    ((0.1, 0.9, -0.9, 0.1), lambda a: np.rot90(a, -1)),
])
def test_every_rotation_and_mirror_in_the_file_is_applied(tmp_path, matrix, turned):
    picture = np.zeros((32, 48, 3), np.uint8)
    picture[:16, :24], picture[16:, 24:] = 255, 120
    turn(encode(tmp_path / "phone.mp4", [picture] * 3), matrix)
    assert np.abs(read_video(tmp_path / "phone.mp4").frames[1].numpy() * 255 - turned(picture)).mean() < 3


def test_the_orientation_of_a_photo_is_applied(tmp_path):
    picture = np.zeros((32, 48, 3), np.uint8)
    picture[:16, :24] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # turn a quarter clockwise
    Image.fromarray(picture).save(tmp_path / "photo.jpg", exif=exif, quality=95)
    assert np.abs(read_video(tmp_path / "photo.jpg").frames[0].numpy() * 255 - np.rot90(picture, -1)).mean() < 3


@pytest.mark.parametrize("name, codec, pixels, options", [
    ("clip.webm", "libvpx-vp9", "yuva420p", {"auto-alt-ref": "0", "lossless": "1"}),
    ("clip.mov", "prores_ks", "yuva444p10le", {}), ("clip.mkv", "ffv1", "bgra", {}),
])
def test_alpha_is_laid_over_black(tmp_path, name, codec, pixels, options):
    picture = np.full((32, 48, 4), 200, np.uint8)
    picture[:, :24, 3], picture[:, 24:, 3] = 255, 0
    encode(tmp_path / name, [picture] * 3, codec, pixels, options=options, tags={"alpha_mode": "1"})
    frame = read_video(tmp_path / name).frames[1]
    assert (frame[:, :20] * 255 - 200).abs().max() < 3 and frame[:, 28:].abs().max() < 3 / 255


def test_pictures_with_alpha_or_palette_are_laid_over_black(tmp_path):
    picture = Image.fromarray(np.full((4, 6, 4), [100, 150, 200, 128], np.uint8), "RGBA")
    for name, image in (("a.png", picture), ("b.webp", picture), ("c.png", picture.quantize(4))):
        image.save(tmp_path / name, **({"lossless": True} if name == "b.webp" else {}))
        frame = read_video(tmp_path / name).frames
        assert frame.shape == (1, 4, 6, 3) and frame[0, 0, 0].tolist() == pytest.approx([0.197, 0.295, 0.394], abs=0.01)


@pytest.mark.parametrize("mode, white", [("L", 255), ("I;16", 65535), ("1", 1), ("CMYK", 0)])
def test_pictures_of_every_mode_are_read(tmp_path, mode, white):
    Image.new(mode, (6, 4), white if mode != "CMYK" else (0, 0, 0, 0)).save(tmp_path / "white.tif")
    assert torch.equal(read_video(tmp_path / "white.tif").frames, torch.ones(1, 4, 6, 3))


def test_folders_are_read_in_natural_order(tmp_path):
    for t in (0, 1, 2, 9, 10, 11):
        Image.fromarray(numbered(12)[t]).save(tmp_path / f"Frame{t}.PNG")
    (tmp_path / "notes.txt").write_text("not a picture")
    (tmp_path / ".hidden.png").write_bytes(b"")
    assert numbers(tmp_path) == [0, 1, 2, 9, 10, 11]


def test_folders_of_pictures_of_several_sizes_are_refused(tmp_path):
    for size in ((4, 6), (5, 6)):
        Image.new("RGB", size).save(tmp_path / f"{size[0]}.png")
    with pytest.raises(ValueError, match="picture 1 from the start is 5x6, but those before it are 4x6"):
        read_video(tmp_path)


# ---- variable frame rate ------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_a_variable_frame_rate_becomes_constant_by_the_timestamps(tmp_path, suffix, caplog):
    times = [0, 100, 200, 500, 600, 700, 900, 1000]  # milliseconds: 10 fps with two holes
    encode(tmp_path / f"phone{suffix}", numbered(8), times=times)
    with caplog.at_level(logging.WARNING):
        assert numbers(tmp_path / f"phone{suffix}") == [0, 1, 2, 2, 2, 3, 4, 5, 5, 6, 7]
    assert read_video(tmp_path / f"phone{suffix}").fps == pytest.approx(10, rel=1e-3)
    assert "variable frame rate, resampled to 10" in caplog.text


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp"])
def test_animations_are_held_as_long_as_they_say(tmp_path, suffix):
    path = write_gif(tmp_path / f"loop{suffix}", numbered(4), [100, 100, 300, 100])
    assert numbers(path) == [0, 1, 2, 2, 2, 3] and read_video(path).fps == 10


@settings(deadline=None)
@given(st.floats(5, 120), st.integers(3, 200), st.randoms(use_true_random=False))
def test_timestamps_in_milliseconds_neither_drop_nor_double_a_frame(fps, count, random):
    times = [round((t + random.uniform(-0.05, 0.05)) / fps, 3) for t in range(count)]
    rate = estimate_rate(sorted(times), fps)
    assert list(hold_pictures(Path(), zip(times, range(count)), rate)) == list(range(count))


def test_a_constant_rate_says_nothing(tmp_path, caplog):
    encode(tmp_path / "clip.mkv", numbered(20), rate=24)
    read_video(tmp_path / "clip.mkv")
    assert not caplog.records


# ---- damage -------------------------------------------------------------------------------------


def valid_files(folder: Path) -> list[Path]:
    pictures = [np.random.default_rng(t).integers(0, 255, (24, 32, 3), dtype=np.uint8) for t in range(12)]
    return [encode(folder / "a.mp4", pictures), encode(folder / "b.mkv", pictures, "ffv1", "bgr0"),
            encode(folder / "c.webm", pictures, "libvpx-vp9"), encode(folder / "d.avi", pictures, "mpeg4"),
            encode(folder / "e.mov", pictures, "prores_ks", "yuv422p10le"), encode(folder / "f.ts", pictures),
            write_gif(folder / "g.gif", pictures), write_gif(folder / "h.png", pictures),
            write_gif(folder / "i.webp", pictures), *stills(folder, pictures[0])]


def stills(folder: Path, picture: np.ndarray) -> list[Path]:
    for suffix in ("jpg", "bmp", "tif"):
        Image.fromarray(picture).save(folder / f"still.{suffix}")
    return sorted(folder.glob("still.*"))


@pytest.fixture(scope="module")
def media(tmp_path_factory) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in valid_files(tmp_path_factory.mktemp("media"))}


NAMES = ["a.mp4", "b.mkv", "c.webm", "d.avi", "e.mov", "f.ts", "g.gif", "h.png", "i.webp",
         "still.jpg", "still.bmp", "still.tif"]


def read_or_refuse(path: Path) -> None:
    """Reading path gives a sound clip, or one sentence that names it."""
    try:
        clip = read_video(path)
    except ValueError as error:
        assert str(path) in str(error) and "\n" not in str(error)
    else:
        assert torch.isfinite(clip.frames).all() and clip.fps > 0


@pytest.mark.parametrize("name", NAMES)
@FUZZ
@given(data=st.binary(max_size=400))
def test_random_bytes_are_refused_in_one_sentence(tmp_path, name, data):
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(ValueError, match=name) as raised:
        read_video(path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", NAMES)
@FUZZ
@given(share=st.floats(0, 1))
def test_truncated_files_are_read_or_refused_in_one_sentence(tmp_path, media, name, share):
    path = tmp_path / name
    path.write_bytes(media[name][:int(share * len(media[name]))])
    read_or_refuse(path)


@pytest.mark.parametrize("name", NAMES)
@FUZZ
@given(places=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), min_size=1), head=st.booleans())
def test_mutated_files_are_read_or_refused_in_one_sentence(tmp_path, media, name, places, head):
    data = bytearray(media[name])
    for place, value in places:
        data[int(place * (min(300, len(data)) if head else len(data)))] = value
    path = tmp_path / name
    path.write_bytes(data)
    read_or_refuse(path)


@pytest.mark.parametrize("stated", [b"00:00:02.04", b"::", b"00:00:", b"a:b:c", b"00:00", b"", b"-1:-1:-1"])
def test_a_duration_that_is_none_is_not_believed(tmp_path, media, stated):
    content = media["c.webm"]
    begin = content.index(b"00:00:")  # Matroska's tag
    end = content.index(b"\0", begin)
    (tmp_path / "c.webm").write_bytes(content[:begin] + stated.ljust(end - begin, b"\0") + content[end:])
    assert len(read_video(tmp_path / "c.webm", frames=5)) == 5


@pytest.mark.parametrize("name", ["a.mp4", "b.mkv", "c.webm", "d.avi", "e.mov", "g.gif"])
def test_a_file_cut_short_says_how_many_frames_can_be_read(tmp_path, media, name):
    path = tmp_path / name
    path.write_bytes(media[name][:int(0.7 * len(media[name]))])
    with pytest.raises(ValueError, match=r"after (\d+) frames") as raised:
        read_video(path)
    readable = int(str(raised.value).split(" after ")[1].split()[0])
    assert 1 < readable < 12
    assert len(read_video(path, frames=readable)) == readable
    with pytest.raises(ValueError, match="read fewer frames"):
        read_video(path, frames=readable + 1)


@pytest.mark.parametrize("name, data", [("empty.mp4", b""), ("notes.txt", b"Dear all,\nthis is no video.\n" * 50),
                                        ("list.m3u8", b"#EXTM3U\n#EXTINF:1,\nclip.ts\n"), ("sound.wav", None)])
def test_files_that_are_no_video_are_refused(tmp_path, name, data):
    if data is None:
        import wave
        with wave.open(str(tmp_path / name), "wb") as sound:
            sound.setparams((1, 2, 8000, 0, "NONE", ""))
            sound.writeframes(bytes(8000))
    else:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(ValueError, match=name):
        read_video(tmp_path / name)


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(ValueError, match="nowhere.mp4: there is no such file"):
        read_video(tmp_path / "nowhere.mp4")
    with pytest.raises(ValueError, match="does not contain .*png"):
        read_video(tmp_path)


# ---- writing fails whole ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["clip.mkv", "clip.mp4", "clip"])
def test_an_interrupted_write_leaves_nothing(tmp_path, name):
    def interrupted():
        yield from random_frames(5, 3, 16, 16)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_video(tmp_path / name, interrupted(), 15)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_write_keeps_what_stood_there(tmp_path):
    (tmp_path / "clip.mkv").write_text("the last one")
    with pytest.raises(RuntimeError), written_whole(tmp_path / "clip.mkv") as part:
        part.write_text("half")
        raise RuntimeError
    assert (tmp_path / "clip.mkv").read_text() == "the last one" and len(list(tmp_path.iterdir())) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows limits no file's size, as a full disk does")
@pytest.mark.parametrize("name", ["clip.mkv", "clip.mp4", "clip"])
def test_a_full_disk_is_one_sentence_and_leaves_nothing(tmp_path, name):
    code = ("import resource, signal, sys, torch; from ex4d_ops.files import write_video\n"
            "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))\n"
            "try: write_video(sys.argv[1], torch.rand(20, 64, 64, 3), 15)\n"
            "except OSError as error: print(error)")
    assert f"{name}: cannot be written (File too large)" in run_python(code, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_one_sentence(tmp_path):
    for name in ("clip.mkv", "clip.mp4", "clip"):
        with pytest.raises(OSError, match="cannot be written .No such file or directory.; check that the folder"):
            write_video(tmp_path / "nowhere" / name, random_frames(6), 15)


def test_a_folder_in_use_is_never_replaced(tmp_path):
    (tmp_path / "frames").mkdir()
    (tmp_path / "frames" / "thesis.txt").write_text("mine")
    with pytest.raises(OSError, match="not empty"):
        write_video(tmp_path / "frames", random_frames(7), 15)
    assert [path.name for path in (tmp_path / "frames").iterdir()] == ["thesis.txt"] and len(os.listdir(tmp_path)) == 1


def test_nothing_to_write_and_unknown_suffixes_are_refused(tmp_path):
    with pytest.raises(ValueError, match="there are no frames to write"):
        write_video(tmp_path / "clip.mkv", [], 15)
    with pytest.raises(ValueError, match="clip.xyz: is not a video file name; use .mkv"):
        write_video(tmp_path / "clip.xyz", random_frames(8), 15)
    assert list(tmp_path.iterdir()) == []
