"""Download of data sets, where there is a network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ma2ml_env.errors import MissingDataError


def downloaded_archive(url: str, folder: Path, md5: str) -> None:
    """Downloads an archive into a folder, checks it, and unpacks it there.

    Args:
        url: of the archive.
        folder: it is made if it is not there.
        md5: checksum of the archive, hexadecimal.

    Raises:
        MissingDataError: if it cannot be downloaded, or is another file.

    Source: torchvision.
    """
    from torchvision.datasets.utils import download_and_extract_archive

    _attempt(lambda: download_and_extract_archive(url, str(folder), md5=md5), url, folder)


def downloaded_fashion_mnist(folder: Path) -> None:
    """Downloads Fashion-MNIST to `FashionMNIST/raw` in a folder; errors as of `downloaded_archive`.

    Source: torchvision.
    """
    from torchvision.datasets import FashionMNIST

    _attempt(lambda: FashionMNIST(str(folder), download=True), "Fashion-MNIST", folder)


def _attempt(download: Callable[[], Any], what: str, folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        download()
    except (OSError, RuntimeError) as error:
        raise MissingDataError(f"{what} cannot be downloaded to {folder}: {error}") from error
