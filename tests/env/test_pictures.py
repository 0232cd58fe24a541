"""Pictures of every form, read as squares of bytes; expected values by hand and by Pillow."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from ma2ml_env.errors import DamagedFileError, MA2MLError
from ma2ml_env.tasks.pictures import picture_form, read_picture

ORIENTATION = 0x0112


def gray_ramp(size: int = 8) -> np.ndarray:
    return (np.arange(size * size).reshape(size, size) * 255 // (size * size - 1)).astype(np.uint8)


def colored() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)


def test_a_picture_of_the_right_size_is_read_as_it_is(tmp_path) -> None:
    Image.fromarray(colored()).save(tmp_path / "a.png")
    Image.fromarray(gray_ramp()).save(tmp_path / "b.png")
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png", 8, 3), colored().transpose(2, 0, 1))
    np.testing.assert_array_equal(read_picture(str(tmp_path / "b.png"), 8, 1), gray_ramp()[None])
    np.testing.assert_array_equal(read_picture(Image.fromarray(gray_ramp()), 8, 3), np.stack([gray_ramp()] * 3))


def test_an_oblong_picture_is_resized_by_its_shorter_side_and_cropped_in_the_middle() -> None:
    stripes = np.repeat(np.array([[0, 100, 200]], dtype=np.uint8), 8, axis=0).repeat(8, axis=1)
    assert stripes.shape == (8, 24)
    np.testing.assert_allclose(read_picture(Image.fromarray(stripes), 4, 1), np.full((1, 4, 4), 100), atol=8)


def test_resizing_is_antialiased() -> None:
    checkered = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)
    smaller = read_picture(Image.fromarray(checkered), 8, 1)
    assert abs(smaller.astype(int) - 127).max() <= 3


@pytest.mark.parametrize(("orientation", "turns"), [(1, 0), (6, -1), (3, 2), (8, 1)])
def test_the_exif_orientation_is_applied(tmp_path, orientation: int, turns: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    Image.fromarray(gray_ramp()).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png", 8, 1)[0], np.rot90(gray_ramp(), turns))


def test_transparent_pixels_lie_on_white(tmp_path) -> None:
    values = np.zeros((4, 4, 4), dtype=np.uint8)
    values[0, :, 3], values[1, :, 3] = 255, 51
    Image.fromarray(values).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png", 4, 3)[0, :, 0], [0, 204, 255, 255])
    Image.fromarray(values).convert("LA").save(tmp_path / "la.png")
    np.testing.assert_array_equal(read_picture(tmp_path / "la.png", 4, 1)[0, :, 0], [0, 204, 255, 255])
    palette = Image.fromarray(np.array([[0, 1]], dtype=np.uint8).repeat(2, axis=0), "P")
    palette.putpalette([9, 8, 7, 6, 5, 4])
    palette.save(tmp_path / "p.png", transparency=1)
    np.testing.assert_array_equal(read_picture(tmp_path / "p.png", 2, 3)[:, 0], [[9, 255], [8, 255], [7, 255]])


def test_deep_gray_is_scaled_and_not_clipped(tmp_path) -> None:
    deep = gray_ramp().astype(np.uint16) * 257
    for name in ("a.png", "a.tif"):
        Image.fromarray(deep).save(tmp_path / name)
        np.testing.assert_array_equal(read_picture(tmp_path / name, 8, 1)[0], gray_ramp())
    Image.fromarray(deep.astype(np.int32)).save(tmp_path / "i.tif")
    Image.fromarray((gray_ramp() / 255).astype(np.float32)).save(tmp_path / "f.tif")
    for name in ("i.tif", "f.tif"):
        np.testing.assert_array_equal(read_picture(tmp_path / name, 8, 3)[1], gray_ramp())
    Image.fromarray(deep.astype(np.int32) + 1).save(tmp_path / "far.tif")
    with pytest.raises(DamagedFileError, match=r"far.tif cannot be read: its values are in 1..65536, not in 0..65535"):
        read_picture(tmp_path / "far.tif", 8, 1)


def test_cmyk_palettes_and_single_bits_become_colors(tmp_path) -> None:
    Image.new("CMYK", (4, 4), (0, 255, 255, 0)).save(tmp_path / "a.tif")
    assert read_picture(tmp_path / "a.tif", 4, 3)[:, 0, 0].tolist() == [255, 0, 0]
    Image.fromarray(gray_ramp() > 100).save(tmp_path / "b.png")
    assert set(read_picture(tmp_path / "b.png", 8, 1).ravel().tolist()) == {0, 255}
    Image.new("RGB", (4, 4), (10, 20, 30)).quantize(4).save(tmp_path / "c.gif")
    assert read_picture(tmp_path / "c.gif", 4, 3)[:, 0, 0].tolist() == [10, 20, 30]


def test_a_large_jpeg_is_close_to_its_exact_reduction(tmp_path) -> None:
    rng = np.random.default_rng(0)
    smooth = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).resize(
        (640, 512), Image.Resampling.BICUBIC
    )
    smooth.save(tmp_path / "a.jpg", quality=95)
    found = read_picture(tmp_path / "a.jpg", 32, 3).astype(int)
    assert abs(found - read_picture(smooth, 32, 3)).max() <= 8


def test_a_given_picture_stays_as_it_is() -> None:
    given = Image.fromarray(colored())
    read_picture(given, 4, 1)
    assert (given.mode, given.size) == ("RGB", (8, 8))
    np.testing.assert_array_equal(np.asarray(given), colored())


def test_what_cannot_be_read_is_named_in_one_line(tmp_path, monkeypatch) -> None:
    whole, part = tmp_path / "whole.jpg", tmp_path / "part.jpg"
    Image.effect_noise((64, 64), 50).save(whole)
    part.write_bytes(whole.read_bytes()[:400])
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "empty.png").touch()
    expected = {"part.jpg": "truncated", "text.png": "it is no picture", "empty.png": "it is no picture",
                "none.png": "no such file"}  # fmt: skip
    for name, reason in expected.items():
        for read in (lambda file: read_picture(file, 8, 3), picture_form):
            with pytest.raises(DamagedFileError, match=rf"{name} cannot be read: .*{reason}") as error:
                read(tmp_path / name)
            assert "\n" not in str(error.value)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(DamagedFileError, match=r"whole.jpg cannot be read: .*decompression bomb"):
        read_picture(whole, 8, 3)


def test_sizes_and_channels_out_of_range_are_refused() -> None:
    picture = Image.new("L", (4, 4))
    for size in (0, 2**15):
        with pytest.raises(MA2MLError, match=r"image_size must be in 1..16,384"):
            read_picture(picture, size, 1)
    with pytest.raises(MA2MLError, match="channels are 1 or 3, not 4"):
        read_picture(picture, 4, 4)


def test_the_form_is_that_of_the_upright_picture_and_gray_is_seen_in_the_pixels(tmp_path) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    Image.new("RGB", (12, 8), (50, 50, 50)).save(tmp_path / "a.jpg", exif=exif)
    assert picture_form(tmp_path / "a.jpg") == (8, 12, True)
    spot = np.full((200, 200, 3), 128, dtype=np.uint8)
    spot[60:70, 60:70] = (200, 20, 20)
    Image.fromarray(spot).save(tmp_path / "b.png")
    assert picture_form(tmp_path / "b.png") == (200, 200, False)
    assert picture_form(Image.fromarray(np.zeros((3, 5), dtype=np.uint16))) == (5, 3, True)
