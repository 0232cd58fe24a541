"""A checkpoint is read back as it was written, or said to be damaged."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch

from ma2ml_agents.search import checkpoint
from ma2ml_agents.search.checkpoint import FILE, Checkpoint, fingerprint

STATE = {"weights": torch.arange(64.0), "generator": torch.Generator().manual_seed(1).get_state(), "seen": [1, 2]}


def made(updates: int = 3) -> Checkpoint:
    return Checkpoint("origin", updates, {7: {"a": [0, 1], "b": [2]}}, STATE)


def same(one: Checkpoint, other: Checkpoint) -> bool:
    plain = (one.origin, one.updates, one.proposals) == (other.origin, other.updates, other.proposals)
    return plain and fingerprint(one.learner) == fingerprint(other.learner)


def test_a_checkpoint_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    assert checkpoint.load(tmp_path) is None
    for updates in (3, 4):
        checkpoint.save(tmp_path / "new", made(updates))
        found = checkpoint.load(tmp_path / "new")
        assert found is not None
        assert same(found, made(updates))
    assert [path.name for path in (tmp_path / "new").iterdir()] == [FILE]


def test_a_checkpoint_cut_short_anywhere_is_damaged(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, made())
    whole = (tmp_path / FILE).read_bytes()
    for length in range(0, len(whole), 97):
        (tmp_path / FILE).write_bytes(whole[:length])
        with pytest.raises(ValueError, match="is damaged"):
            checkpoint.load(tmp_path)


def test_a_flipped_bit_is_never_learned_from(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, made())
    whole = (tmp_path / FILE).read_bytes()
    for position in range(0, len(whole), 29):
        (tmp_path / FILE).write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        try:
            found = checkpoint.load(tmp_path)
        except ValueError:
            continue
        assert found is not None
        assert same(found, made()), f"byte {position}"


def test_a_checkpoint_that_names_code_is_damaged_and_runs_none(tmp_path: Path) -> None:
    class Touch:
        def __reduce__(self):
            return Path.touch, (tmp_path / "ran",)

    (tmp_path / FILE).write_bytes(pickle.dumps({"learner": Touch()}))
    with pytest.raises(ValueError, match="is damaged"):
        checkpoint.load(tmp_path)
    assert not (tmp_path / "ran").exists()


def test_a_crash_while_saving_leaves_the_checkpoint_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint.save(tmp_path, made(3))

    def crash(value: object, file: object) -> None:
        file.write(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(torch, "save", crash)
    with pytest.raises(OSError, match="no space"):
        checkpoint.save(tmp_path, made(4))
    monkeypatch.undo()
    found = checkpoint.load(tmp_path)
    assert found is not None
    assert same(found, made(3))


def test_equal_states_have_equal_fingerprints_and_others_do_not() -> None:
    again = {"weights": torch.arange(64.0), "generator": STATE["generator"].clone(), "seen": [1, 2]}
    assert fingerprint(again) == fingerprint(STATE)
    assert fingerprint({**STATE, "seen": [1, 3]}) != fingerprint(STATE)
