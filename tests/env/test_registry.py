"""The registry: every mistake in a file is named, and nothing of that file is registered."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml

import ma2ml_env
from ma2ml_env import registry

GOOD = {
    "summary": "A sentence.",
    "agents": {"a": {"kind": "plain", "nvec": [2, 3]}, "b": {"kind": "plain", "nvec": [2]}},
    "evaluator": {"kind": "synthetic", "pairs_within": 1},
    "reward": {"kind": "accuracy"},
}


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_entries", dict(registry._entries))


def written(tmp_path: Path, document: object) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(document if isinstance(document, str) else yaml.safe_dump(document))
    return path


def test_a_file_of_ones_own_adds_its_environments(tmp_path: Path) -> None:
    assert ma2ml_env.register_file(written(tmp_path, {"mine/game-v0": GOOD})) == ["mine/game-v0"]
    assert "mine/game-v0" in ma2ml_env.env_ids()
    env = ma2ml_env.make("mine/game-v0")
    assert {agent: space.nvec.tolist() for agent, space in env.action_spaces.items()} == {"a": [2, 3], "b": [2]}


def test_parts_of_ones_own_are_named_by_module_and_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "parts.py").write_text(
        "from ma2ml_env import Decision, Result, SearchSpace\n"
        "def space(top: int): return SearchSpace((Decision('x', tuple(range(top))),), dict)\n"
        "class Count:\n"
        "    def __call__(self, pipeline, *, seed): return Result(pipeline['a']['x'] / 10, 0, 0, 0.0)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    mine = {**GOOD, "agents": {"a": {"kind": "parts:space", "top": 4}}, "evaluator": {"kind": "parts:Count"}}
    ma2ml_env.register_file(written(tmp_path, {"mine/parts-v0": mine}))
    env = ma2ml_env.make("mine/parts-v0")
    assert env.evaluate(env.decode({"a": 3})).accuracy == 0.3


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({"mine/g-v0": {**GOOD, "rewards": {}}}, "unknown key 'rewards'; did you mean 'reward'"),
        ({"mine/g-v0": {k: v for k, v in GOOD.items() if k != "evaluator"}}, r"missing \['evaluator'\]"),
        ({"mine/g-v0": {**GOOD, "summary": 3}}, "summary is a sentence"),
        ({"mine/g-v0": {**GOOD, "agents": {}}}, "at least one"),
        ({"mine/g-v0": {**GOOD, "reward": "accuracy"}}, "a part is a mapping with a `kind`"),
        ({"mine/g-v0": {**GOOD, "reward": {"kind": "accuracyy"}}}, "did you mean 'accuracy'"),
        ({"mine/g-v0": {**GOOD, "evaluator": {"kind": "synthetic", "pairs": 1}}}, "no argument 'pairs'"),
        ({"mine/g-v0": {**GOOD, "evaluator": {"kind": "synthetic", "noise": "much"}}}, "'much' does not fit"),
        ({"mine/g-v0": {**GOOD, "evaluator": {"kind": "synthetic", "pairs_within": 1.5}}}, "1.5 does not fit"),
        ({"mine/g-v0": {**GOOD, "agents": {"a": {"kind": "plain"}}}}, r"needs \['nvec'\]"),
        ({"mine/g-v0": {**GOOD, "evaluator": {"kind": "no.module:x"}}}, "cannot load 'no.module:x'"),
        ({"mine-g": GOOD}, "namespace/name-v0"),
        ({"ma2ml/digits-v0": GOOD}, "registered already"),
        ("mine/g-v0: {summary: x, summary: y}", "'summary' is given twice"),
        ({"mine/g-v0": {**GOOD, "reward": {"kind": "os:name"}}}, "'os:name' is a str; a kind is a class or a function"),
        ({"mine/g-v0": {**GOOD, "reward": {"kind": "flops_constrained", "constraint": -1}}}, "must be above 0, not -1"),
        ({"mine/g-v0": {**GOOD, "agents": {"a": {"kind": "plain", "nvec": [10**9]}}}}, "nvec must be in 1..1,000,000"),
        (
            {"mine/g-v0": {**GOOD, "agents": {"a": {"kind": "plain", "nvec": [2], "repeat": 10**9}}}},
            "repeat must be in",
        ),
        ({"mine/g-v0": {**GOOD, "agents": {"a": {"kind": "plain", "nvec": [2] * 99, "repeat": 99}}}}, "not 9801"),
        (
            {"mine/g-v0": {**GOOD, "agents": {"a": {"kind": "plain", "nvec": [10**5]}}}},
            "would hold 10,000,000,000 numbers",
        ),
        ("mine/g-v0: [", "not valid YAML"),
        ("- a list", "mapping from id to entry"),
        ("mine/g-v0: !!python/object/apply:os.getcwd []", "not valid YAML"),
    ],
)
def test_a_mistake_in_a_file_is_named_and_nothing_is_registered(document: object, says: str, tmp_path: Path) -> None:
    good = {"mine/good-v0": GOOD}
    path = written(tmp_path, {**good, **document} if isinstance(document, dict) else document)
    before = ma2ml_env.env_ids()
    with pytest.raises(ValueError, match=says):
        ma2ml_env.register_file(path)
    assert ma2ml_env.env_ids() == before


def test_a_file_that_is_no_text_or_not_there_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    for name in ("binary.yaml", "missing.yaml"):
        with pytest.raises(ValueError, match=name):
            ma2ml_env.register_file(tmp_path / name)


def test_an_unknown_id_or_setting_is_answered_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="did you mean 'ma2ml/digits-v0'"):
        ma2ml_env.make("ma2ml/digit-v0")
    with pytest.raises(ValueError, match="did you mean 'epochs'"):
        ma2ml_env.make("ma2ml/digits-v0", epoch=3)


def test_settings_reach_evaluator_network_and_reward_and_leave_the_registry_alone() -> None:
    env = ma2ml_env.make("ma2ml/digits-flops-v0", epochs=2, filters=4, constraint=123)
    assert env.evaluator.epochs == 2
    assert env.evaluator.network.filters == 4
    assert env.reward.constraint == 123
    assert ma2ml_env.make("ma2ml/digits-flops-v0").evaluator.epochs == 5
    for wrong in ({"epochs": 0}, {"epochs": "five"}, {"device": "tpu"}, {"threads": 0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            ma2ml_env.make("ma2ml/digits-v0", **wrong)


def test_a_definition_names_what_a_result_depends_on_and_nothing_else() -> None:
    definition = ma2ml_env.make("ma2ml/digits-v0").definition
    assert ma2ml_env.make("ma2ml/digits-flops-v0").definition == definition, "another reward, the same trainings"
    assert ma2ml_env.make("ma2ml/digits-v0", threads=2, retrain_epochs=3).definition == definition
    assert ma2ml_env.make("ma2ml/digits-v0", epochs=3).definition != definition
    assert ma2ml_env.make("ma2ml/digits-v0", filters=4).definition != definition
    assert ma2ml_env.make("ma2ml/synthetic-v0", noise=0.1).definition != ma2ml_env.make("ma2ml/synthetic-v0").definition


def test_the_digits_environment_is_the_one_that_its_stored_trainings_are_of() -> None:
    assert ma2ml_env.make("ma2ml/digits-v0").definition == "cfdc433452bbffc8"


def test_what_a_space_fixes_and_what_a_task_is_always_trained_with_are_part_of_a_definition() -> None:
    entry = registry.entry("ma2ml/imagenet200-600m-v0")
    other = registry.EnvEntry(
        entry.id, "", {**entry.agents, "hpo": {**entry.agents["hpo"], "batch_size": 32}}, entry.evaluator, entry.reward
    )
    assert entry.build().definition != other.build().definition
    plain = ma2ml_env.make("ma2ml/cifar10-v0", augmentation="none")
    assert plain.definition != ma2ml_env.make("ma2ml/cifar10-v0").definition


def test_choices_without_a_text_of_their_own_have_no_definition(tmp_path: Path) -> None:
    (tmp_path / "opaque.py").write_text(
        "from ma2ml_env import Decision, SearchSpace\n"
        "def space(): return SearchSpace((Decision('o', (object(), object())),), dict)\n"
    )
    sys.path.insert(0, str(tmp_path))
    try:
        file = tmp_path / "mine.yaml"
        file.write_text(
            "mine/opaque-v0:\n  summary: opaque\n  agents: {a: {kind: 'opaque:space'}}\n"
            "  evaluator: {kind: synthetic}\n  reward: {kind: accuracy}\n"
        )
        (entry,) = registry.read_entries(file)
        assert entry.build().definition == ""
    finally:
        sys.path.remove(str(tmp_path))
