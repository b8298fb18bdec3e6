"""Laws of color in video: what was put into a pixel format, by any matrix and range, comes out, and HDR as SDR."""

import logging
import re
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.format import names as PIXEL_FORMATS
from hypothesis import given, settings
from hypothesis import strategies as st

from ex4d_ops.depth import DepthUnits
from ex4d_ops.files import read_depth, read_video
from ex4d_ops.files.colors import (
    HDR_PEAK,
    HDR_WHITE,
    HLG,
    KNEE,
    PQ,
    bend,
    codes_of,
    color_of,
    hlg_scene,
    pq_light,
    sdr_from_hdr,
)
from ex4d_ops.files.decode import opened

COLORS = np.array([(200, 150, 120), (90, 140, 60), (60, 120, 200), (240, 200, 20)]) / 255
LUMINANCE = {1: (0.2126, 0.0722), 4: (0.30, 0.11), 5: (0.299, 0.114), 6: (0.299, 0.114), 7: (0.212, 0.087),
             9: (0.2627, 0.0593), 2: (0.299, 0.114)}  # red and blue by AVCOL_SPC_; 2 says nothing and is BT.601
LIMITED, FULL = 1, 2
PATCH, HEIGHT, WIDTH = 16, 16, 64
SUBSAMPLED = {"444": (1, 1), "422": (2, 1), "420": (2, 2), "440": (1, 2), "410": (4, 4), "411": (4, 1)}
ORDERS = {"yuyv422": "yuyv", "uyvy422": "uyvy", "yvyu422": "yvyu", "ayuv": "ayuv", "vuya": "vuya", "vuyx": "vuya",
          "uyva": "uyva", "vyu444": "vyu", "ayuv64": "ayuv", "xv36": "uyva", "xv48": "uyva",
          **{f"y2{bits}": "yuyv" for bits in (10, 12, 16)}}
BITS = {"ayuv64": 16, "xv36": 12, "xv48": 16, "y210": 10, "y212": 12, "y216": 16}
PLANAR = re.compile(r"yuvj?(a?)(4\d\d)p(9|1\d|)(le|be|)")
TWO_PLANES = re.compile(r"nv(12|21|16|24|42)|p([024])(10|12|16)(le|be)")
RGB_PLANES = re.compile(r"gbr(a?)p(9|1\d|f32|)(le|be|)")


def picture() -> np.ndarray:
    """Patches of the colors beside each other, [HEIGHT, WIDTH, 3] in [0, 1]."""
    return np.repeat(np.repeat(COLORS[None], PATCH, axis=1), HEIGHT, axis=0)


def ycc(rgb: np.ndarray, matrix: int, limited: bool, bits: int) -> dict[str, np.ndarray]:
    """RGB [H, W, 3] in [0, 1] as whole numbers y, u, v and opaque a, as ITU-T H.273 has it."""
    red, blue = LUMINANCE[matrix]
    r, g, b = np.moveaxis(rgb, -1, 0)
    y = red * r + (1 - red - blue) * g + blue * b
    u, v = (b - y) / (2 - 2 * blue), (r - y) / (2 - 2 * red)
    white, step = 2**bits - 1, 2 ** (bits - 8)
    if limited:
        y, u, v = (16 + 219 * y) * step, (128 + 224 * u) * step, (128 + 224 * v) * step
    else:
        y, u, v = y * white, u * white + 128 * step, v * white + 128 * step
    planes = {"y": y, "u": u, "v": v, "a": np.full_like(y, white)}
    return {name: np.rint(plane).clip(0, white).astype(int) for name, plane in planes.items()}


def as_type(bits: int, end: str) -> str:
    return "u1" if bits <= 8 else ">u2" if end == "be" else "<u2"


def fill(plane, values: np.ndarray, kind: str) -> None:
    """Set the rows of a plane, which may be padded."""
    rows = np.zeros((plane.buffer_size // plane.line_size, plane.line_size), np.uint8)
    stored = np.ascontiguousarray(values.astype(kind)).view(np.uint8).reshape(len(values), -1)
    rows[: len(stored), : stored.shape[1]] = stored
    plane.update(rows.tobytes().ljust(plane.buffer_size, b"\0"))


def plane_values(name: str, rgb: np.ndarray, matrix: int, limited: bool) -> list[tuple[np.ndarray, str]] | None:
    """What the planes of a format hold for RGB [H, W, 3], and how; None for a format not known here."""
    if kind := PLANAR.fullmatch(name):
        bits, (across, down) = int(kind[3] or 8), SUBSAMPLED[kind[2]]
        values = ycc(rgb, matrix, limited and not name.startswith("yuvj"), bits)
        planes = [values["y"], *(values[c][::down, ::across] for c in "uv"), *([values["a"]] if kind[1] else [])]
        return [(plane, as_type(bits, kind[4])) for plane in planes]
    if kind := TWO_PLANES.fullmatch(name):
        bits, shape = int(kind[3] or 8), kind[1] or kind[2]
        across, down = SUBSAMPLED[{"12": "420", "21": "420", "0": "420", "16": "422", "2": "422"}.get(shape, "444")]
        values = ycc(rgb, matrix, limited, bits)
        both = np.stack([values[c][::down, ::across] for c in ("vu" if shape in ("21", "42") else "uv")], axis=-1)
        up = 0 if bits == 8 else 16 - bits
        return [(plane << up, as_type(bits, kind[4])) for plane in (values["y"], both.reshape(len(both), -1))]
    if kind := RGB_PLANES.fullmatch(name):
        exact = kind[2] == "f32"
        white = 1 if exact else 2 ** int(kind[2] or 8) - 1
        values = [rgb[..., c] * white for c in (1, 2, 0)] + [np.full(rgb.shape[:2], white)] * bool(kind[1])
        stored = ("f4" if exact else "u1" if white == 255 else "u2", ">" if kind[3] == "be" else "<")
        return [(plane if exact else np.rint(plane), stored[1] + stored[0]) for plane in values]
    root, end = (name[:-2], name[-2:]) if name.endswith(("le", "be")) else (name, "")
    if root in ORDERS:
        order, bits = ORDERS[root], BITS.get(root, 8)
        values = ycc(rgb, matrix, limited, bits)
        if order.count("y") == 1:
            packed = np.stack([values[c] for c in order], axis=-1)
        else:
            halves = iter((values["y"][:, ::2], values["y"][:, 1::2]))
            packed = np.stack([next(halves) if c == "y" else values[c][:, ::2] for c in order], axis=-1)
        return [(packed.reshape(len(rgb), -1) << (0 if bits == 8 else 16 - bits), as_type(bits, end))]
    return None


KNOWN = sorted(name for name in PIXEL_FORMATS if plane_values(name, picture(), 1, True) is not None)


def make_frame(name: str, matrix: int, color_range: int, rgb: np.ndarray | None = None) -> av.VideoFrame:
    """A frame of the picture, or other RGB, made without FFmpeg's conversions. Range 0 says nothing, and is limited."""
    rgb = picture() if rgb is None else rgb
    frame = av.VideoFrame(rgb.shape[1], rgb.shape[0], name)
    for plane, (values, kind) in zip(frame.planes, plane_values(name, rgb, matrix, color_range != FULL)):
        fill(plane, values, kind)
    frame.colorspace, frame.color_range = matrix, color_range
    return frame


def middles(shown: np.ndarray) -> np.ndarray:
    """The color in the middle of every patch."""
    return shown[HEIGHT // 2, PATCH // 2 :: PATCH]


def test_the_formats_that_cameras_phones_and_editors_write_are_among_those_tried():
    assert len(KNOWN) > 90 and {"yuv420p", "yuvj420p", "nv12", "yuv420p10le", "p010le", "yuv422p10le", "yuva444p10le",
                                "yuva420p10le", "gbrp", "yuv411p", "yuyv422", "yuv420p12le"} <= set(KNOWN)


@pytest.mark.parametrize("name", KNOWN)
def test_every_pixel_format_gives_back_the_color_put_in_by_every_matrix_and_range(name):
    for matrix in LUMINANCE:
        for color_range in (0, LIMITED, FULL):
            try:
                shown = color_of(Path("clip"), make_frame(name, matrix, color_range), 2, 2)
            except ValueError as error:
                assert f"clip: its pictures are stored as {name}, which cannot be read" in str(error)
                assert name[:2] in ("y2", "nv", "xv", "ay") and name != "nv12"  # FFmpeg itself cannot turn them
                return
            assert shown.dtype == np.float32
            assert np.abs(middles(shown) - COLORS).max() < 2.6 / 255, (matrix, color_range)


@pytest.mark.parametrize("name", [name for name in KNOWN if name.startswith(("yuv4", "yuvj", "nv1", "p0", "gbrp"))])
def test_every_pixel_format_gives_back_the_numbers_of_depth(name):
    ramp = np.repeat(np.linspace(0, 1, WIDTH)[None, :, None].repeat(HEIGHT, axis=0), 3, axis=2)
    for color_range in (LIMITED, FULL):
        codes = codes_of(Path("depth"), make_frame(name, 1, color_range, ramp))
        assert codes.dtype == np.float32 and np.abs(codes / 65535 - ramp[..., 0]).max() < 1.5 / 255


def test_a_decoder_holds_the_limit_of_pixels_to_what_it_decodes(tmp_path, monkeypatch):
    path = write(tmp_path / "clip.mkv", "ffv1", "yuv444p", {})
    with opened(path) as (container, stream):
        assert int(stream.codec_context.options["max_pixels"]) == 2**25
        stream.codec_context.options = {"max_pixels": str(WIDTH * HEIGHT - 1)}
        with pytest.raises(av.FFmpegError):
            next(container.decode(stream))


@pytest.mark.parametrize("matrix", [8, 10, 11, 12, 13, 14, 15])
def test_matrices_that_ffmpeg_does_not_know_are_refused(matrix):
    frame = make_frame("yuv420p", 1, LIMITED)
    frame.colorspace = matrix
    with pytest.raises(ValueError, match=f"clip: its colors are stored with matrix {matrix} of .*convert it to BT.709"):
        color_of(Path("clip"), frame, 2, 2)


def write(path: Path, codec: str, pixels: str, options: dict, matrix: int = 1, color_range: int = LIMITED,
          transfer: int = 1, primaries: int = 1, values: np.ndarray | None = None, frames: int = 3) -> Path:
    """Encode the picture, or RGB values in [0, 1], as it is tagged."""
    values = picture() if values is None else values
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, 25, options)
        stream.height, stream.width, stream.pix_fmt = *values.shape[:2], pixels
        context = stream.codec_context
        context.colorspace, context.color_range = matrix, color_range
        context.color_trc, context.color_primaries = transfer, primaries
        for _ in range(frames):
            file.mux(stream.encode(make_frame(pixels, matrix, color_range, values)))
        file.mux(stream.encode(None))
    return path


LOSSLESS = {"libx264": {"qp": "0"}, "libx265": {"x265-params": "lossless=1:log-level=none"}, "ffv1": {},
            "prores_ks": {}, "libvpx-vp9": {"lossless": "1"}, "mpeg2video": {"qmin": "1", "qmax": "1"}}


@pytest.mark.parametrize("name, codec, pixels", [
    ("main.mp4", "libx265", "yuv420p"), ("main10.mp4", "libx265", "yuv420p10le"), ("high.mp4", "libx264", "yuv420p"),
    ("hi10.mp4", "libx264", "yuv420p10le"), ("422.mkv", "libx264", "yuv422p10le"), ("old.mkv", "mpeg2video", "yuv420p"),
    ("hi444.mkv", "libx264", "yuv444p10le"), ("vp9.webm", "libvpx-vp9", "yuv420p"), ("j.mp4", "libx264", "yuvj420p"),
    ("8.mkv", "ffv1", "yuv420p"), ("10.mkv", "ffv1", "yuv420p10le"), ("12.mkv", "ffv1", "yuv420p12le"),
    ("440.mkv", "ffv1", "yuv440p10le"), ("alpha.mkv", "ffv1", "yuva420p10le"),
    ("edit.mov", "prores_ks", "yuv422p10le"), ("cut.mov", "prores_ks", "yuva444p10le"),
])
@pytest.mark.parametrize("matrix", [1, 5, 9])
def test_every_kind_of_clip_gives_back_the_color_put_in(tmp_path, name, codec, pixels, matrix):
    color_range = FULL if pixels.startswith("yuvj") else LIMITED
    path = write(tmp_path / name, codec, pixels, LOSSLESS[codec], matrix, color_range)
    shown = read_video(path).frames[1].numpy()
    assert np.abs(middles(shown) - COLORS).max() < 4 / 255


# ---- HDR ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("transfer, name", [(HLG, "HLG"), (PQ, "PQ")])
@pytest.mark.parametrize("codec, pixels, suffix", [
    ("libx265", "yuv420p10le", "mp4"), ("libx264", "yuv420p", "mp4"), ("ffv1", "yuv420p12le", "mkv"),
    ("ffv1", "yuva420p10le", "mkv"), ("prores_ks", "yuv422p10le", "mov")])
def test_every_hdr_clip_is_tone_mapped_and_that_is_said(tmp_path, caplog, transfer, name, codec, pixels, suffix):
    gray = np.full((32, 32, 3), 150 / 255)
    path = write(tmp_path / f"hdr.{suffix}", codec, pixels, LOSSLESS[codec], 9, LIMITED, transfer, 9, gray)
    with caplog.at_level(logging.WARNING):
        shown = read_video(path).frames
    signal = np.full((1, 1, 3), round(150 / 255 * 65535), np.uint16)
    assert np.abs(np.median(shown.numpy(), axis=(0, 1, 2)) - sdr_from_hdr(signal, transfer, 9)).max() < 2 / 255
    assert shown.std() < 0.02  # what is dithered to 8 bits is not flat
    assert [record.getMessage() for record in caplog.records] == [f"{path}: HDR ({name}), tone-mapped to SDR"]


@pytest.mark.parametrize("transfer", [2, 1, 4, 6, 13, 14, 15])
def test_every_sdr_clip_is_read_as_it_is_without_a_word(tmp_path, caplog, transfer):
    path = write(tmp_path / "sdr.mkv", "libx264", "yuv420p10le", {"qp": "0"}, 9, LIMITED, transfer, 9)
    with caplog.at_level(logging.WARNING):
        assert np.abs(middles(read_video(path).frames[1].numpy()) - COLORS).max() < 3 / 255
    assert not caplog.records


@pytest.mark.parametrize("transfer", [8, 9, 10])
def test_every_transfer_unlike_srgb_is_said(tmp_path, caplog, transfer):
    path = write(tmp_path / "log.mkv", "libx264", "yuv420p10le", {"qp": "0"}, 1, LIMITED, transfer, 1)
    with caplog.at_level(logging.WARNING):
        read_video(path)
    assert "its transfer curve is" in caplog.text and "convert it to BT.709" in caplog.text


def test_the_curves_meet_the_points_that_their_standards_name():
    assert pq_light(np.array([0, 1.0])).tolist() == pytest.approx([0, 10000 / HDR_WHITE])
    assert pq_light(np.array([0.5081])).item() * HDR_WHITE == pytest.approx(100, rel=1e-3)  # BT.2408: 51 % is 100 cd/m2
    assert pq_light(np.array([0.5807])).item() == pytest.approx(1, rel=2e-3)  # 58 % is SDR's white
    assert hlg_scene(np.array([0, 0.5, 1.0])).tolist() == pytest.approx([0, 1 / 12, 1], abs=1e-6)
    assert HDR_PEAK / HDR_WHITE * hlg_scene(np.array([0.75])).item() ** 1.2 == pytest.approx(1, rel=5e-3)  # 75 %


@settings(deadline=None)
@given(st.floats(0, HDR_PEAK / HDR_WHITE), st.floats(1e-3, 1))
def test_brighter_light_stays_brighter_and_ends_at_white(light, more):
    low, high = bend(np.array([light])).item(), bend(np.array([light + more])).item()
    assert 0 <= low < high and low <= light and (light > KNEE or low == light)
    assert bend(np.array([HDR_PEAK / HDR_WHITE])).item() == pytest.approx(1)


@pytest.mark.parametrize("transfer", [HLG, PQ])
@settings(deadline=None)
@given(st.floats(0.05, 0.58))
def test_every_gray_darker_than_the_knee_is_as_bright_as_in_sdr(transfer, gray):
    light = ((gray + 0.055) / 1.055) ** 2.4  # of SDR's white
    signals = np.linspace(0, 1, 65536)
    shown = pq_light(signals) if transfer == PQ else HDR_PEAK / HDR_WHITE * hlg_scene(signals) ** 1.2
    signal = int(np.searchsorted(shown, light))
    assert sdr_from_hdr(np.full((1, 1, 3), signal, np.uint16), transfer, 9) == pytest.approx(gray, abs=1e-3)


@pytest.mark.parametrize("transfer", [HLG, PQ])
@settings(deadline=None)
@given(st.tuples(*[st.integers(0, 65535)] * 3), st.sampled_from([1, 9]))
def test_every_hdr_color_becomes_one_within_the_scale_and_gray_stays_gray(transfer, color, primaries):
    shown = sdr_from_hdr(np.array([[color, color[:1] * 3]], np.uint16), transfer, primaries)
    assert shown.dtype == np.float32 and np.isfinite(shown).all() and shown.min() >= 0 and shown.max() <= 1 + 1e-5
    assert np.ptp(shown[0, 1]) < 2e-3


def test_depth_in_a_clip_tagged_as_hdr_keeps_its_numbers(tmp_path):
    ramp = np.repeat(np.linspace(0.1, 0.9, 32)[None, :, None].repeat(32, axis=0), 3, axis=2)
    units = DepthUnits("normalized-depth", near=1.0, far=2.0)
    depths = [read_depth(write(tmp_path / f"{transfer}.mkv", "libx264", "yuv420p10le", {"qp": "0"}, transfer=transfer,
                               values=ramp), units).depth for transfer in (1, PQ)]
    assert (depths[0] - depths[1]).abs().max() == 0
