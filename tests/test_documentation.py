"""The pages' Python runs, their commands have the options that they name, and their links lead somewhere."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import sys
import types
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from ma2ml_agents.commands import COMMANDS, main

ROOT = Path(__file__).parent.parent
FOLDERS = (".", ".github", "agents", "docs", "docs/learners", "experiments", "experiments/results/*")
PAGES = sorted(path for folder in FOLDERS for path in ROOT.glob(f"{folder}/*.md"))
NOT_RUN = r"<!-- not run: [^\n]+ -->\n\n?"
"""The comment above a block that names what the block needs and the tests lack, such as a GPU."""
FENCE = re.compile(rf"^({NOT_RUN})?```([^\n]*)\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)
ELSEWHERE = ("README.md",)
"""Pages whose Python is run in a test of their own."""


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def python_of(page: Path) -> list[str]:
    return [code for not_run, language, code in FENCE.findall(text_of(page)) if language == "python" and not not_run]


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


WITH_PYTHON = [page for page in PAGES if python_of(page) and name_of(page) not in ELSEWHERE]


@pytest.mark.parametrize("page", WITH_PYTHON, ids=name_of)
def test_the_python_of_a_page_runs_in_order(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    module = types.ModuleType("page")
    monkeypatch.setitem(sys.modules, "page", module)  # where dataclasses look up annotations
    for code in python_of(page):
        exec(compile(code, name_of(page), "exec"), vars(module))


def commands_of(text: str) -> Iterator[list[str]]:
    """The words of every `ma2ml ...` and `python train.py ...` in a page's shell blocks and code spans."""
    fences = [code.replace("\\\n", " ") for _, language, code in FENCE.findall(text) if language in ("", "bash")]
    spans = re.findall(r"`((?:ma2ml|python train\.py) [^`]+)`", FENCE.sub("", text).replace("\n", " "))
    for line in [line for code in fences for line in code.splitlines()] + spans:
        for part in re.split(r"&&|\|", line):
            try:
                words = shlex.split(part, comments=True)
            except ValueError:  # a drawing
                continue
            if words[:2] == ["python", "train.py"]:
                yield ["train", *words[2:]]
            elif words[:1] == ["ma2ml"]:
                yield words[1:]


@cache
def options_of(command: tuple[str, ...]) -> set[str]:
    with contextlib.redirect_stdout(io.StringIO()) as shown, contextlib.suppress(SystemExit):
        main([*command, "--help"])
    return set(re.findall(r"--[a-z][a-z0-9-]*", shown.getvalue()))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_commands_of_a_page_have_the_options_that_it_names(page: Path) -> None:
    for command, *words in commands_of(text_of(page)):
        if command.startswith("--") or command == "COMMAND":
            continue
        assert command in COMMANDS, f"{name_of(page)}: ma2ml {command}"
        known = options_of((command, words[0]) if command == "surrogate" else (command,))
        given = {word.partition("=")[0] for word in words if word.startswith("--")} - {"--help"}
        assert given <= known, f"{name_of(page)}: {command} {sorted(given - known)}"


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", FENCE.sub("", text_of(page)), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_links_of_a_page_lead_to_files_and_headings_that_exist(page: Path) -> None:
    prose = re.sub(r"`[^`\n]*`", "", FENCE.sub("", text_of(page)))
    for link in re.findall(r"\]\(([^)\s]+)\)", prose):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, heading = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{name_of(page)} links to {link}"
        if heading:
            assert heading in anchors(target), f"{name_of(page)} links to {link}"


def test_commands_are_found_in_blocks_and_in_spans_and_know_their_options() -> None:
    page = "```\npip install x && ma2ml report A --x 1  # note\n```\nor `python train.py --algo\nma2ml`."
    assert list(commands_of(page)) == [["report", "A", "--x", "1"], ["train", "--algo", "ma2ml"]]
    assert "--algo" in options_of(("train",))
    assert "--x" not in options_of(("report",))
