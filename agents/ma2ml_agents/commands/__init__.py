"""The command line: `ma2ml COMMAND`."""

from __future__ import annotations

import importlib
import signal
import sys
import threading
from collections.abc import Sequence

COMMANDS = {
    "train": ("search for a pipeline, retrain the best, save the model", "ma2ml_agents.commands.train"),
    "benchmark": ("compare algorithms on environments, write tables and figures", "ma2ml_agents.commands.benchmark"),
    "importance": ("tell how much each agent and each decision matters", "ma2ml_agents.commands.importance"),
    "published": ("list published architectures and policies, and what they cost", "ma2ml_agents.commands.published"),
    "surrogate": (
        "learn what evaluations give from the trials of runs, and test it",
        "ma2ml_agents.commands.surrogate",
    ),
    "envs": ("list the environments", "ma2ml_agents.commands.envs"),
}
"""{command: (what it does, the module whose `main(argv, prog)` does it)}."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: without the program's name; None for `sys.argv`.

    Returns:
        The exit code: 0, or 2 for a mistake in the command, or 130 when interrupted.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help"):
        width = max(map(len, COMMANDS))
        lines = [f"  ma2ml {name:{width}}  {what}" for name, (what, _) in COMMANDS.items()]
        print("\n".join(["usage: ma2ml COMMAND ...; `ma2ml COMMAND --help` tells its options", "", *lines]))
        return 0
    name, *rest = arguments
    if name not in COMMANDS:
        from ma2ml_env.catalog import nearest

        print(f"ma2ml: unknown command {name!r}; {nearest(name, COMMANDS)}", file=sys.stderr)
        return 2
    return run_command(name, rest, f"ma2ml {name}")


def run_command(name: str, argv: Sequence[str], prog: str) -> int:
    """Run one command; mistakes in it, and files that cannot be read or written, are a line and exit code 2.

    Args:
        name: one of `COMMANDS`.
        argv: its arguments.
        prog: what to call the program in its help and messages.

    Returns:
        The exit code, as of `main`.
    """
    _stop_in_order_on_sigterm()
    try:
        importlib.import_module(COMMANDS[name][1]).main(argv, prog)
    except (ValueError, OSError) as error:
        print(f"{prog}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{prog}: stopped; what was evaluated is kept, the same command goes on", file=sys.stderr)
        return 130
    return 0


def _stop_in_order_on_sigterm() -> None:
    """Let SIGTERM end the program as Ctrl-C does."""

    def interrupt(signum: int, frame: object) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, interrupt)


if __name__ == "__main__":
    sys.exit(main())
