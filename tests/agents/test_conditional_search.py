"""Learners and searches where some decisions are active under a condition only."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from optuna.trial import TrialState

from ma2ml_agents import (
    MA2ML,
    AgentSpec,
    RandomSearch,
    agent_specs,
    learner_names,
    make_learner,
    run_search,
)
from ma2ml_agents.building_blocks.joint_action import Layout
from ma2ml_agents.building_blocks.new_proposals import NewProposals
from ma2ml_agents.building_blocks.policy import make_policy
from ma2ml_agents.learner import Actions, Batch, Observations
from ma2ml_agents.learners.regularized_evolution import RegularizedEvolution
from ma2ml_agents.learners.smac import SMAC, make_space
from ma2ml_agents.learners.tpe import TPE
from ma2ml_agents.search import loop as search_loop
from ma2ml_agents.search.warm_start import default_action, read_warm_start
from ma2ml_env import AutoMLEnv, Decision, Pipeline, Result, SearchSpace
from ma2ml_env.reward import accuracy

DEPTH = Decision("depth", (0, 1, 2), ordered=True)
KIND = Decision("kind", ("plain", "inverted"), active={"depth": (1, 2)})
EXPANSION = Decision("expansion", (2, 3, 4), ordered=True, active={"kind": ("inverted",)})
OPTIMIZER = Decision("optimizer", ("sgd", "adam"))
NESTEROV = Decision("nesterov", (False, True), active={"optimizer": ("sgd",)})
PIPELINES = (1 + 2 * (1 + 3)) * (2 + 1)
"""By hand: depth 0, or two depths of a plain block or of three expansions; SGD with or without Nesterov, or Adam."""


class Counted:
    """A closed form that notes the pipelines it is asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, pipeline: Pipeline, *, seed: int) -> Result:
        self.asked.append(pipeline.key)
        depth, kind, expansion = pipeline.action["nas"]
        return Result((depth + kind + expansion + sum(pipeline.action["hpo"])) / 8, flops=1, params=1, seconds=0.0)


def game() -> AutoMLEnv:
    spaces = {
        "nas": SearchSpace((DEPTH, KIND, EXPANSION), dict),
        "hpo": SearchSpace((OPTIMIZER, NESTEROV), dict, default=(1, 1)),
    }
    return AutoMLEnv(spaces, Counted(), accuracy)


LAYOUT = Layout(agent_specs(game()))
ALL = torch.tensor(list(itertools.product(*map(range, LAYOUT.nvec))))
CANONICAL = torch.unique(torch.from_numpy(LAYOUT.canonical(ALL.numpy())), dim=0)


class Careless:
    """Proposes all raw actions one after the other, inactive decisions included."""

    batch_size, on_policy = 1, False

    def __init__(self) -> None:
        self.next, self.learned = 0, []

    def act(self, observations: Observations) -> Actions:
        rows = len(observations["nas"])
        joint = ALL[self.next : self.next + rows].numpy()
        self.next += rows
        return {"nas": joint[:, :3], "hpo": joint[:, 3:]}

    def update(self, batch: Batch) -> dict[str, float]:
        self.learned.append([*batch.actions["nas"][0].tolist(), *batch.actions["hpo"][0].tolist()])
        return {}

    def state_dict(self):
        return {"next": self.next}

    def load_state_dict(self, state):
        self.next = state["next"]


def test_specs_say_what_decisions_are() -> None:
    nas, hpo = agent_specs(game())
    assert nas.decisions == ("depth", "kind", "expansion")
    assert nas.choices == ((0, 1, 2), ("plain", "inverted"), (2, 3, 4))
    assert nas.ordered == (True, False, True)
    assert nas.active == ((), ((0, (1, 2)),), ((1, (1,)),))
    assert hpo.active == ((), ((0, (0,)),))
    assert len({nas, hpo}) == 2, "they can be hashed"


def test_specs_without_meanings_have_numbered_decisions_that_are_always_active() -> None:
    layout = Layout([AgentSpec("a", (2, 3), 1), AgentSpec("b", (2,), 1)])
    assert layout.names == ("a.0", "a.1", "b.0")
    assert layout.choices == ((0, 1), (0, 1, 2), (0, 1))
    assert layout.ordered.tolist() == [False] * 3
    assert not layout.conditional
    joint = layout.uniform(10, np.random.default_rng(0))
    assert layout.active(joint).all()
    assert (layout.canonical(joint) == joint).all()


def test_specs_whose_meanings_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="agent 'a' has 2 decisions, so ordered requires as many entries, not 1"):
        AgentSpec("a", (2, 3), 1, ordered=(True,))


def test_a_layout_agrees_with_the_environment() -> None:
    env = game()
    for row, canonical in zip(ALL.tolist(), LAYOUT.canonical(ALL.numpy()).tolist(), strict=True):
        action = env.decode({"nas": row[:3], "hpo": row[3:]}).action
        assert [*action["nas"], *action["hpo"]] == canonical
    assert len(CANONICAL) == PIPELINES
    assert LAYOUT.names == ("nas.depth", "nas.kind", "nas.expansion", "hpo.optimizer", "hpo.nesterov")
    assert LAYOUT.ordered.tolist() == [True, False, True, False, False]
    assert LAYOUT.choices[1] == ("plain", "inverted")


def test_repeats_of_one_pipeline_count_and_get_its_result_without_another_evaluation() -> None:
    env, learner = game(), Careless()
    trials = run_search(env, learner, len(ALL))
    assert [trial.number for trial in trials] == list(range(len(ALL)))
    assert len(env.evaluator.asked) == len(set(env.evaluator.asked)) == PIPELINES
    assert learner.learned == LAYOUT.canonical(ALL.numpy()).tolist(), "a learner learns of the canonical form"


@pytest.mark.parametrize("name", learner_names())
def test_what_a_learner_proposes_is_what_it_learns_of(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    env = game()
    learner = make_learner(name, agent_specs(env), seed=0)
    proposed, learned = [], []
    act, update = learner.act, learner.update

    def noting_act(observations: Observations) -> Actions:
        actions = act(observations)
        proposed.extend(LAYOUT.join(actions).tolist())
        return actions

    def noting_update(batch: Batch) -> dict[str, float]:
        learned.extend(LAYOUT.join(batch.actions).tolist())
        return dict(update(batch))

    monkeypatch.setattr(learner, "act", noting_act)
    monkeypatch.setattr(learner, "update", noting_update)
    run_search(env, learner, 20)
    assert learned
    assert learned == proposed[: len(learned)]


@pytest.mark.parametrize("name", ["random_search", "regularized_evolution", "one_plus_one", "ma2ml", "tpe"])
def test_a_search_goes_on_as_if_it_had_not_been_interrupted(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_loop, "CHECKPOINT_SECONDS", -1.0)

    def keys(budget: int, out: Path | None) -> list[str]:
        env = game()
        trials = run_search(env, make_learner(name, agent_specs(env), seed=1), budget, out=out, window=2)
        return [trial.pipeline.key for trial in trials]

    whole = keys(20, None)
    keys(11, tmp_path)
    assert keys(20, tmp_path) == whole


@pytest.mark.parametrize("kind", ["independent", "lstm"])
@pytest.mark.parametrize("single_agent", [False, True])
def test_probabilities_of_all_pipelines_sum_to_one(kind: str, single_agent: bool) -> None:
    layout = Layout(agent_specs(game()), single_agent=single_agent)
    generator = torch.Generator().manual_seed(0)
    policy = make_policy(kind, layout, generator).double()
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
        probabilities = policy.log_prob(CANONICAL).sum(dim=1).exp()
        samples = policy.sample(20_000, generator)
    assert float(probabilities.sum()) == pytest.approx(1.0)
    counts = (samples[:, None] == CANONICAL).all(dim=2).sum(dim=0)
    assert int(counts.sum()) == len(samples), "all samples are canonical"
    assert counts / len(samples) == pytest.approx(probabilities, abs=0.02)


def test_entropy_and_divergence_are_those_of_pipelines() -> None:
    generator = torch.Generator().manual_seed(0)
    policy, other = (make_policy("independent", LAYOUT, generator).double() for _ in range(2))
    with torch.no_grad():
        for parameter in (*policy.parameters(), *other.parameters()):
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
        samples = policy.sample(50_000, generator)
        log_pi, log_rho = policy.log_prob(CANONICAL).sum(dim=1), other.log_prob(CANONICAL).sum(dim=1)
        entropy, divergence = policy.entropy(samples).sum(), policy.kl(other, samples).sum()
    assert float(entropy) == pytest.approx(float(-(log_pi.exp() * log_pi).sum()), abs=0.02)
    assert float(divergence) == pytest.approx(float((log_pi.exp() * (log_pi - log_rho)).sum()), abs=0.02)


def test_a_mutation_always_makes_another_pipeline_and_awakes_uniform_choices() -> None:
    learner = RegularizedEvolution(agent_specs(game()), seed=0)
    parent = np.zeros(5, dtype=np.int64)
    assert learner.mutable_in(parent).tolist() == [0, 3, 4]
    children = {tuple(learner.mutate(parent, np.array([0])).tolist()) for _ in range(500)}
    assert children == {(d, k, e, 0, 0) for d in (1, 2) for k, e in [(0, 0), (1, 0), (1, 1), (1, 2)]}
    for row in CANONICAL.numpy():
        for position in learner.mutable_in(row):
            assert not np.array_equal(learner.mutate(row, np.array([position])), row)


def test_new_proposals_reach_every_pipeline_and_know_them_by_one_form() -> None:
    rng = np.random.default_rng(0)
    proposals = NewProposals(LAYOUT, candidates=64)
    drawn = proposals.draw(lambda rows: rng.integers(LAYOUT.nvec, size=(rows, len(LAYOUT))), PIPELINES, rng.random)
    assert np.array_equal(np.unique(drawn, axis=0), CANONICAL.numpy())
    proposals.learn(drawn)
    state = proposals.state_dict()
    assert (state["open"], sorted(state["known"])) == ([], CANONICAL.tolist())


def test_ma2ml_evaluates_every_pipeline_before_it_repeats_one() -> None:
    env = game()
    run_search(env, MA2ML(agent_specs(env), seed=0), 3 * PIPELINES)
    assert len(set(env.evaluator.asked[:PIPELINES])) == PIPELINES


def test_an_optimizer_of_a_library_recognizes_its_own_proposals() -> None:
    env = game()
    learner = TPE(agent_specs(env), TPE.Config(distinct=False), seed=0)
    run_search(env, learner, 30)
    assert len(learner._study.trials) == 30, "none was added as somebody else's"


def test_tpe_has_active_decisions_only_as_parameters() -> None:
    env = game()
    learner = TPE(agent_specs(env), TPE.Config(warmup=4), seed=0)
    trials = run_search(env, learner, 20, warm_start=[{"nas": (1, 0, 0), "hpo": (1, 0)}])
    params = [t.params for t in learner._study.get_trials(states=[TrialState.COMPLETE])]
    joint = np.array([[*t.pipeline.action["nas"], *t.pipeline.action["hpo"]] for t in trials])
    for row, active, asked in zip(joint, LAYOUT.active(joint), params, strict=True):
        assert asked == {str(place): row[place] for place in np.flatnonzero(active)}


def test_smac_has_active_decisions_only_as_parameters() -> None:
    env = game()
    learner = SMAC(agent_specs(env), SMAC.Config(warmup=4, challengers=50, local_searches=2), seed=0)
    trials = run_search(env, learner, 20, warm_start=[{"nas": (1, 0, 0), "hpo": (1, 0)}])
    joint = np.array([[*t.pipeline.action["nas"], *t.pipeline.action["hpo"]] for t in trials])
    asked = {frozenset(config.items()) for config in learner._smac.runhistory.get_configs()}
    assert asked == {
        frozenset((str(place), int(row[place])) for place in np.flatnonzero(active))
        for row, active in zip(joint, LAYOUT.active(joint), strict=True)
    }


def test_the_conditions_of_a_space_are_those_of_its_decisions() -> None:
    space = make_space(LAYOUT, seed=0)
    drawn = [dict(config) for config in space.sample_configuration(300)]
    found = {tuple(int(config.get(str(place), 0)) for place in range(len(LAYOUT))) for config in drawn}
    assert found == {tuple(row) for row in CANONICAL.tolist()}
    for config in drawn:
        row = np.array([[int(config.get(str(place), 0)) for place in range(len(LAYOUT))]])
        assert set(config) == {str(place) for place in np.flatnonzero(LAYOUT.active(row)[0])}


def test_random_search_proposes_canonical_actions() -> None:
    specs = agent_specs(game())
    actions = RandomSearch(specs, seed=0).act({spec.name: np.zeros((500, 2), dtype=np.float32) for spec in specs})
    joint = LAYOUT.join(actions)
    assert np.array_equal(np.unique(joint, axis=0), CANONICAL.numpy())


def test_a_warm_start_may_leave_out_what_is_inactive(tmp_path: Path) -> None:
    from rich.console import Console

    env = game()
    file = tmp_path / "first.yaml"
    file.write_text("- nas: {depth: 1, kind: inverted}\n- hpo: {optimizer: sgd}\n- nas: {depth: 0, kind: inverted}\n")
    actions = read_warm_start([str(file)], env, Console(quiet=True))
    assert default_action(env) == {"nas": (0, 0, 0), "hpo": (1, 0)}
    assert actions[0] == {"nas": (1, 1, 0), "hpo": (1, 0)}
    assert actions[1] == {"nas": (0, 0, 0), "hpo": (0, 1)}, "what becomes active has the default's value"
    assert actions[2] == {"nas": (0, 0, 0), "hpo": (1, 0)}
