"""`ma2ml importance`: known games, fitted trials, and the command from a run's folder to the picture."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

import ma2ml_env
from ma2ml_agents import agent_specs, make_learner, run_search
from ma2ml_agents.commands import main
from ma2ml_agents.importance import Choices, enumerate_all, estimate
from ma2ml_agents.importance.games import true_reward
from ma2ml_agents.importance.shapley import explained_variances, harsanyi_dividends, shapley_effects, shapley_values
from ma2ml_agents.importance.trees import fit_trees
from ma2ml_env import AutoMLEnv, Decision, Result, SearchSpace, Trial
from ma2ml_env.reward import accuracy

Formula = Callable[[np.ndarray], np.ndarray]


def spaces(**sizes: tuple[int, ...]) -> dict[str, SearchSpace]:
    return {
        agent: SearchSpace(tuple(Decision(f"x{i}", tuple(range(n))) for i, n in enumerate(nvec)), dict)
        for agent, nvec in sizes.items()
    }


THREE = spaces(aug=(3, 2), nas=(4, 3), hpo=(5,))
CHOICES = Choices.of(THREE)


def additive(x: np.ndarray) -> np.ndarray:
    return (x @ np.array([1.0, 0.0, 2.0, 0.5, 1.0]))[None]


def interacting(x: np.ndarray) -> np.ndarray:
    return ((x[:, 0] == 1) * (x[:, 2] == 2) + 0.1 * x[:, 4] * x[:, 3] + 0.2 * x[:, 1])[None]


def smooth(x: np.ndarray) -> np.ndarray:
    return (0.2 * x[:, 0] * x[:, 4] + 0.4 * x[:, 2] + 0.3 * x[:, 1])[None]


def table(formula: Formula, shape: tuple[int, ...]) -> np.ndarray:
    return formula(np.indices(CHOICES.nvec).reshape(5, -1).T).reshape(shape)


class Instant:
    """An evaluator whose results are a formula of all indices."""

    def __init__(self, formula: Formula) -> None:
        self.formula = formula

    def expected(self, pipeline: ma2ml_env.Pipeline) -> Result:
        indices = np.array([[index for action in pipeline.action.values() for index in action]])
        return Result(float(self.formula(indices)[0, 0]) / 20, flops=0, params=0, seconds=0.0)

    def __call__(self, pipeline: ma2ml_env.Pipeline, *, seed: int) -> Result:
        return self.expected(pipeline)


def random_trials(env: AutoMLEnv, count: int) -> list[Trial]:
    rng = np.random.default_rng(0)
    pipelines = [env.decode({a: s.sample(rng) for a, s in env.search_spaces.items()}) for _ in range(count)]
    results = [env.evaluate(pipeline) for pipeline in pipelines]
    return [Trial(i, 0, p, r, env.reward(r)) for i, (p, r) in enumerate(zip(pipelines, results, strict=True))]


def test_the_shapley_value_is_the_mean_contribution_over_all_orders() -> None:
    worth = np.random.default_rng(0).normal(size=8)
    gains = np.zeros(3)
    for order in permutations(range(3)):
        coalition = 0
        for player in order:
            gains[player] += (worth[coalition | 1 << player] - worth[coalition]) / 6
            coalition |= 1 << player
    assert shapley_values(worth) == pytest.approx(gains)


def test_the_dividends_of_all_parts_of_a_coalition_sum_to_its_worth() -> None:
    worth = np.random.default_rng(0).normal(size=16)
    dividends = harsanyi_dividends(worth)
    for coalition in range(16):
        parts = [part for part in range(16) if part & coalition == part]
        assert dividends[parts].sum() == pytest.approx(worth[coalition])


def test_an_interaction_is_the_variance_that_a_two_way_analysis_leaves_to_it() -> None:
    scores = np.random.default_rng(0).normal(size=(4, 5))
    rows, columns = scores.mean(axis=1, keepdims=True), scores.mean(axis=0, keepdims=True)
    left = scores - rows - columns + scores.mean()
    assert harsanyi_dividends(explained_variances(scores))[3] == pytest.approx((left**2).mean())


def test_sampled_interactions_agree_with_enumeration_and_an_absent_one_is_nil() -> None:
    exact, sampled = enumerate_all(CHOICES, interacting), estimate(CHOICES, interacting, samples=4000)
    wanted = {effect.agents: effect.share for effect in exact.interactions}
    assert set(wanted) == {("aug", "nas"), ("aug", "hpo"), ("nas", "hpo"), ("aug", "nas", "hpo")}
    assert wanted["aug", "hpo"] == pytest.approx(0.0, abs=1e-12)
    assert min(wanted["aug", "nas"], wanted["nas", "hpo"]) > 0.03
    alone = sum(effect.alone for effect in exact.agents.values())
    assert alone + sum(wanted.values()) == pytest.approx(1.0)
    for effect in sampled.interactions:
        assert effect.share == pytest.approx(wanted[effect.agents], abs=0.02)
        assert effect.low <= effect.share <= effect.high


def test_in_an_additive_game_every_share_is_the_variance_of_ones_own_part_and_nothing_is_together() -> None:
    variances = np.array([1.0, 0.0, 2.0, 0.5, 1.0]) ** 2 * (CHOICES.nvec**2 - 1) / 12
    wanted = {agent: variances[CHOICES.owner == i].sum() / variances.sum() for i, agent in enumerate(CHOICES.agents)}
    exact, sampled = enumerate_all(CHOICES, additive), estimate(CHOICES, additive)
    for agent, share in wanted.items():
        assert exact.agents[agent].share == pytest.approx(share)
        assert exact.agents[agent].together == pytest.approx(0.0, abs=1e-12)
        assert sampled.agents[agent].share == pytest.approx(share, abs=0.03)
    for effect in exact.decisions:
        agent = CHOICES.agents.index(effect.agent)
        place = np.flatnonzero(CHOICES.owner == agent)[int(effect.name[1:])]
        assert effect.first == pytest.approx(effect.total)
        assert effect.total == pytest.approx(variances[place] / variances.sum())


def test_in_an_interacting_game_sampling_agrees_with_enumeration() -> None:
    exact, sampled = enumerate_all(CHOICES, interacting), estimate(CHOICES, interacting, samples=4000)
    shares = shapley_effects(table(interacting, (6, 12, 5)), CHOICES.agents)
    for agent, share in shares.items():
        assert exact.agents[agent].share == pytest.approx(share)
        assert exact.agents[agent].together > 0.03
        found = sampled.agents[agent]
        assert found.share == pytest.approx(share, abs=0.015)
        assert found.alone == pytest.approx(exact.agents[agent].alone, abs=0.03)
        assert found.low <= found.share <= found.high
    totals = {(d.agent, d.name): d for d in exact.decisions}
    for effect in sampled.decisions:
        wanted = totals[effect.agent, effect.name]
        assert effect.total == pytest.approx(wanted.total, abs=0.03)
        assert effect.first == pytest.approx(wanted.first, abs=0.015)


def test_sampled_shares_sum_to_one_and_an_agent_without_influence_has_none() -> None:
    found = estimate(CHOICES, lambda x: x[None, :, 2] * 1.0 * x[None, :, 4], samples=50).agents
    assert sum(effect.share for effect in found.values()) == pytest.approx(1.0)
    assert (found["aug"].share, found["aug"].low, found["aug"].high) == (0.0, 0.0, 0.0)


def test_the_95_percent_interval_holds_the_truth_in_most_samples() -> None:
    truth = enumerate_all(CHOICES, interacting).agents["nas"].share
    found = [estimate(CHOICES, interacting, samples=60, seed=seed).agents["nas"] for seed in range(40)]
    assert sum(effect.low <= truth <= effect.high for effect in found) >= 33


def test_models_that_disagree_widen_the_interval() -> None:
    def agreeing(x: np.ndarray) -> np.ndarray:
        return additive(x).repeat(2, axis=0)

    def disagreeing(x: np.ndarray) -> np.ndarray:
        return np.concatenate([additive(x) + 4.0 * x[None, :, 0], additive(x) - 4.0 * x[None, :, 0]])

    sure, unsure = (estimate(CHOICES, score).agents["aug"] for score in (agreeing, disagreeing))
    assert sure.share == pytest.approx(unsure.share)
    assert unsure.high - unsure.low > 3 * (sure.high - sure.low)


@pytest.mark.parametrize("how", [enumerate_all, estimate])
def test_a_game_in_which_all_pipelines_score_the_same_is_refused(how: Callable[..., object]) -> None:
    with pytest.raises(ValueError, match=r"every pipeline scores 0\.5; scores must differ"):
        how(CHOICES, lambda x: np.full((1, len(x)), 0.5))


def test_too_many_agents_and_too_few_samples_are_refused() -> None:
    many = Choices.of(spaces(**{f"a{i}": (2,) for i in range(11)}))
    with pytest.raises(ValueError, match="at most 10 agents are supported, not 11"):
        estimate(many, lambda x: x.sum(axis=1)[None] * 1.0)
    with pytest.raises(ValueError, match="samples must be at least 2, not 1"):
        estimate(CHOICES, additive, samples=1)


def test_trees_fitted_to_trials_find_what_the_game_is_made_of() -> None:
    env = AutoMLEnv(THREE, Instant(smooth), accuracy)
    trees = fit_trees(env, random_trials(env, 250))
    truth, told = enumerate_all(CHOICES, true_reward(env)), estimate(CHOICES, trees.score, samples=400)
    assert trees.r2 > 0.9
    for agent, effect in told.agents.items():
        assert effect.share == pytest.approx(truth.agents[agent].share, abs=0.05)
    totals = {(d.agent, d.name): d.total for d in truth.decisions}
    for decision in told.decisions:
        assert decision.total == pytest.approx(totals[decision.agent, decision.name], abs=0.05)


def test_trees_say_that_they_cannot_predict_pure_noise() -> None:
    noise = np.random.default_rng(1).random(10_000)
    env = AutoMLEnv(THREE, lambda pipeline, seed: Result(noise[int(pipeline.key, 16) % 10_000], 0, 0, 0.0), accuracy)
    assert fit_trees(env, random_trials(env, 150)).r2 < 0.1


def test_a_surrogate_is_scored_without_its_noise() -> None:
    env = ma2ml_env.make("ma2ml/digits-flops-surrogate-v0")
    choices, rng = Choices.of(env.search_spaces), np.random.default_rng(0)
    pipelines = rng.integers(choices.nvec, size=(4, len(choices.nvec)))
    rows = [{agent: chosen[i] for agent, chosen in choices.split(pipelines).items()} for i in range(4)]
    assert true_reward(env)(pipelines)[0] == pytest.approx([env.reward(env.expected(env.decode(r))) for r in rows])


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    command = f"train --algo random_search --env ma2ml/synthetic-v0 --budget 60 --executor inline --out {folder}"
    assert main([*command.split(), "--finalists", "0", "--set", "pairs_within=0"]) == 0
    return folder


def test_a_runs_folder_becomes_a_table_a_file_and_a_picture(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["importance", str(run), "--samples", "30"]) == 0
    said = capsys.readouterr().out
    for words in ("ma2ml/synthetic-v0", "fitted to 60 pipelines", "R2", "with others", "total effect", "warning:"):
        assert words in said
    stored = json.loads((run / "importance.json").read_text())
    assert list(stored["agents"]) == ["aug", "nas", "hpo"]
    assert sum(agent["share"] for agent in stored["agents"].values()) == pytest.approx(1.0)
    assert len(stored["decisions"]) == 89
    assert sorted(len(effect["agents"]) for effect in stored["interactions"]) == [2, 2, 2, 3]
    totals = [decision["total"] for decision in stored["decisions"]]
    assert totals == sorted(totals, reverse=True)
    assert stored["r2"] < 0.5
    assert "too little" in stored["warning"]
    assert (run / "importance.png").read_bytes().startswith(b"\x89PNG")


def test_a_trial_log_alone_needs_the_name_of_its_environment(tmp_path: Path, capsys) -> None:
    env = ma2ml_env.make("ma2ml/synthetic-v0")
    run_search(env, make_learner("random_search", agent_specs(env), seed=0), 25, out=tmp_path / "logs")
    log = str(tmp_path / "logs" / "trials.db")
    assert main(["importance", log]) == 2
    assert "name it by --env" in capsys.readouterr().err
    assert main(["importance", log, "--env", "ma2ml/digits-v0"]) == 2
    assert "was evaluated under the definition" in capsys.readouterr().err
    assert main(["importance", log, "--env", env.name, "--samples", "20", "--out", str(tmp_path / "seen")]) == 0
    assert {path.name for path in (tmp_path / "seen").iterdir()} == {"importance.json", "importance.png"}


TABLE_ENV = """
mine/table-v0:
  summary: A table.
  agents:
    nas: {{kind: tabular, file: {file}, agent: nas}}
    hpo: {{kind: tabular, file: {file}, agent: hpo}}
  evaluator: {{kind: tabular, file: {file}}}
  reward: {{kind: accuracy}}
"""


def test_pipelines_that_differ_in_inactive_decisions_are_counted_once() -> None:
    stage = [Decision("depth", (0, 1, 2)), Decision("kind", ("plain", "inverted"), active={"depth": [1, 2]})]
    choices = Choices.of({"nas": SearchSpace(stage, dict), "hpo": SearchSpace([Decision("lr", (0.1, 0.2))], dict)})
    assert choices.pipelines == (1 + 2 * 2) * 2
    assert choices.size == 3 * 2 * 2


def test_a_table_of_ones_own_gives_exact_shares(tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.setattr("ma2ml_env.registry._entries", dict(ma2ml_env.registry._entries))
    scores = np.random.default_rng(0).random((3, 4)).round(3)
    rows = [f"{d},{lr},{scores[d, lr]}" for d in range(3) for lr in range(4)]
    (tmp_path / "mine.csv").write_text("\n".join(["nas.depth,hpo.lr,accuracy", *rows]) + "\n")
    (tmp_path / "mine.yaml").write_text(TABLE_ENV.format(file=tmp_path / "mine.csv"))
    options = ["--registry", str(tmp_path / "mine.yaml"), "--out", str(tmp_path / "out")]
    assert main(["importance", "mine/table-v0", *options]) == 0
    assert "exact, from all 12 pipelines" in capsys.readouterr().out
    stored = json.loads((tmp_path / "out" / "importance.json").read_text())
    shares = {agent: effect["share"] for agent, effect in stored["agents"].items()}
    assert shares == pytest.approx(shapley_effects(scores, ["nas", "hpo"]))
    assert (stored["r2"], stored["warning"]) == (None, None)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("ma2ml/synthetik-v0", "did you mean 'ma2ml/synthetic-v0'?"),
        ("runs/nowhere", "there is no run runs/nowhere"),
        ("ma2ml/digits-v0", "pass the folder or the trials.db of a run on it"),
    ],
)
def test_what_is_neither_a_run_nor_an_instant_environment_is_refused(argument: str, message: str, capsys) -> None:
    assert main(["importance", argument]) == 2
    assert message in capsys.readouterr().err


def test_no_trials_and_too_few_trials_are_refused(tmp_path: Path, capsys) -> None:
    env = ma2ml_env.make("ma2ml/synthetic-v0")
    assert main(["importance", str(tmp_path), "--env", env.name]) == 2
    assert "there are no trials in" in capsys.readouterr().err
    run_search(env, make_learner("random_search", agent_specs(env), seed=0), 5, out=tmp_path)
    assert main(["importance", str(tmp_path), "--env", env.name]) == 2
    assert "at least 20 distinct pipelines, not 5" in capsys.readouterr().err


def test_a_damaged_configuration_is_refused(run: Path, capsys) -> None:
    (run / "config.json").write_text('{"run": {"environment": {"id": 3}}}')
    assert main(["importance", str(run)]) == 2
    assert "is damaged or not a run's" in capsys.readouterr().err


def test_trials_that_all_have_one_reward_are_refused() -> None:
    env = AutoMLEnv(THREE, lambda pipeline, seed: Result(0.5, 0, 0, 0.0), accuracy)
    with pytest.raises(ValueError, match=r"have the reward 0\.5; they must differ"):
        fit_trees(env, random_trials(env, 40))
