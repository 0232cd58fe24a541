"""Pictures of all kinds in, classes and probabilities out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from small_models import CLASSES, SIZE, linear_classifier, softmax_by_hand, squares

from ma2ml_env.errors import MA2MLError
from ma2ml_env.tasks.pictures import read_picture
from ma2ml_env.training import pixels
from ma2ml_env.training.image_form import ImageForm


def test_probabilities_are_the_softmax_of_the_logits_and_sum_to_one() -> None:
    classifier, images = linear_classifier().train(), squares(9)
    found = classifier.predict_proba(images)
    assert found.dtype == np.float32
    assert found.shape == (9, len(CLASSES))
    np.testing.assert_allclose(found, softmax_by_hand(classifier, images), rtol=1e-5)
    np.testing.assert_allclose(found.sum(axis=1), 1.0, atol=1e-6)
    assert classifier.predict(images) == [CLASSES[index] for index in found.argmax(axis=1)]


@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_has_one_answer_in_whatever_form_it_comes(channels: int, tmp_path: Path) -> None:
    classifier, (image,) = linear_classifier(channels), squares(1, channels)
    rows_first = image.transpose(1, 2, 0)
    picture = Image.fromarray(rows_first[..., 0] if channels == 1 else rows_first)
    picture.save(tmp_path / "picture.png")
    tensor = torch.from_numpy(image)
    one = [image, rows_first, picture, tmp_path / "picture.png", str(tmp_path / "picture.png"), tensor]
    several = [
        image[None],
        rows_first[None],
        tensor[None],
        [image],
        (picture,),
        iter([tensor]),
        [tmp_path / "picture.png"],
    ]
    expected = softmax_by_hand(classifier, image[None])
    for given in [*one, *several, *([rows_first[..., 0], [rows_first[..., 0]]] if channels == 1 else [])]:
        np.testing.assert_allclose(classifier.predict_proba(given), expected, rtol=1e-5)
    np.testing.assert_allclose(classifier.predict_proba(one), np.repeat(expected, len(one), axis=0), rtol=1e-5)


def test_pictures_of_another_size_are_read_as_files_of_them_are(tmp_path: Path) -> None:
    classifier = linear_classifier(3)
    photo = np.random.default_rng(1).integers(0, 256, (20, 31, 4), dtype=np.uint8)
    Image.fromarray(photo).save(tmp_path / "photo.png")
    expected = softmax_by_hand(classifier, read_picture(tmp_path / "photo.png", SIZE, 3)[None])
    for given in (photo, photo.transpose(2, 0, 1), Image.fromarray(photo), photo[None]):
        np.testing.assert_allclose(classifier.predict_proba(given), expected, rtol=1e-5)


def test_many_pictures_are_classified_in_batches_and_read_as_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pixels, "LARGEST_BATCH", 4)
    classifier, images = linear_classifier(), squares(10)
    sizes = [len(batch) for batch in pixels.pixel_batches(images, classifier.images)]
    assert (
        sizes
        == [len(batch) for batch in pixels.pixel_batches(torch.from_numpy(images), classifier.images)]
        == [4, 4, 2]
    )
    np.testing.assert_allclose(classifier.predict_proba(images), softmax_by_hand(classifier, images), rtol=1e-5)
    rest = iter(images)
    assert len(next(pixels.pixel_batches(rest, classifier.images))) == 4
    assert len(list(rest)) == 6, "only the first batch was read"


def test_a_batch_of_large_images_holds_few_of_them() -> None:
    sizes = [pixels.batch_size(ImageForm("mine", size, 3, CLASSES)) for size in (8, 224, 2**14)]
    assert sizes == [256, 2**23 // (3 * 224**2), 1]


def test_no_pictures_have_no_classes() -> None:
    assert linear_classifier().predict([]) == []
    assert linear_classifier().predict_proba(iter(())).shape == (0, len(CLASSES))
    assert linear_classifier().predict_proba(torch.zeros(0, 1, SIZE, SIZE, dtype=torch.uint8)).shape == (
        0,
        len(CLASSES),
    )


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (7, "a int is no picture; expected a path, a picture of Pillow"),
        ([squares(1)[0], None], "item 1: a NoneType is no picture"),
        (squares(2).astype(np.float32), "item 0: an array of pixels is uint8, from 0 to 255, not float32"),
        (squares(1)[0] > 9, "uint8, from 0 to 255, not bool"),
        (np.zeros((5, 6, 7), np.uint8), r"an array of shape \(5, 6, 7\) is no picture; one is \(H, W\)"),
        (np.zeros((0, 4, 3), np.uint8), r"an array of shape \(0, 4, 3\) has no pixels"),
        ([squares(2)], r"item 0: an array of shape \(2, 1, 6, 6\) is no picture"),
        (torch.zeros(2, 1, SIZE, SIZE + 1, dtype=torch.uint8), r"uint8 of shape \(N, 1, 6, 6\), not torch.uint8 of"),
        ([torch.zeros(1, SIZE, SIZE)], r"item 0: images must be uint8 of shape \(N, 1, 6, 6\), not torch.float32"),
        (["nowhere.png"], "item 0: nowhere.png"),
        (Path("nowhere.png"), "nowhere.png"),
    ],
)
def test_an_error_names_the_picture_and_the_reason(given: object, says: str) -> None:
    with pytest.raises(MA2MLError, match=says):
        linear_classifier().predict(given)  # type: ignore[arg-type]


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(MA2MLError, match=r"item 1: .*text\.png"):
        linear_classifier().predict([squares(1)[0], tmp_path / "text.png"])
