"""The command line: `ma2ml train | envs`."""

from __future__ import annotations

import dataclasses
import signal
import sys
import threading
from collections.abc import Sequence
from typing import Annotated, Any

from rich.console import Console

COMMANDS = ("train", "envs")
USAGE = """usage: ma2ml COMMAND ...

  ma2ml train   search for a pipeline, retrain the best, save the model; `ma2ml train --help`
  ma2ml envs    list the environments"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: without the program's name; None for `sys.argv`.

    Returns:
        The exit code: 0, or 2 for a mistake in the command, or 130 when interrupted.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE)
        return 0
    command, *rest = arguments
    if command == "train":
        return train_main(rest)
    if command == "envs":
        return _envs()
    from ma2ml_env.catalog import nearest

    print(f"ma2ml: unknown command {command!r}; {nearest(command, COMMANDS)}", file=sys.stderr)
    return 2


def train_main(argv: Sequence[str], prog: str = "ma2ml train") -> int:
    """Run `ma2ml train`.

    Args:
        argv: its arguments.
        prog: what to call the program in its help.

    Returns:
        The exit code, as of `main`.
    """
    _stop_in_order_on_sigterm()
    console = Console()
    try:
        from ma2ml_agents.train_command import train

        options, settings = parse_train(argv, prog)
        train(options, settings, console)
    except ValueError as error:
        print(f"{prog}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{prog}: stopped; what was evaluated is kept, the same command goes on", file=sys.stderr)
        return 130
    return 0


def parse_train(argv: Sequence[str], prog: str) -> tuple[Any, dict[str, Any]]:
    """The options of `ma2ml train` and the settings of the learner that they name.

    Args:
        argv: the command's arguments.
        prog: what to call the program in its help.

    Raises:
        ValueError: for an unknown learner.
        SystemExit: with code 2 for an unknown option or a value of a wrong type, with 0 after `--help`.
    """
    import tyro

    from ma2ml_agents.catalog import learner_class
    from ma2ml_agents.train_command import TrainOptions

    algo = _value_of("--algo", argv, TrainOptions.algo)
    settings_class = learner_class(algo).Config
    flat = tyro.conf.arg(name="")
    command = dataclasses.make_dataclass(
        "Train", [("options", Annotated[TrainOptions, flat]), ("learner", Annotated[settings_class, flat])]
    )
    description = f"Search for a pipeline with {algo}, retrain the best one, save the model."
    parsed: Any = tyro.cli(command, args=list(argv), prog=prog, description=description)
    return parsed.options, dataclasses.asdict(parsed.learner)


def _stop_in_order_on_sigterm() -> None:
    """Let SIGTERM end the program as Ctrl-C does."""

    def interrupt(signum: int, frame: object) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, interrupt)


def _value_of(flag: str, argv: Sequence[str], default: str) -> str:
    """The value of a flag before the rest of the command line is understood; the last one counts."""
    value = default
    for word, following in zip(argv, [*argv[1:], ""], strict=True):
        if word == flag:
            value = following
        elif word.startswith(f"{flag}="):
            value = word.removeprefix(f"{flag}=")
    return value


def _envs() -> int:
    import ma2ml_env
    from ma2ml_env.registry import entry

    for env_id in ma2ml_env.env_ids():
        print(f"{env_id}\n    {entry(env_id).summary}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
