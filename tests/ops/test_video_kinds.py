"""Laws of clips as phones, broadcasts, discs and strangers make them: shape, fields, times, words, and their claims."""

import logging
import struct
import subprocess
import sys
import zlib
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from ex4d_ops.depth import DepthUnits
from ex4d_ops.files import footage, read_depth, read_video, write_video
from ex4d_ops.files.footage import most_pixels, squared, stack_pictures

MILLISECONDS = Fraction(1, 1000)
ONE_FILE = settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
Z = DepthUnits("depth")


def encode(path: Path, pictures, codec="libx264", pixels="yuv420p", rate=25, options=None, times=None, aspect=None,
           tags=None) -> Path:
    """Write a test video with PyAV itself. times: when each picture appears, in milliseconds."""
    with av.open(str(path), "w") as file:
        file.metadata.update(tags or {})
        stream = file.add_stream(codec, rate, {"libx264": {"qp": "0"}}.get(codec, {}) | (options or {}))
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = pixels
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        if times is not None:
            stream.codec_context.time_base = MILLISECONDS
        for index, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format=pixels)
            if times is not None:
                frame.pts, frame.time_base = times[index], MILLISECONDS
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


def said(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records]


# ---- pixels that are not square -----------------------------------------------------------------


def circle(height: int, width: int, aspect: Fraction) -> np.ndarray:
    """A disc that is round where pixels are shown so many times as wide as high."""
    y, x = np.mgrid[:height, :width] + 0.5
    across, down = (x - width / 2) * max(1, float(aspect)), (y - height / 2) * max(1, float(1 / aspect))
    inside = np.hypot(across, down) < 0.4 * min(height, width)
    return np.repeat(inside[..., None], 3, axis=2).astype(np.uint8) * 255


@pytest.mark.parametrize("suffix, codec, pixels", [
    ("mp4", "libx264", "yuv420p"), ("mkv", "libx264", "yuv444p10le"), ("mov", "prores_ks", "yuv422p10le"),
    ("avi", "mpeg4", "yuv420p")])
@pytest.mark.parametrize("aspect", [Fraction(16, 11), Fraction(8, 9), Fraction(4, 3), Fraction(2), Fraction(1, 2),
                                    Fraction(64, 45), Fraction(40, 33)])
def test_every_pixel_aspect_is_honored_and_that_is_said(tmp_path, caplog, suffix, codec, pixels, aspect):
    path = encode(tmp_path / f"disc.{suffix}", [circle(96, 112, aspect)] * 3, codec, pixels, aspect=aspect)
    with caplog.at_level(logging.WARNING):
        clip = read_video(path)
    seen = clip.frames[1, ..., 1] > 0.5
    wide, high = int(seen.any(0).sum()), int(seen.any(1).sum())
    assert abs(wide / high - 1) < 0.03 and clip.size[0] >= 96 and clip.size[1] >= 112
    assert said(caplog) == [f"{path}: its pixels are {float(aspect):.4g} times as wide as high, resampled to square "
                            "ones"]


@pytest.mark.parametrize("aspect", [None, Fraction(1)])
def test_square_pixels_are_read_bit_for_bit_without_a_word(tmp_path, caplog, aspect):
    picture = np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8)
    path = encode(tmp_path / "square.mkv", [picture] * 2, "ffv1", "bgr0", aspect=aspect)
    assert np.array_equal((read_video(path).frames[0].numpy() * 255).round(), picture) and not caplog.records


@pytest.mark.parametrize("aspect", [Fraction(9, 2), Fraction(1, 5), Fraction(1, 40)])
def test_pixel_aspects_that_no_camera_has_are_damage(tmp_path, caplog, aspect):
    path = encode(tmp_path / "damaged.mkv", [circle(32, 48, Fraction(1))] * 2, aspect=aspect)
    assert read_video(path).size == (32, 48) and "read as square" in caplog.text


@settings(deadline=None)
@given(st.fractions(Fraction(1, 4), 4, max_denominator=100), st.integers(1, 40), st.integers(1, 40))
def test_depth_of_pixels_that_are_not_square_keeps_its_numbers_and_gets_the_size_of_the_clip(aspect, height, width):
    codes = np.random.default_rng(height * 41 + width).integers(0, 65536, (height, width)).astype(np.float32)
    read, clip = squared(codes, aspect, True), squared(np.repeat(codes[..., None], 3, axis=2), aspect, False)
    assert read.shape == clip.shape[:2] and set(read.ravel().tolist()) == set(codes.ravel().tolist())


# ---- interlaced ---------------------------------------------------------------------------------


def woven(count: int, speed: int, top_first: bool = True) -> list[np.ndarray]:
    """A bar that moves on between the two half pictures of every frame."""
    pictures = []
    for t in range(count):
        picture = np.full((64, 96, 3), 40, np.uint8)
        for half in (0, 1):
            left = 8 + speed * (2 * t + half)
            picture[half if top_first else 1 - half :: 2, left : left + 12] = 220
        pictures.append(picture)
    return pictures


def combs(frames: torch.Tensor) -> float:
    """How much neighboring rows differ from the one between them, of white."""
    return float((frames[:, 2:] - 2 * frames[:, 1:-1] + frames[:, :-2]).abs().mean())


INTERLACED = [("mp4", "libx264", "yuv420p", {"x264-params": "interlaced=1:tff=1"}),
              ("mkv", "libx264", "yuv422p10le", {"x264-params": "interlaced=1:tff=1"}),
              ("mkv", "mpeg2video", "yuv420p", {"flags": "+ildct+ilme", "qmin": "1", "qmax": "1"})]


@pytest.mark.parametrize("suffix, codec, pixels, options", INTERLACED)
@pytest.mark.parametrize("count", [2, 3, 8])
def test_every_interlaced_clip_keeps_its_frames_and_loses_its_combs(tmp_path, caplog, suffix, codec, pixels, options,
                                                                    count):
    pictures = woven(count, 4)
    path = encode(tmp_path / f"field.{suffix}", pictures, codec, pixels, options=options)
    with caplog.at_level(logging.WARNING):
        clip = read_video(path)
    assert len(clip) == count and clip.fps == pytest.approx(25)
    assert combs(clip.frames) < 0.25 * combs(torch.from_numpy(np.stack(pictures)) / 255)
    assert said(caplog) == [f"{path}: interlaced, deinterlaced with FFmpeg's bwdif"]
    middles = [float(frame[32, :, 1].argmax()) for frame in clip.frames]
    assert middles == sorted(middles) and middles[-1] > middles[0]


def test_parts_of_an_interlaced_clip_are_those_of_the_whole(tmp_path):
    path = encode(tmp_path / "field.mp4", woven(8, 4), options={"x264-params": "interlaced=1:tff=1"})
    whole, part = read_video(path).frames, read_video(path, start=3, frames=2).frames
    assert torch.equal(whole[3:5], part)


def test_an_interlaced_clip_cut_short_gives_what_is_sound(tmp_path):
    path = encode(tmp_path / "field.mkv", woven(10, 2) * 2, options={"x264-params": "interlaced=1:tff=1:keyint=2"})
    path.write_bytes(path.read_bytes()[: int(0.7 * path.stat().st_size)])
    with pytest.raises(ValueError, match=r"after (\d+) frames") as raised:
        read_video(path)
    readable = int(str(raised.value).split(" after ")[1].split()[0])
    assert 1 < readable < 20 and len(read_video(path, frames=readable)) == readable


def test_depth_that_is_tagged_as_interlaced_keeps_its_numbers(tmp_path):
    units = DepthUnits("normalized-depth", near=1.0, far=2.0)
    pictures = woven(3, 4)
    read = [read_depth(encode(tmp_path / f"{name}.mkv", pictures, options=options), units).depth
            for name, options in (("whole", {}), ("field", INTERLACED[0][3]))]
    assert torch.equal(*read)


# ---- words in a file ----------------------------------------------------------------------------


@pytest.mark.parametrize("suffix, codec", [("mkv", "ffv1"), ("mp4", "libx264"), ("avi", "mpeg4"), ("mov", "libx264")])
@pytest.mark.parametrize("word", [b"Caf\xe9", b"\xff\xfe\x00\xd8", b"\x83\x65\x83\x58\x83\x67"])
def test_every_title_can_be_read_over(tmp_path, suffix, codec, word):
    path = encode(tmp_path / f"title.{suffix}", [np.full((32, 48, 3), 90, np.uint8)] * 3, codec,
                  "bgr0" if codec == "ffv1" else "yuv420p", tags={"title": "TITLE" + "x" * len(word)})
    data = path.read_bytes()
    assert (b"TITLE" + b"x" * len(word)) in data
    path.write_bytes(data.replace(b"TITLE" + b"x" * len(word), b"TITLE" + word))
    assert len(read_video(path)) == 3


# ---- a variable rate and depth made frame by frame ----------------------------------------------


def numbered(count: int) -> list[np.ndarray]:
    return [np.full((32, 48, 3), 10 * t, np.uint8) for t in range(count)]


def numbered_depth(path: Path, count: int) -> Path:
    """Depth whose first pixel tells its number: 1.4 + t."""
    ramp = np.linspace(0.4, 0, 32 * 48, dtype=np.float32).reshape(32, 48)  # nearer towards the ground
    depth = np.stack([ramp + 1 + t for t in range(count)])
    if path.suffix == ".npz":
        cameras = np.eye(4, dtype=np.float32)[None].repeat(count, axis=0)
        cameras[:, 0, 3] = np.arange(count)
        np.savez(path, depth=depth, world_from_cam=cameras)
    else:
        path.mkdir()
        for t, frame in enumerate(depth):
            Image.fromarray((frame * 1000).round().astype(np.uint16)).save(path / f"{t}.png")
    return path


def meet(clip: Path, depth: Path, units: DepthUnits, start: int = 0, frames: int | None = None) -> None:
    """Assert that every picture read of the clip meets the depth of the frame it shows."""
    shown = [round(float(frame.mean()) * 25.5) for frame in read_video(clip, start, frames).frames]
    read = read_depth(depth, units, start, frames, clip=clip)
    assert [round(float(z) - 1) for z in read.depth[:, 0, 0]] == shown
    if depth.suffix == ".npz":
        assert (read.world_from_cam[:, 0, 3] - read.world_from_cam[0, 0, 3]).tolist() == [t - shown[0] for t in shown]


@ONE_FILE
@given(st.lists(st.sampled_from([40, 40, 40, 40, 80, 160, 280]), min_size=8, max_size=18), st.integers(0, 6),
       st.none() | st.integers(1, 12), st.sampled_from([".npz", ""]))
def test_depth_of_every_frame_meets_the_pictures_that_show_it(tmp_path_factory, steps, start, frames, suffix):
    times = [0, *np.cumsum(steps).tolist()]
    folder = tmp_path_factory.mktemp("phone")
    clip = encode(folder / "phone.mp4", numbered(len(times)), times=times, options={"bf": "0"})
    depth = numbered_depth(folder / f"depth{suffix}", len(times))
    units = Z if suffix else DepthUnits("depth", scale=0.001)
    try:
        meet(clip, depth, units, start, frames)
    except ValueError as error:  # as many pictures as frames, and yet not the same ones
        assert "cannot be matched" in str(error)


def test_depth_of_the_pictures_shown_meets_them_one_by_one(tmp_path, caplog):
    times = [0, 40, 80, 120, 280, 320, 360, 400]
    clip = encode(tmp_path / "phone.mp4", numbered(8), times=times, options={"bf": "0"})
    depth = numbered_depth(tmp_path / "depth.npz", len(read_video(clip)))
    read = read_depth(depth, Z, clip=clip)
    assert torch.equal(read.depth, read_depth(depth, Z).depth) and "depth" not in caplog.text.split("variable")[-1]


@pytest.mark.parametrize("count", [5, 9, 40])
def test_depth_of_neither_is_refused_and_says_what_to_do(tmp_path, count):
    clip = encode(tmp_path / "phone.mp4", numbered(8), times=[0, 40, 80, 120, 280, 320, 360, 400], options={"bf": "0"})
    with pytest.raises(ValueError, match=f"depth.npz: has {count} pictures, but phone.mp4 has 8 frames at a variable "
                                         "rate, shown as 11: .*ffmpeg -i phone.mp4"):
        read_depth(numbered_depth(tmp_path / "depth.npz", count), Z, clip=clip)


@pytest.mark.parametrize("name", ["even.mp4", "even.mkv", "folder", "still.png"])
def test_depth_of_a_constant_rate_is_read_as_without_a_clip(tmp_path, caplog, name):
    clip = tmp_path / name
    if clip.suffix in (".mp4", ".mkv"):
        encode(clip, numbered(6))
    elif name == "folder":
        write_video(clip, torch.rand(6, 8, 8, 3), 15)
    else:
        Image.fromarray(numbered(2)[1]).save(clip)
    depth = numbered_depth(tmp_path / "depth.npz", 6)
    assert torch.equal(read_depth(depth, Z, 1, 3, clip=clip).depth, read_depth(depth, Z, 1, 3).depth)
    assert not caplog.records


def test_depth_of_every_page_of_an_animation_meets_it(tmp_path):
    first, *rest = map(Image.fromarray, numbered(6))
    first.save(tmp_path / "loop.gif", save_all=True, append_images=rest, duration=[100, 100, 300, 100, 100, 100])
    meet(tmp_path / "loop.gif", numbered_depth(tmp_path / "depth.npz", 6), Z)


# ---- what small files claim ---------------------------------------------------------------------


def png(path: Path, height: int, width: int) -> Path:
    """A black gray PNG of any size, some thousand pixels per byte."""
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compressobj(9)
    data = b"".join([*(rows.compress(bytes(1 + width)) for _ in range(height)), rows.flush()])
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b""))
    return path


def gif(path: Path, screens: list[tuple[int, int]]) -> Path:
    """A GIF of one-colored pages of these sizes (H, W), the first that of its screen, whose data ends early."""
    dot = b"\x02\x02\x4c\x01\0"
    parts = [b"GIF89a", struct.pack("<HHBBB", screens[0][1], screens[0][0], 0x80, 0, 0), bytes(6)]
    for height, width in screens:
        parts += [b"\x21\xf9\x04\0\x0a\0\0\0,", struct.pack("<HHHHB", 0, 0, width, height, 0), dot]
    path.write_bytes(b"".join([*parts, b";"]))
    return path


@pytest.mark.parametrize("make", [
    lambda folder: png(folder / "claim.png", 8192, 8192), lambda folder: gif(folder / "claim.gif", [(6857, 6857)]),
    lambda folder: gif(folder / "claim.gif", [(64, 64), (9000, 9000)]),
    lambda folder: encode(folder / "claim.mkv", [np.zeros((6144, 8192, 3), np.uint8)], "ffv1", "gray"),
])
def test_every_small_file_that_claims_a_large_picture_is_refused(tmp_path, make):
    path = make(tmp_path)
    with pytest.raises(ValueError, match="claim") as raised:
        read_video(path)
    assert "\n" not in str(raised.value)


def test_pictures_of_8k_may_be_small_files_and_larger_ones_must_be_large(tmp_path):
    file = tmp_path / "file"
    limits = []
    for size in (0, 10**4, 10**5, 2 * 10**5, 10**6, 10**8):
        with file.open("wb") as stream:
            stream.truncate(size)
        limits.append(most_pixels(file))
    assert limits == sorted(limits) and limits[0] >= 7680 * 4320 and limits[-1] == limits[-2] == 8192 * 8192
    assert png(tmp_path / "8k.png", 4320, 7680).stat().st_size < 40_000
    assert read_video(tmp_path / "8k.png", size=(9, 16)).size == (9, 16)


PAUSES = [[20, 20, 655350, 20], [20, 20, 20, 19000] * 12, [20, 655350, 20, 655350, 20, 20, 20]]


@pytest.mark.parametrize("suffix", ["gif", "png", "webp"])
@pytest.mark.parametrize("durations", PAUSES, ids=["one", "many", "several"])
def test_every_pause_longer_than_a_clip_is_refused(tmp_path, monkeypatch, suffix, durations):
    monkeypatch.setattr(footage, "HELD_BYTES", 2**26)
    pictures = [Image.new("RGB", (64, 64), (k % 250, k * 5 % 250, 0)) for k in range(len(durations))]
    path = tmp_path / f"pause.{suffix}"
    if suffix == "png":
        durations = [min(duration, 65000) for duration in durations]  # all that Pillow 10 can write into one
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=durations)
    with pytest.raises(ValueError, match="pause.*(read fewer frames|cut out the pauses)"):
        read_video(path)
    assert len(read_video(path, frames=2)) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="Windows bounds no process's memory this way")
def test_a_pause_that_claims_96_gigabytes_takes_none(tmp_path):
    pictures = [Image.new("RGB", (512, 512), (k * 40, 0, 0)) for k in range(4)]
    pictures[0].save(tmp_path / "a.gif", save_all=True, append_images=pictures[1:], duration=PAUSES[0])
    code = ("import resource, sys\nresource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))\n"
            "from ex4d_ops.files import read_video\n"
            "try: read_video(sys.argv[1])\nexcept ValueError as error: print(error)")
    ran = subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.gif")], capture_output=True, text=True)
    assert "a.gif: its timestamps jump by 655 s after 3 frames; read fewer frames" in ran.stdout


def test_a_video_held_for_most_of_its_time_is_refused_by_the_bytes_that_takes(tmp_path, monkeypatch):
    clip = encode(tmp_path / "idle.mp4", numbered(8), times=[0, 40, 80, 120, 160, 200, 240, 20000], options={"bf": "0"})
    assert len(read_video(clip)) == 501
    monkeypatch.setattr(footage, "HELD_BYTES", 100 * 32 * 48 * 12)
    with pytest.raises(ValueError, match="idle.mp4: its timestamps show 6 pictures for 107 frames .*the pauses"):
        read_video(clip)


@pytest.mark.parametrize("expected", [0, 3, 10**15])
def test_the_length_that_a_file_claims_is_neither_needed_nor_believed(expected):
    pictures = [np.full((4, 5, 3), t, np.float32) for t in range(9)]
    assert torch.equal(stack_pictures(Path("clip"), iter(pictures), expected), torch.from_numpy(np.stack(pictures)))


def test_a_clip_larger_than_memory_is_one_sentence():
    def pictures():
        yield np.zeros((4, 5, 3), np.float32)
        raise MemoryError

    with pytest.raises(ValueError, match="clip: more than 1 frames of 5x4 do not fit into memory; read fewer"):
        stack_pictures(Path("clip"), pictures(), 2)


# ---- pictures and names that FFmpeg takes for something else --------------------------------------


def branded(path: Path, brand: bytes, streams: int, title: str) -> Path:
    """A file whose brand says that it is a picture of a phone, as its parts would stand in it."""
    with av.open(str(path), "w") as file:
        file.metadata["title"] = title
        parts = [file.add_stream("libx264", 25) for _ in range(streams)]
        for stream in parts:
            stream.width = stream.height = 16
            stream.pix_fmt = "yuv420p"
        for stream in parts:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((16, 16, 3), 99, np.uint8), "rgb24")))
            file.mux(stream.encode(None))
    content = path.read_bytes()
    path.write_bytes(content[:8] + brand + content[12:])
    return path


@pytest.mark.parametrize("brand", [b"heic", b"heix", b"mif1", b"avif", b"avis"])
@pytest.mark.parametrize("streams, title", [(2, ""), (12, ""), (1, "clap")])
def test_every_picture_of_several_parts_is_refused_and_not_shown_in_part(tmp_path, brand, streams, title):
    path = branded(tmp_path / "photo.mp4", brand, streams, title)
    with pytest.raises(ValueError, match="photo.mp4: is a HEIF picture of several parts .* save it as PNG"):
        read_video(path)


@pytest.mark.parametrize("brand, streams, title", [(b"avif", 1, ""), (b"heic", 1, ""), (b"isom", 2, "clap")])
def test_pictures_of_one_part_and_videos_of_several_streams_are_read(tmp_path, brand, streams, title):
    assert len(read_video(branded(tmp_path / "a.mp4", brand, streams, title))) == 1


@pytest.mark.parametrize("name", ["http:a.mp4", "concat:a|b.mp4", "data:a.mp4", "-i.mp4", "a%03d.mp4", "a#1 ?x=2.mp4",
                                  "пример.mp4"])
def test_every_name_is_that_of_a_file_wherever_the_command_runs(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    write_video(name, torch.rand(3, 16, 16, 3, generator=torch.Generator().manual_seed(0)), 25)
    assert [file.name for file in tmp_path.iterdir()] == [name] and len(read_video(name)) == 3


@pytest.mark.parametrize("sizes, said", [
    ([(20, 30)] * 3, []), ([(20, 30), (20, 31), (20, 31)], ["1 from the start is 31x20"]),
    ([(20, 30), (20, 30), (40, 60), (9, 9)], ["2 from the start is 60x40"])])
def test_pictures_of_several_sizes_are_refused_or_resampled_and_that_is_said(tmp_path, caplog, sizes, said):
    for t, size in enumerate(sizes):
        Image.fromarray(np.full((*size, 3), 99, np.uint8)).save(tmp_path / f"{t}.png")
    assert read_video(tmp_path, size=(16, 16)).frames.shape == (len(sizes), 16, 16, 3)
    words = [record.getMessage() for record in caplog.records]
    assert len(words) == len(said) and all(part in word for part, word in zip(said, words))
    if said:
        with pytest.raises(ValueError, match="all must be of one size"):
            read_video(tmp_path)
