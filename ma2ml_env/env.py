"""The environment: a joint action is one pipeline, and its evaluation yields the shared reward."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from gymnasium.spaces import Box, MultiDiscrete
from numpy.typing import NDArray
from pettingzoo import ParallelEnv

from ma2ml_env.errors import MA2MLError, UnsupportedError
from ma2ml_env.evaluator import Evaluator, NoiseFree, Priced
from ma2ml_env.search_space import SearchSpace, decode_joint
from ma2ml_env.types import AgentID, Cost, Pipeline, Result, RewardFn, Trial, check_seed

INFO_KEYS = ("accuracy", "flops", "params", "failed")
RENDER_MODES = ("ansi", "rgb_array")
NO_EPISODE = "no episode is going on: call reset() before step(); one pipeline is one episode"

Observation = NDArray[np.float32]


class AutoMLEnv(ParallelEnv[AgentID, Observation, Any]):  # type: ignore[misc]  # PettingZoo has no types
    """Environment for the search of a whole machine-learning pipeline, one agent per module.

    | Import             | `env = ma2ml_env.make("ma2ml/digits-v0")`                         |
    |--------------------|-------------------------------------------------------------------|
    | Agents             | one per module; `aug`, `nas`, `hpo` in the image environments     |
    | Parallel API       | yes                                                               |
    | Actions            | discrete                                                          |
    | Action shape       | `MultiDiscrete`, one number per decision of the agent             |
    | Observation shape  | `(agents,)`, float32                                              |
    | Observation values | [0, 1]                                                            |
    | State shape        | `(2,)`, float32                                                   |
    | State values       | [0, 1]                                                            |
    | Reward             | shared, paid to every agent                                       |

    Each agent chooses its module of a machine-learning pipeline, all at once and without seeing the
    others' choices. The pipeline is evaluated (in the image environments: a network is built and
    trained), and all agents are paid the same reward. One pipeline is one episode.

    **Observation.** The agent's role, one-hot over `possible_agents`. It never changes: the game is a
    one-step cooperative one, and observations are there because policies are written pi_i(A_i | S_i).

    **Action.** One index per decision. `env.search_spaces[agent].decisions` lists them. Int,
    list, NumPy scalar and NumPy array of any integer type are accepted.

    **Reward.** A pure function of (environment, seed, pipeline), returned by `env.reward(result)`. A failed
    pipeline is paid 0.

    **Infos.** Numbers only, the same keys at reset and step: accuracy, flops (multiply-accumulates of one
    image), params, failed. Text and time are in `env.last_trial`.

    **Seed.** The last non-None `reset(seed=)`, else 0. A step never advances it.

    Args:
        search_spaces: search space of each agent, {agent: search space}, in the order of the agents.
        evaluator: any callable `(pipeline, *, seed) -> Result`.
        reward: from a result to a float.
        render_mode: `None`, `"ansi"` (words) or `"rgb_array"` (a picture).
        name: the environment's id, used in metadata and messages.
        record: called with every trial that a step produced, to keep a log; may be replaced later.
        definition: names what a result depends on; stored with every trial. Empty where it is not known.
        draw: turns (environment, last trial or None) into an RGB array; what `rgb_array` needs.

    Raises:
        ValueError: for an unknown render mode, or no agent.

    Source: MA2ML's agents, joint action and shared reward, but not the observation.
    """

    metadata: dict[str, Any]

    def __init__(
        self,
        search_spaces: Mapping[AgentID, SearchSpace],
        evaluator: Evaluator,
        reward: RewardFn,
        *,
        render_mode: str | None = None,
        name: str = "ma2ml/custom-v0",
        definition: str = "",
        record: Callable[[Trial], None] | None = None,
        draw: Callable[[AutoMLEnv, Trial | None], NDArray[np.uint8]] | None = None,
    ) -> None:
        if render_mode not in (None, *RENDER_MODES):
            raise MA2MLError(f"unknown render_mode {render_mode!r}; it is None or one of {list(RENDER_MODES)}")
        if render_mode == "rgb_array" and draw is None:
            raise MA2MLError("render_mode 'rgb_array' needs `draw`, a function from (env, trial) to an RGB array")
        if not search_spaces:
            raise MA2MLError("an environment needs at least one agent")
        self.name = name
        self.definition = definition
        self.metadata = {
            "name": name.rpartition("/")[2].replace("-", "_"),
            "render_modes": list(RENDER_MODES),
            "is_parallelizable": True,
        }
        self.render_mode = render_mode
        self.search_spaces: dict[AgentID, SearchSpace] = dict(search_spaces)
        self.evaluator = evaluator
        self.reward = reward
        self.possible_agents = list(self.search_spaces)
        self.agents: list[AgentID] = []
        self.last_trial: Trial | None = None
        self.state_space = Box(0.0, 1.0, (2,), np.float32)
        self.record = record
        self._draw = draw
        self._seed = 0
        self._trials = 0
        self._observation_spaces = {
            a: Box(0.0, 1.0, (len(self.possible_agents),), np.float32) for a in self.possible_agents
        }

    @property
    def evaluation_seed(self) -> int:
        """Seed of the evaluations: the last one given to `reset`, else 0."""
        return self._seed

    def observation_space(self, agent: AgentID) -> Box:
        """The space of `agent`'s observations, the same object at every call."""
        return self._observation_spaces[agent]

    def action_space(self, agent: AgentID) -> MultiDiscrete:
        """The space of `agent`'s actions, the same object at every call."""
        return self.search_spaces[agent].action_space

    @property
    def observation_spaces(self) -> dict[AgentID, Box]:
        """All observation spaces, in a fresh dict."""
        return dict(self._observation_spaces)

    @property
    def action_spaces(self) -> dict[AgentID, MultiDiscrete]:
        """All action spaces, in a fresh dict."""
        return {agent: space.action_space for agent, space in self.search_spaces.items()}

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[AgentID, Observation], dict[AgentID, dict[str, float]]]:
        """Starts an episode.

        Args:
            seed: seeds the evaluation of pipelines, from 0 to 2**63 - 1; None keeps the seed as it is.
            options: not used.

        Returns:
            Observations and infos, one per agent.

        Raises:
            ValueError: if the seed is not a whole number, or out of range.
        """
        if seed is not None:
            self._seed = check_seed(seed)
        self.agents = self.possible_agents[:]
        nothing = Result(accuracy=0.0, flops=0, params=0, seconds=0.0)
        return self._observations(), {agent: _info(nothing) for agent in self.agents}

    def step(
        self, actions: Mapping[AgentID, Any]
    ) -> tuple[
        dict[AgentID, Observation],
        dict[AgentID, float],
        dict[AgentID, bool],
        dict[AgentID, bool],
        dict[AgentID, dict[str, float]],
    ]:
        """Evaluates the pipeline that the agents chose; the episode ends.

        Args:
            actions: one action per agent.

        Returns:
            Observations, rewards, terminations (all True), truncations (all False) and infos.

        Raises:
            ValueError: for a missing or unknown agent or an action that does not fit.
            RuntimeError: if the episode has ended or not begun.
        """
        if not self.agents:
            raise RuntimeError(NO_EPISODE)
        pipeline = self.decode(actions)
        result = self.evaluate(pipeline, seed=self._seed)
        trial = self.last_trial = Trial(self._trials, self._seed, pipeline, result, self.reward(result))
        self._trials += 1
        if self.record is not None:
            self.record(trial)
        agents, self.agents = self.agents, []
        return (
            self._observations(),
            dict.fromkeys(agents, trial.reward),
            dict.fromkeys(agents, True),
            dict.fromkeys(agents, False),
            {agent: _info(trial.result) for agent in agents},
        )

    def decode(self, actions: Mapping[AgentID, Any]) -> Pipeline:
        """The pipeline that a joint action describes.

        Raises:
            ValueError: for a missing or unknown agent, or an action of wrong type, length or range.
        """
        return decode_joint(self.search_spaces, actions)

    def evaluate(self, pipeline: Pipeline, seed: int = 0, **fidelity: Any) -> Result:
        """Evaluates a pipeline as `step` does, outside an episode; for parallel search.

        Args:
            pipeline: from `decode`.
            seed: overrides the environment's seed for this call.
            **fidelity: fidelity of the evaluation, where the evaluator supports it: `epochs`, `stop_below`.

        Returns:
            The evaluator's result; one whose accuracy is not a number in [0, 1] has failed.

        Raises:
            ValueError: for a fidelity that the evaluator does not support, or a seed as in `reset`.
        """
        seed = check_seed(seed)
        if fidelity:
            self.check_fidelity(fidelity)
        started = time.monotonic()
        result = self.evaluator(pipeline, seed=seed, **fidelity)
        if 0.0 <= result.accuracy <= 1.0:
            return result
        error = result.error or f"accuracy is {result.accuracy}, not a number in [0, 1]"
        return replace(result, accuracy=0.0, error=error, seconds=result.seconds or time.monotonic() - started)

    def check_fidelity(self, names: Iterable[str]) -> None:
        """Raises a ValueError if the evaluator does not support one of these arguments."""
        offered = inspect.signature(self.evaluator).parameters
        if any(parameter.kind is parameter.VAR_KEYWORD for parameter in offered.values()):
            return
        for name in names:
            if name not in offered:
                raise UnsupportedError(
                    f"the evaluator of {self.name} does not support {name!r}: {type(self.evaluator).__name__}"
                )

    def cost(self, pipeline: Pipeline) -> Cost:
        """Cost of a pipeline's network, without evaluating it, where the evaluator knows it.

        Raises:
            ValueError: if it does not.
        """
        if not isinstance(self.evaluator, Priced):
            raise UnsupportedError(
                f"{self.name} cannot report a pipeline's cost before evaluating it: "
                f"its evaluator is {type(self.evaluator).__name__}"
            )
        return self.evaluator.cost(pipeline)

    def expected(self, pipeline: Pipeline) -> Result:
        """The noise-free result of a pipeline, where the evaluator knows it.

        Raises:
            ValueError: if this environment has none, as where a network is trained.
        """
        if not isinstance(self.evaluator, NoiseFree):
            raise UnsupportedError(
                f"{self.name} has no noise-free result: its evaluator is {type(self.evaluator).__name__}"
            )
        return self.evaluator.expected(pipeline)

    def state(self) -> Observation:
        """The global state, one-hot: (the pipeline is still to be chosen, it has been evaluated)."""
        deciding = bool(self.agents) or self.last_trial is None
        return np.array([deciding, not deciding], dtype=np.float32)

    def render(self) -> str | NDArray[np.uint8]:
        """Renders the last pipeline, in words or, with `render_mode="rgb_array"`, as a picture."""
        if self.render_mode == "rgb_array" and self._draw is not None:
            return self._draw(self, self.last_trial)
        return "no pipeline has been evaluated yet" if self.last_trial is None else str(self.last_trial)

    def close(self) -> None:
        """Closes the environment, which holds no resources; may be called any number of times."""

    def _observations(self) -> dict[AgentID, Observation]:
        roles = np.eye(len(self.possible_agents), dtype=np.float32)
        return {agent: roles[i].copy() for i, agent in enumerate(self.possible_agents)}


def _info(result: Result) -> dict[str, float]:
    return {key: float(getattr(result, key)) for key in INFO_KEYS}
