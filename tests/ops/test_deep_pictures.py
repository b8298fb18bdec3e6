"""Laws of pictures of more than 8 bits: every number comes back, in every mode of every format, or a sentence does."""

import struct
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from ex4d_ops.depth import DepthUnits
from ex4d_ops.files import read_depth, read_video

Z = DepthUnits("depth")
MANY = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
SHAPE = (5, 7)
MODES = {"gray": 1, "gray and alpha": 2, "RGB": 3, "RGBA": 4}


# ---- writers of our own: Pillow writes few of these ---------------------------------------------


def png(numbers: np.ndarray, chunks: tuple[bytes, ...] = ()) -> bytes:
    """A PNG of 16 bits a channel, [H, W, 1..4]."""
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in numbers)
    height, width, channels = numbers.shape
    head = struct.pack(">IIBBBBB", width, height, 16, (0, 4, 2, 6)[channels - 1], 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + b"".join(chunk(data[:4], data[4:]) for data in chunks) + chunk(
        b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def tiff(numbers: np.ndarray, orientation: int = 1) -> bytes:
    """An uncompressed TIFF, [H, W, 1..4] of whole numbers or floats."""
    height, width, channels = numbers.shape
    bits, kind = 8 * numbers.itemsize, {"u": 1, "i": 2, "f": 3}[numbers.dtype.kind]
    tags = {256: [width], 257: [height], 258: [bits] * channels, 259: [1], 262: [2 if channels > 2 else 1], 273: [0],
            274: [orientation], 277: [channels], 278: [height], 279: [numbers.nbytes], 284: [1], 339: [kind] * channels}
    tags |= {338: [2]} if channels in (2, 4) else {}
    after, entries = 8 + 2 + 12 * len(tags) + 4, []
    blob = b""
    for tag, values in sorted(tags.items()):
        packed = struct.pack(f"<{len(values)}{'I' if tag in (273, 279) else 'H'}", *values)
        if len(packed) > 4:
            packed, blob = struct.pack("<I", after + len(blob)), blob + packed
        entries.append([tag, 4 if tag in (273, 279) else 3, len(values), packed])
    next(entry for entry in entries if entry[0] == 273)[3] = struct.pack("<I", after + len(blob))
    rows = b"".join(struct.pack("<HHI", *entry[:3]) + entry[3].ljust(4, b"\0") for entry in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + rows + bytes(4) + blob + numbers.tobytes()


def portable(numbers: np.ndarray, white: int, plain: bool = False, comment: bytes = b"") -> bytes:
    """A PGM or PPM, [H, W, 1 or 3]; plain: in ASCII."""
    kind = {(1, True): b"P2", (3, True): b"P3", (1, False): b"P5", (3, False): b"P6"}[numbers.shape[2], plain]
    head = kind + b"\n" + comment + b"%d %d\n%d\n" % (numbers.shape[1], numbers.shape[0], white)
    if plain:
        return head + b"\n".join(b" ".join(b"%d" % number for number in row.ravel()) for row in numbers)
    return head + numbers.astype(">u2" if white > 255 else "u1").tobytes()


def pfm(numbers: np.ndarray, order: str = "<", scale: float = 1.0) -> bytes:
    """A PFM, [H, W, 1 or 3], from the bottom row up."""
    kind = b"PF" if numbers.shape[2] == 3 else b"Pf"
    head = b"%s\n%d %d\n%f\n" % (kind, numbers.shape[1], numbers.shape[0], -scale if order == "<" else scale)
    return head + numbers[::-1].astype(f"{order}f4").tobytes()


def in_mode(plane: np.ndarray, channels: int) -> np.ndarray:
    """A gray plane [H, W] stored with so many channels, alpha opaque."""
    alpha = np.full_like(plane, 65535)
    return np.stack({1: [plane], 2: [plane, alpha], 3: [plane] * 3, 4: [plane] * 3 + [alpha]}[channels], -1)


# ---- depth --------------------------------------------------------------------------------------

MILLIMETRES = np.linspace(300, 65000, SHAPE[0] * SHAPE[1]).round().astype(np.uint16).reshape(SHAPE)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("suffix, write", [(".png", png), (".tif", tiff), (".tiff", tiff)])
def test_millimetres_stay_millimetres_in_every_mode_or_are_refused(tmp_path, mode, suffix, write):
    (tmp_path / f"a{suffix}").write_bytes(write(in_mode(MILLIMETRES, MODES[mode])))
    if suffix != ".png" and mode == "gray and alpha":  # which no reader knows
        with pytest.raises(ValueError, match=f"a{suffix}: cannot be read as an image"):
            read_depth(tmp_path / f"a{suffix}", Z)
    else:
        assert np.array_equal(read_depth(tmp_path / f"a{suffix}", Z).depth[0], MILLIMETRES.astype(np.float32))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("comment", [b"", b"# made by hand\n"])
@pytest.mark.parametrize("white", [9, 200, 255, 256, 1000, 10_000, 65535])
def test_a_pgm_keeps_its_numbers_whatever_its_white(tmp_path, white, plain, channels, comment):
    plane = np.linspace(1, white, SHAPE[0] * SHAPE[1]).round().astype(np.uint16).reshape(SHAPE)
    (tmp_path / "a.pgm").write_bytes(portable(in_mode(plane, channels), white, plain, comment))
    assert np.array_equal(read_depth(tmp_path / "a.pgm", Z).depth[0], plane.astype(np.float32))
    shares = read_depth(tmp_path / "a.pgm", DepthUnits("normalized-depth", near=1.0, far=2.0)).depth[0]
    assert np.allclose(shares, 1 + plane / white, atol=1e-6)


@MANY
@given(low=st.floats(1e-3, 10), high=st.floats(11, 1e6), order=st.sampled_from("<>"), channels=st.sampled_from([1, 3]),
       scale=st.sampled_from([1.0, 0.5, 1 / 255]))
def test_a_pfm_keeps_its_floats(tmp_path_factory, low, high, order, channels, scale):
    path = tmp_path_factory.mktemp("pfm") / "a.pfm"
    plane = np.linspace(low, high, SHAPE[0] * SHAPE[1], dtype=np.float32).reshape(SHAPE)
    path.write_bytes(pfm(np.stack([plane] * channels, -1), order, scale))
    assert np.array_equal(read_depth(path, Z).depth[0], plane)


@pytest.mark.parametrize("head, dtype, kind", [
    ("Pf\r\n7 5\r\n-1.0\r\n", "<f4", "pfm"), ("Pf\r\n7 5\r\n1.0\r\n", ">f4", "PFM"), ("Pf 7 5 -1.0\r\n", "<f4", "pfm"),
    ("P5\r\n7 5\r\n65535\r\n", ">u2", "pgm"), ("P5\r\n7 5\r\n200\r\n", "u1", "pgm"),
    ("P5\n7 5\n65535\n", ">u2", "PGM"), ("P5\n7 5\n65535\r", ">u2", "pgm")])
@pytest.mark.parametrize("first", [1, 10, 13])
def test_a_header_with_the_line_ends_of_windows_shifts_no_number(tmp_path, head, dtype, kind, first):
    plane = first + np.arange(SHAPE[0] * SHAPE[1]).reshape(SHAPE)
    rows = plane[::-1] if "f" in kind.lower() else plane
    (tmp_path / f"a.{kind}").write_bytes(head.encode() + rows.astype(dtype).tobytes())
    assert np.array_equal(read_depth(tmp_path / f"a.{kind}", Z).depth[0], plane.astype(np.float32))


@pytest.mark.parametrize("pages, said", [([(9, 8)], False), ([(9, 8)] * 2, True), ([(9, 8)] * 30, True),
                                         ([(9, 8), (4, 4)], False), ([(9, 8), (4, 4), (9, 8)], False)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_pages_of_a_tiff_that_are_not_read_are_said(tmp_path, caplog, pages, said, dtype):
    first, *rest = (Image.fromarray(np.linspace(0.1, 1, height * width).reshape(height, width).astype(dtype))
                    for width, height in pages)
    first.save(tmp_path / "a.tif", save_all=True, append_images=rest)
    assert len(read_video(tmp_path / "a.tif")) == 1
    assert caplog.text.count(f"has {len(pages)} pages, and only the first is read") == said


@pytest.mark.parametrize("content", [b"II*\0" + bytes(40), b"not a picture", b"\x89PNG"])
def test_a_picture_that_is_not_known_is_told_what_to_save(tmp_path, content):
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(ValueError, match="a.tif: cannot be read as an image .*; save it as PNG, or depth in floats"):
        read_depth(tmp_path / "a.tif", Z)


@pytest.mark.parametrize("dtype, top", [(np.float32, 9.5), (np.int32, 100_000), (np.int16, 30_000),
                                        (np.uint16, 60_000)])
def test_a_gray_tiff_keeps_its_numbers(tmp_path, dtype, top):
    plane = np.linspace(1, top, SHAPE[0] * SHAPE[1]).astype(dtype).reshape(SHAPE)
    (tmp_path / "a.tif").write_bytes(tiff(plane[..., None]))
    assert np.array_equal(read_depth(tmp_path / "a.tif", Z).depth[0], plane.astype(np.float32))


@pytest.mark.parametrize("suffix, write", [(".png", png), (".tif", tiff),
                                           (".ppm", lambda numbers: portable(numbers, 65535)),
                                           (".pfm", pfm)])
@pytest.mark.parametrize("top", [65000, 600])
def test_colors_are_refused_as_depth_however_dark(tmp_path, suffix, write, top):
    colors = np.random.default_rng(0).integers(1, top, (*SHAPE, 3)).astype(np.uint16)
    (tmp_path / f"a{suffix}").write_bytes(write(colors))
    with pytest.raises(ValueError, match=f"a{suffix}: is in color, and depth cannot be read from a color map"):
        read_depth(tmp_path / f"a{suffix}", Z)


@pytest.mark.parametrize("first, second", [("L", "I;16"), ("I;16", "L"), ("F", "I;16"), ("RGB", "I;16")])
def test_a_folder_of_several_whites_is_refused(tmp_path, first, second):
    """What white is decides what a normalised number means."""
    for t, mode in enumerate((first, second)):
        Image.new(mode, (6, 4), (1, 1, 1) if mode == "RGB" else 1).save(tmp_path / f"{t}.tif")
    with pytest.raises(ValueError, match=r"1.tif: its numbers go up to \d+, but those of the first picture to \d+"):
        read_depth(tmp_path, Z)


def test_a_folder_of_deep_pictures_is_a_clip(tmp_path):
    for t in range(3):
        (tmp_path / f"{t}.png").write_bytes(png(in_mode(MILLIMETRES + t, 3)))
    read = read_depth(tmp_path, Z, start=1)
    assert np.array_equal(read.depth, np.stack([MILLIMETRES + 1, MILLIMETRES + 2]).astype(np.float32))


# ---- colors -------------------------------------------------------------------------------------


def random_numbers(channels: int, white: int = 65535) -> np.ndarray:
    return np.random.default_rng(1).integers(0, white + 1, (*SHAPE, channels)).astype(np.uint16)


def over_black(numbers: np.ndarray, white: float = 65535) -> np.ndarray:
    shares = numbers / white
    colors = shares[..., :-1] * shares[..., -1:] if shares.shape[2] in (2, 4) else shares
    return np.repeat(colors, 3 // colors.shape[2], 2)


@pytest.mark.parametrize("suffix, write, channels", [
    (".png", png, 1), (".png", png, 2), (".png", png, 3), (".png", png, 4), (".tif", tiff, 1), (".tif", tiff, 3),
    (".tif", tiff, 4), (".ppm", lambda numbers: portable(numbers, 65535), 3),
    (".ppm", lambda numbers: portable(numbers, 65535, plain=True), 3),
    (".pgm", lambda numbers: portable(numbers, 65535), 1)])
def test_every_bit_of_a_color_is_kept(tmp_path, suffix, write, channels):
    numbers = random_numbers(channels)
    (tmp_path / f"a{suffix}").write_bytes(write(numbers))
    assert np.abs(read_video(tmp_path / f"a{suffix}").frames[0].numpy() - over_black(numbers)).max() < 1e-6


@pytest.mark.parametrize("white", [15, 255, 1023, 4095])
def test_colors_are_shares_of_the_white_their_file_names(tmp_path, white):
    numbers = random_numbers(3, white)
    (tmp_path / "a.ppm").write_bytes(portable(numbers, white))
    assert np.abs(read_video(tmp_path / "a.ppm").frames[0].numpy() - over_black(numbers, white)).max() < 1e-6


def test_floats_are_colors_where_they_can_be(tmp_path):
    shares = np.random.default_rng(2).random((*SHAPE, 3), np.float32)
    (tmp_path / "a.pfm").write_bytes(pfm(shares))
    assert np.array_equal(read_video(tmp_path / "a.pfm").frames[0], shares)


@pytest.mark.parametrize("name, content", [
    ("a.pfm", pfm(np.linspace(0, 30, 105, dtype=np.float32).reshape(5, 7, 3))),
    ("a.tif", tiff(np.linspace(0, 30, 35, dtype=np.float32).reshape(5, 7, 1))),
    ("a.tif", tiff(np.full((5, 7, 1), np.nan, np.float32))),
    ("a.tif", tiff(np.full((5, 7, 1), -30_000, np.int32))),
    ("a.tif", tiff(np.full((5, 7, 1), 200_000, np.int32)))])
def test_numbers_that_are_no_colors_are_refused_not_shown_white(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=f"{name}: its numbers are .*, but colors are 0 to 1"):
        read_video(tmp_path / name)


# ---- what cannot be kept ------------------------------------------------------------------------


@pytest.mark.parametrize("read", [read_video, lambda path: read_depth(path, Z)])
def test_radiance_pictures_are_refused_in_a_sentence(tmp_path, read):
    (tmp_path / "a.hdr").write_bytes(b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 1 +X 2\n" + bytes(8))
    with pytest.raises(ValueError, match="a.hdr: .*Radiance pictures have only 8 bits a color; save it as"):
        read(tmp_path / "a.hdr")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_deep_pictures_that_are_turned_come_upright_or_are_refused(tmp_path, orientation):
    numbers = random_numbers(3)
    (tmp_path / "a.tif").write_bytes(tiff(numbers, orientation))
    turned = {1: numbers, 2: numbers[:, ::-1], 3: numbers[::-1, ::-1], 4: numbers[::-1],
              5: numbers.swapaxes(0, 1), 6: np.rot90(numbers, -1), 7: np.rot90(numbers, 2).swapaxes(0, 1),
              8: np.rot90(numbers)}[orientation]
    try:
        read = read_video(tmp_path / "a.tif").frames[0]
    except ValueError as error:
        assert orientation > 1 and "save it upright" in str(error)
    else:
        assert np.abs(read.numpy() - over_black(turned)).max() < 1e-6


def test_a_deep_png_that_is_turned_comes_upright_or_is_refused(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "a.png").write_bytes(png(random_numbers(3), (b"eXIf" + exif.tobytes().removeprefix(b"Exif\0\0"),)))
    with pytest.raises(ValueError, match="a.png: .*save it upright"):
        read_video(tmp_path / "a.png")


@pytest.mark.parametrize("name, head", [("a.pfm", b"Pf\n100000 100000\n-1.0\n"), ("a.pgm", b"P5\n99999 99999\n65535\n"),
                                        ("a.ppm", b"P3\n99999 99999\n300\n"), ("a.pgm", b"P5 0 5 65535\n"),
                                        ("a.pgm", b"P5 2 2 70000\n")])
def test_what_a_small_picture_claims_is_refused_unread(tmp_path, name, head):
    (tmp_path / name).write_bytes(head + bytes(64))
    with pytest.raises(ValueError, match=f"{name}: cannot be read as an image .*(pixels are read|must be 1 to 65535)"):
        read_depth(tmp_path / name, Z)


WHOLE = {".png": png(in_mode(MILLIMETRES, 3)), ".tif": tiff(in_mode(MILLIMETRES, 3)),
         ".pgm": portable(in_mode(MILLIMETRES, 1), 65535), ".ppm": portable(in_mode(MILLIMETRES, 3), 65535, plain=True),
         ".pfm": pfm(MILLIMETRES[..., None] / np.float32(1000))}


@pytest.mark.parametrize("suffix", WHOLE)
@pytest.mark.parametrize("read", [read_video, lambda path: read_depth(path, Z, fill=True)])
@MANY
@given(places=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=5), keep=st.floats(0, 1))
def test_damaged_pictures_are_read_or_refused_in_one_line(tmp_path_factory, suffix, read, places, keep):
    data = bytearray(WHOLE[suffix])
    for place, value in places:
        data[int(place * (len(data) - 1))] = value
    path = tmp_path_factory.mktemp("damage") / f"a{suffix}"
    path.write_bytes(data[:int(keep * len(data)) + 1])
    try:
        read(path)
    except ValueError as error:
        assert "\n" not in str(error) and len(str(error)) < 1000
