"""Every numbered convention, on every registered environment, in every form."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from small_games import four_agents, game

import ma2ml_env
from ma2ml_env import registry
from ma2ml_env.testing import check_env, forms_of, play, rollout
from ma2ml_env.testing.conventions import CONVENTIONS
from ma2ml_env.testing.forms import Remembered
from ma2ml_env.wrappers import TokensEnv

GAMES = {"one agent": lambda: game("hpo"), "three agents": game, "four agents": four_agents}
INSTANT = [
    env_id for env_id in ma2ml_env.env_ids() if "synthetic" in env_id or "surrogate" in env_id or "fcnet" in env_id
]
TASKS = {env_id: registry.entry(env_id).evaluator.get("task", {}) for env_id in ma2ml_env.env_ids()}
UNTRAINED = [env_id for env_id, task in TASKS.items() if task.get("kind", "").startswith(("cifar", "imagenet"))]
TRAINED = [env_id for env_id in ma2ml_env.env_ids() if env_id not in (*INSTANT, *UNTRAINED)]
FORMS = list(forms_of(game(), []))


class Costed:
    """Stands in for the training of images that are not here: real FLOPs and parameters, an accuracy drawn by lot."""

    def __init__(self, evaluator):
        self.cost = evaluator.cost

    def __call__(self, pipeline, *, seed):
        cost = self.cost(pipeline)
        drawn = np.random.default_rng(pipeline.random_seed(seed)).random()
        return ma2ml_env.Result(drawn, cost.flops, cost.params, seconds=0.0)


@cache
def stage(name):
    """Forms of an environment that remembers its results, and the pipelines to play: one where each takes seconds."""
    env = GAMES[name]() if name in GAMES else ma2ml_env.make(name)
    env.evaluator = Remembered(Costed(env.evaluator) if name in UNTRAINED else env.evaluator)
    if name in TRAINED:
        actions = [{agent: space.default for agent, space in env.search_spaces.items()}]
    else:
        rng = np.random.default_rng(0)
        actions = [{agent: space.sample(rng) for agent, space in env.search_spaces.items()} for _ in range(3)]
    return forms_of(env, actions), actions


@pytest.mark.parametrize("number", CONVENTIONS)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", [*GAMES, *INSTANT])
def test_a_form_keeps_a_convention(name, form, number):
    forms, actions = stage(name)
    CONVENTIONS[number](forms[form], actions)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", [*TRAINED, *UNTRAINED])
def test_a_form_of_a_trained_environment_keeps_the_conventions(name, form):
    forms, actions = stage(name)
    for check in CONVENTIONS.values():
        check(forms[form], actions)


@pytest.mark.parametrize("name", [*GAMES, *INSTANT, *TRAINED, *UNTRAINED])
def test_the_same_pipeline_gets_the_same_reward_in_every_form(name):
    forms, actions = stage(name)
    for action in actions:
        paid = {form: play(make(), action) for form, make in forms.items()}
        native = forms["native"]()
        expected = native.reward(native.evaluate(native.decode(action), seed=0))
        assert paid == dict.fromkeys(FORMS, expected)


@pytest.mark.parametrize("form", FORMS)
def test_the_seed_reaches_the_evaluation_and_stays(form):
    forms, actions = stage("three agents")
    made = forms[form]()
    native = forms["native"]()
    for seed, kept in ((0, 0), (3, 3), (None, 3), (4, 4), (None, 4)):
        expected = native.reward(native.evaluate(native.decode(actions[0]), seed=kept))
        assert play(made, actions[0], seed=seed) == expected
        assert made.last_trial.seed == kept


def random_episodes(form, episodes, seed):
    """All that a form says while its action spaces, seeded, are sampled from; masks are not respected."""
    for i, agent in enumerate(form.possible_agents):
        form.action_space(agent).seed(seed + i)
    for _ in range(episodes):
        yield form.reset(seed=seed)
        while form.agents:
            yield form.step({agent: form.action_space(agent).sample() for agent in form.agents})


@pytest.mark.parametrize("form", [form for form in FORMS if not form.startswith(("aec", "joint"))])
def test_two_copies_say_the_same_over_many_steps(form):
    make = stage("four agents")[0][form]
    pairs = list(zip(random_episodes(make(), 3, 7), random_episodes(make(), 3, 7), strict=True))
    assert len(pairs) == 3 * (6 if "tokens" in form else 2)
    for one, other in pairs:
        np.testing.assert_equal(one, other)


@pytest.mark.parametrize("form", FORMS)
def test_every_trial_reaches_the_log_whatever_the_form(form):
    seen = []
    env = four_agents(record=lambda trial: seen.append(trial.pipeline.action))
    rng = np.random.default_rng(1)
    actions = [{agent: space.sample(rng) for agent, space in env.search_spaces.items()} for _ in range(2)]
    made = forms_of(env, actions)[form]()
    (made if form == "native" else made.env).record = env.record
    for action in actions:
        for moment in rollout(made, action):
            for info in moment.infos.values():
                info.clear()
    assert seen == actions


@pytest.mark.parametrize("make", [game, four_agents])
def test_check_env_passes_ours_and_leaves_them_alone(make):
    env = make()
    evaluator = env.evaluator
    check_env(env)
    assert env.evaluator is evaluator
    assert env.last_trial is None


class SharesItsInfos(ma2ml_env.AutoMLEnv):
    def step(self, actions):
        *said, infos = super().step(actions)
        return (*said, dict.fromkeys(infos, infos["aug"]))


class PaysOneAgentLess(ma2ml_env.AutoMLEnv):
    def step(self, actions):
        observations, rewards, *said = super().step(actions)
        return observations, {**rewards, "aug": rewards["aug"] / 2}, *said


class TalksInInfos(ma2ml_env.AutoMLEnv):
    def reset(self, seed=None, options=None):
        observations, infos = super().reset(seed, options)
        return observations, {agent: {**info, "text": "hello"} for agent, info in infos.items()}


class LosesItsSeed(ma2ml_env.AutoMLEnv):
    def reset(self, seed=None, options=None):
        return super().reset(self.seed + 1 if seed is None else seed, options)


class MakesNewSpaces(ma2ml_env.AutoMLEnv):
    def action_space(self, agent):
        return type(super().action_space(agent))(self.search_spaces[agent].nvec)


class KeepsItsAgents(ma2ml_env.AutoMLEnv):
    def step(self, actions):
        agents, said = self.agents, super().step(actions)
        agents.clear()
        return said


class LeaksItsState(ma2ml_env.AutoMLEnv):
    def state(self):
        self._leaked = getattr(self, "_leaked", super().state())
        return self._leaked


@pytest.mark.parametrize(
    ("broken", "number"),
    [
        (MakesNewSpaces, 2),
        (KeepsItsAgents, 2),
        (SharesItsInfos, 3),
        (TalksInInfos, 3),
        (PaysOneAgentLess, 4),
        (LeaksItsState, 7),
        (LosesItsSeed, 9),
    ],
)
def test_check_env_names_the_convention_that_does_not_hold(broken, number):
    ours = game()
    env = broken(ours.search_spaces, ours.evaluator, ours.reward)
    with pytest.raises(AssertionError, match=f"convention {number}:"):
        check_env(env)


def test_check_env_refuses_what_is_not_an_environment_of_ours():
    with pytest.raises(ValueError, match="not a TokensEnv"):
        check_env(TokensEnv(game()))
