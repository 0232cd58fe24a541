"""What every form of the game shares: it stands for an `AutoMLEnv`, and changes spaces and actions only."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

from ma2ml_env.env import AutoMLEnv
from ma2ml_env.search_space import SearchSpace
from ma2ml_env.types import AgentID, JointAction, Pipeline, Result, Trial


class Form(ABC):
    """A form of the game over an environment of ours; everything that is not spaces and actions is passed on.

    Attributes:
        form: its name in `make(variant=)`.
        options: the names of its own keyword arguments.
        env: the environment it stands for.
        metadata: the environment's, under a name of its own.
        render_mode: the environment's.
        state_space: of `state()`.

    Args:
        env: an `AutoMLEnv`.

    Raises:
        ValueError: if it is not one.

    Source: ours, after PettingZoo's wrappers.
    """

    form: ClassVar[str]
    options: ClassVar[tuple[str, ...]] = ()
    metadata: dict[str, Any]

    def __init__(self, env: AutoMLEnv) -> None:
        if not isinstance(env, AutoMLEnv):
            raise ValueError(
                f"{type(self).__name__} is a form of an AutoMLEnv, such as ma2ml_env.make(id) gives; "
                f"this is a {type(env).__name__}"
            )
        self.env = env
        name, _, version = env.metadata["name"].rpartition("_v")
        self.metadata = {**env.metadata, "name": f"{name}_{self.form}_v{version}"}
        self.render_mode = env.render_mode
        self.state_space: Box = env.state_space

    @property
    def name(self) -> str:
        """The environment's id."""
        return self.env.name

    @property
    def search_spaces(self) -> dict[AgentID, SearchSpace]:
        """What each module chooses from, under the module's own name."""
        return self.env.search_spaces

    @property
    def last_trial(self) -> Trial | None:
        """The last evaluated pipeline, with its result and reward."""
        return self.env.last_trial

    @property
    def seed(self) -> int:
        """The seed of evaluations."""
        return self.env.seed

    @abstractmethod
    def to_native(self, actions: Any) -> JointAction:
        """The joint action, by module, that `actions` of this form stand for."""

    @abstractmethod
    def from_native(self, action: JointAction) -> Any:
        """The actions of this form that stand for a joint action; the inverse of `to_native`."""

    def decode(self, actions: Any) -> Pipeline:
        """The pipeline that `actions` of this form describe; raises as `to_native` does."""
        return self.env.decode(self.to_native(actions))

    def evaluate(self, pipeline: Pipeline, seed: int = 0) -> Result:
        """Evaluate a pipeline; see `AutoMLEnv.evaluate`."""
        return self.env.evaluate(pipeline, seed=seed)

    def expected(self, pipeline: Pipeline) -> Result:
        """The noise-free result of a pipeline; see `AutoMLEnv.expected`."""
        return self.env.expected(pipeline)

    def reward(self, result: Result) -> float:
        """The reward of a result."""
        return self.env.reward(result)

    def state(self) -> NDArray[np.float32]:
        """The global state, a fresh array."""
        return self.env.state()

    def render(self) -> str | NDArray[np.uint8]:
        """The last pipeline, in words or as a picture."""
        return self.env.render()

    def close(self) -> None:
        """Close the environment; may be called any number of times."""
        self.env.close()
