"""Writes `docs/environments.md` and `docs/environments/` from the registry: `python docs/generate_environments.py`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ma2ml_env import AutoMLEnv, Decision, registry
from ma2ml_env.registration import joint_ids
from ma2ml_env.testing.rollout import moves
from ma2ml_env.wrappers import AEC, JOINT, PARALLEL, wrap, wrap_aec, wrap_joint
from ma2ml_env.wrappers.codebook import DEFAULT_SIZE

DOCS = Path(__file__).parent
OVERVIEW, FOLDER = DOCS / "environments.md", DOCS / "environments"
SHIPPED = [entry.id for entry in registry.read_entries(registry.shipped_file())]
RUN, STAND_IN, FITS = "run, see [libraries](libraries.md)", "tried on a stand-in for this game", "by its requirements"
LIBRARIES = [
    ("stable-baselines3", "`make_joint(id)`; `padded` or `flat` through SuperSuit", RUN),
    ("sb3-contrib (MaskablePPO)", '`make_joint(id, variant="tokens")`', RUN),
    ("Gymnasium, any single-agent library", "`gymnasium.make` of the joint ids", "tested in this repository"),
    ("PettingZoo", "any parallel or AEC variant", "tested in this repository"),
    ("RLlib", "`native`; `tokens` with masks, by an adapter", RUN),
    ("TorchRL", "`native`, with the adapter's distribution", RUN),
    ("AgileRL's IPPO", "`native`", RUN),
    ("BenchMARL (QMIX, MAPPO, MASAC, ...)", "`flat`, `tokens` or equal `box`, by an adapter", RUN),
    ("Tianshou", "`flat`, in turn", RUN),
    ("EPyMARL, JaxMARL, other libraries that demand equal `Discrete` spaces", "`flat` or `tokens`", STAND_IN),
    ("algorithms for continuous actions (MADDPG, SAC)", "`box`, with `equal=True` for one group of agents", FITS),
    ("turn-based libraries", "`make_aec(id)`", FITS),
]
INTRODUCTION = f"""# Environments

Written by `python docs/generate_environments.py` from the registry; do not edit.

What an environment is, its observations, rewards and seeds, is in the docstring of `ma2ml_env.AutoMLEnv`; what each
variant makes of it is in those of `ma2ml_env.wrappers`.

## Variants

The same pipeline gets the same reward in every variant. Steps of the token variants are decisions.

| variant | made by | agents | action space | steps per pipeline |
|---|---|---|---|---|
| `native` | `make(id)` | the modules | `MultiDiscrete`, one number per decision | 1 |
| `padded` | `make(id, variant="padded")` | `agent_0`, ... | one `MultiDiscrete` for all, folded by `% n` | 1 |
| `flat` | `make(id, variant="flat")` | `agent_0`, ... | one `Discrete` for all, an index into a codebook | 1 |
| `tokens` | `make(id, variant="tokens")` | `agent_0`, ... | one masked `Discrete` for all | those of the longest |
| `box` | `make(id, variant="box")` | the modules | `Box(0, 1)`, one number per decision | 1 |
| equal `box` | `make(id, variant="box", equal=True)` | `agent_0`, ... | one `Box(0, 1)` for all | 1 |
| AEC `native` | `make_aec(id)` | the modules, in turn | `MultiDiscrete` | 1 per module |
| AEC `tokens` | `make_aec(id, variant="tokens")` | `agent_0`, ... in turn | one masked `Discrete` for all | all |
| joint `native` | `make_joint(id)` | one | `MultiDiscrete` over all decisions | 1 |
| joint `tokens` | `make_joint(id, variant="tokens")` | one | `Discrete`, with `action_masks()` | all |

- `padded` folds a number by `% n`: where n does not divide the width, some choices are twice as likely as others when
  actions are sampled uniformly.
- `flat` reaches the pipelines of its codebooks only: `codebook_size` actions per module ({DEFAULT_SIZE} if not given),
  always the same ones, or a `codebook={{module: actions}}` of your own, for example `codebook_of(pipelines)` of the
  best pipelines of an earlier run.
- `tokens` has `mask="obs"` (observations are `Dict({{"observation", "action_mask"}})`), `"info"` or `"none"`. An
  illegal token is folded by `% n` and counted in the info's `illegal`. An inactive decision has one legal token, 0.
- `box` with `equal=True` has one space for all agents, as long as the longest module, for libraries that put agents
  with different spaces into groups of their own; a shorter module ignores the rest.

## Which variant for which library

| library | variant | known from |
|---|---|---|
"""
OWN_LOOP = """
## A library's own training loop in our tables

Train with any library and let the environment keep the log, one file a run:

```python
import ma2ml_env

env = ma2ml_env.make("ma2ml/fcnet-protein-v0", log_path="runs/mine-0.db")
```

The benchmark puts the logs into its tables beside its own runs:

```bash
ma2ml benchmark --env ma2ml/fcnet-protein-v0 --algos random_search,ppo --seeds 2 --budget 300 \\
    --logs 'mine=runs/mine-*.db'
```

`experiments/rllib_ppo.py` does it with RLlib.

- Every step is a trial: keep out what is not training. Switch off environment checks (RLlib:
  `disable_env_checking=True`; its check plays a random pipeline), and give the environment of evaluation episodes no
  `log_path`.
- A log is appended to: choose a new file for every run. Parallel workers of one run may share one.
- The first `--budget` trials count; a shorter log is marked in the tables.
- A log finds its environment by itself; one that was made with settings needs the same `--set NAME=VALUE`.
- Batches are far smaller than libraries expect (10 pipelines, not 4000): set batch size and learning rate.
"""


def pages() -> dict[Path, str]:
    """Returns all pages by path: an overview, and one for each environment."""
    rows = "".join(f"| {library} | {variant} | {known} |\n" for library, variant, known in LIBRARIES)
    links = [(f"[`{env_id}`](environments/{_name(env_id)}.md)", registry.entry(env_id).summary) for env_id in SHIPPED]
    overview = INTRODUCTION + rows + OWN_LOOP + "\n## All environments\n\n" + _table(("id", ""), links)
    return {OVERVIEW: overview} | {FOLDER / f"{_name(env_id)}.md": page(env_id) for env_id in SHIPPED}


def page(env_id: str) -> str:
    """Returns an environment's page: a table in PettingZoo's style, its modules, its spaces in every variant."""
    entry, env = registry.entry(env_id), registry.make(env_id)
    facts = {
        "Import": f'`ma2ml_env.make("{env_id}")`',
        "Gymnasium": ", ".join(f"`{joint_id}`" for joint_id in joint_ids(env_id).values()),
        "Agents": ", ".join(f"`{agent}`" for agent in env.possible_agents),
        "Pipelines": _power(math.prod(space.size for space in env.search_spaces.values())),
        "Observation": f"`{env.observation_space(env.possible_agents[0])}`",
        "State": f"`{env.state_space}`",
        "Evaluator": _spec(entry.evaluator),
        "Reward": f"shared; {_spec(entry.reward)}",
    }
    modules = [
        (f"`{agent}`", _spec(entry.agents[agent]), str(len(space)), _power(space.size), _runs(space.nvec.tolist()))
        for agent, space in env.search_spaces.items()
    ]
    return (
        f"# {env_id}\n\nWritten by `python docs/generate_environments.py` from the registry; do not edit.\n\n"
        f"{entry.summary}\n\n"
        + _table(("", ""), facts.items())
        + "\n"
        + _table(("module", "search space", "decisions", "actions", "choices per decision"), modules)
        + "\n[Variants](../environments.md#variants):\n\n"
        + _table(("variant", "action space", "steps per pipeline"), _variants(env))
        + "\n## Decisions\n\nChoices of ordered decisions are numbers in order. A conditional decision is made where "
        "the one that it names has one of those values.\n\n"
        + _table(("module", "decision", "choices", "ordered", "made where"), _decisions(env))
    )


def _decisions(env: AutoMLEnv) -> list[tuple[str, str, str, str, str]]:
    return [
        (
            f"`{agent}`",
            decision.name,
            _choices(decision.choices),
            "yes" if decision.ordered else "",
            _condition(decision),
        )
        for agent, space in env.search_spaces.items()
        for decision in space.decisions
    ]


def _choices(choices: Sequence[Any]) -> str:
    return ", ".join(str(choice).replace("|", "\\|") for choice in choices)


def _condition(decision: Decision) -> str:
    return "; ".join(f"{name} is {_choices(values)}" for name, values in dict(decision.active).items())


def _name(env_id: str) -> str:
    return env_id.rpartition("/")[2]


def _variants(env: AutoMLEnv) -> list[tuple[str, str, str]]:
    families = [("", wrap, PARALLEL), ("AEC ", wrap_aec, AEC), ("joint ", wrap_joint, JOINT)]
    rows = []
    for prefix, wrapper, family in families:
        for variant in family:
            wrapped = wrapper(env, variant)
            if variant == "flat":
                first = {module: actions[0] for module, actions in wrapped.codebook.items()}
            else:
                first = {module: space.default for module, space in env.search_spaces.items()}
            spaces = [wrapped.action_space] if prefix == "joint " else list(wrapped.action_spaces.values())
            rows.append((f"{prefix}`{variant}`", _space(spaces), str(len(moves(wrapped, first)))))
    return rows


def _space(spaces: Sequence[Any]) -> str:
    texts = [f"`MultiDiscrete` of {len(s.nvec)}" if hasattr(s, "nvec") else f"`{s}`" for s in spaces]
    return texts[0] if len(set(texts)) == 1 else ", ".join(texts)


def _spec(spec: Mapping[str, Any]) -> str:
    """Returns `kind` and its arguments in one line; nested ones in parentheses."""
    arguments = [f"{k} {f'({_spec(v)})' if isinstance(v, Mapping) else v}" for k, v in spec.items() if k != "kind"]
    return ", ".join([f"`{spec['kind']}`", *arguments])


def _runs(nvec: Sequence[int]) -> str:
    """Returns a list of numbers as its shortest period and the number of repetitions."""
    period = next(
        p for p in range(1, len(nvec) + 1) if len(nvec) % p == 0 and list(nvec[:p]) * (len(nvec) // p) == nvec
    )
    times = f", {len(nvec) // period} times" if period < len(nvec) else ""
    return ", ".join(map(str, nvec[:period])) + times


def _power(number: int) -> str:
    return f"{number:,}" if number < 10**6 else f"about 10^{math.log10(number):.0f}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in (head, *rows)]
    return "\n".join([lines[0], "|---" * len(head) + "|", *lines[1:]]) + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
