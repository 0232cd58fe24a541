"""What a search evaluates first."""

from __future__ import annotations

import io
import itertools
import json
from pathlib import Path

import pytest
import yaml
from rich.console import Console

import ma2ml_env
from ma2ml_agents import agent_specs, learner_names, make_learner, run_search
from ma2ml_agents.search.warm_start import read_warm_start
from ma2ml_env import AutoMLEnv, Decision, Result, SearchSpace, published
from ma2ml_env.reward import accuracy
from ma2ml_env.trials import top_k

DIGITS = ma2ml_env.make("ma2ml/digits-v0")
CONSOLE = Console(file=io.StringIO())


def small_env() -> AutoMLEnv:
    spaces = {
        agent: SearchSpace(tuple(Decision(f"{agent}{i}", (0, 1, 2)) for i in range(3)), dict) for agent in ("a", "b")
    }

    def evaluate(pipeline, *, seed):
        return Result(sum(sum(pipeline[agent].values()) for agent in pipeline) / 12, 1, 1, 0.0)

    return AutoMLEnv(spaces, evaluate, accuracy)


def test_names_of_several_agents_are_combined_and_the_others_play_their_default() -> None:
    text = io.StringIO()
    actions = read_warm_start(["NASNet-A,AutoAugment-CIFAR10"], DIGITS, Console(file=text, width=400))
    architecture = published.action("NASNet-A", DIGITS, nearest=True)
    policies = published.actions("AutoAugment-CIFAR10", DIGITS, nearest=True)
    assert len(policies) == 5
    assert [a["aug"] for a in actions] == [tuple(policy) for policy in policies]
    assert {a["nas"] for a in actions} == {tuple(architecture)}
    assert {a["hpo"] for a in actions} == {DIGITS.search_spaces["hpo"].default}
    assert "the normal cell concatenates the unused states" in text.getvalue(), "what differs is said"
    subpolicies = [s for a in actions for s in DIGITS.search_spaces["aug"].decode(a["aug"]).subpolicies]
    assert subpolicies == list(published.architecture("AutoAugment-CIFAR10").subpolicies)


def test_several_names_of_one_agent_are_a_pipeline_each() -> None:
    actions = read_warm_start(["NASNet-A", "AmoebaNet-A,NASNet-A"], DIGITS, CONSOLE)
    assert [a["nas"] for a in actions] == [
        tuple(published.action(name, DIGITS, nearest=True)) for name in ("NASNet-A", "AmoebaNet-A")
    ], "each once"


@pytest.mark.parametrize("write", [json.dumps, yaml.safe_dump])
def test_a_file_says_pipelines_by_indices_or_by_choices(write, tmp_path: Path) -> None:
    env = small_env()
    file = tmp_path / "first.json"
    file.write_text(write([{"a": [1, 2, 0]}, {"b": {"b1": 2}}]))
    assert read_warm_start([str(file)], env, CONSOLE) == [
        {"a": (1, 2, 0), "b": (0, 0, 0)},
        {"a": (0, 0, 0), "b": (0, 2, 0)},
    ]


def test_the_log_of_another_run_gives_its_best(tmp_path: Path) -> None:
    env = small_env()
    trials = run_search(env, make_learner("random_search", agent_specs(env), seed=0), 60, out=tmp_path)
    found = read_warm_start([str(tmp_path / "trials.db")], env, CONSOLE)
    assert found == [trial.pipeline.action for trial in top_k(trials, 20)]


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("NASNet-B", "NASNet-A"),
        ("DARTS-V2", "no agent of this environment chooses"),
        ("missing.json", "cannot read"),
        ("missing.db", "there is no"),
        ("{a: [0, 0, 0]}", "a warm start is a list"),
        ("[{c: [0]}]", "no agent 'c'"),
        ("[{a: [0, 0, 3]}]", "3 is not in 0..2"),
        ("[{a: {a9: 0}}]", "no such decision: \\['a9'\\]"),
        ("[{a: [", "not valid YAML"),
    ],
)
def test_what_cannot_be_a_start_is_refused(word: str, says: str, tmp_path: Path) -> None:
    env = DIGITS if word[0].isupper() else small_env()
    if word[0] in "[{":
        (tmp_path / "first.yaml").write_text(word)
        word = str(tmp_path / "first.yaml")
    with pytest.raises(ValueError, match=says):
        read_warm_start([word], env, CONSOLE)


@pytest.mark.parametrize("name", [name for name in learner_names() if name != "smac"])
@pytest.mark.parametrize("window", [1, 5])
def test_every_learner_takes_a_warm_start_as_data_resumed_or_not(name: str, window: int, tmp_path: Path) -> None:
    env = small_env()
    first = [{"a": a, "b": (2, 2, 1)} for a in itertools.islice(itertools.product((0, 1, 2), repeat=3), 13)]

    def search(budget: int, **options):
        learner = make_learner(name, agent_specs(env), seed=0)
        return run_search(env, learner, budget, window=window, warm_start=first, **options)

    trials = search(40)
    assert [trial.pipeline.action for trial in trials[:13]] == first
    search(17, out=tmp_path)
    assert search(40, out=tmp_path) == trials


def test_what_the_warm_start_gave_is_learned_from() -> None:
    env = small_env()
    best = {"a": (2, 2, 2), "b": (2, 2, 2)}
    learner = make_learner("one_plus_one", agent_specs(env), seed=0)
    trials = run_search(env, learner, 10, warm_start=[best])
    for trial in trials[1:]:
        changed = sum(x != 2 for indices in trial.pipeline.action.values() for x in indices)
        assert changed >= 1, "a child of the best, not a random pipeline"
    assert sum(trial.reward for trial in trials) / 10 > 0.7


def test_a_warm_start_longer_than_the_budget_is_refused() -> None:
    env = small_env()
    action = {"a": (0, 0, 0), "b": (0, 0, 0)}
    with pytest.raises(ValueError, match="2 pipelines, the budget is 1"):
        run_search(env, make_learner("random_search", agent_specs(env), seed=0), 1, warm_start=[action, action])
