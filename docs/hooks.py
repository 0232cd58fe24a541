"""Hooks of the documentation's build: the stored results become pages of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "experiments" / "results"


def on_files(files: Files, config: Any) -> Files:
    """Adds pages and figures of the stored results."""
    for path in sorted(RESULTS.glob("*/*")):
        if path.suffix in (".md", ".png"):
            files.append(File.generated(config, str(path.relative_to(ROOT)), abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Links to the stored results, which lie beside the documentation in the repository, as pages of the site."""
    return markdown.replace("](../experiments/", "](experiments/").replace("](../../experiments/", "](../experiments/")
