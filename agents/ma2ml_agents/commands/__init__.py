"""Command line: `ma2ml COMMAND`."""

from __future__ import annotations

import errno
import importlib
import os
import signal
import sys
import threading
from collections.abc import Sequence

from ma2ml_agents.commands.streams import forgiving_streams
from ma2ml_env.errors import MA2MLError, nearest

COMMANDS = {
    "train": ("search for a pipeline, retrain the best, save the model", "ma2ml_agents.commands.train"),
    "export": (
        "write a trained model as safetensors, ONNX or torch.export, with its card",
        "ma2ml_agents.commands.export",
    ),
    "predict": ("classify pictures by a trained model", "ma2ml_agents.commands.predict"),
    "pareto": ("show the accuracy-FLOPs front of a run, pick the best within bounds", "ma2ml_agents.commands.pareto"),
    "retrain": ("train the best pipelines of a run several times, mean and deviation", "ma2ml_agents.commands.retrain"),
    "benchmark": ("compare algorithms on environments, write tables and figures", "ma2ml_agents.commands.benchmark"),
    "report": ("write a report of runs as one interactive HTML file", "ma2ml_agents.commands.report"),
    "watch": ("show a running search in the browser", "ma2ml_agents.commands.watch"),
    "importance": ("report how much each agent and decision matters", "ma2ml_agents.commands.importance"),
    "published": ("list published architectures and policies with their cost", "ma2ml_agents.commands.published"),
    "surrogate": ("fit a surrogate to the trials of runs, show and test it", "ma2ml_agents.commands.surrogate"),
    "envs": ("list the environments", "ma2ml_agents.commands.envs"),
    "learners": ("list the learners and the published systems among them", "ma2ml_agents.commands.learners"),
}
"""{command: (summary, module with `main(argv, prog)`, which returns an exit code or None for 0)}."""
RESUMABLE = ("train", "retrain", "benchmark")
"""Commands that go on where they were stopped."""
MISTAKE, INTERRUPTED = 2, 130
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        argv: without the program's name; None for `sys.argv`.

    Returns:
        Exit code: 0, or 1 if a search found nothing, 2 for a mistake in the command, 130 when interrupted.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    with forgiving_streams():
        if not arguments or arguments[0] in ("-h", "--help"):
            width = max(map(len, COMMANDS))
            lines = [f"  ma2ml {name:{width}}  {summary}" for name, (summary, _) in COMMANDS.items()]
            print("\n".join(["usage: ma2ml COMMAND ...; `ma2ml COMMAND --help` lists its options", "", *lines]))
            return 0
        if arguments[0] == "--version":
            from ma2ml_agents.runs.version import version_line

            print(version_line())
            return 0
        name, *rest = arguments
        if name not in COMMANDS:
            print(f"ma2ml: unknown command {name!r}; {nearest(name, COMMANDS)}", file=sys.stderr)
            return MISTAKE
        return run_command(name, rest, f"ma2ml {name}")


def run_command(name: str, argv: Sequence[str], prog: str) -> int:
    """Runs one command.

    The project's own errors, and user files that cannot be read or written, print one line and return exit code 2.
    Any other exception is a bug, in this project or in the user's learner or evaluator, and is raised.
    The working directory is on the import path, here and in the worker processes.

    Args:
        name: one of `COMMANDS`.
        argv: arguments of the command.
        prog: name of the program in help and messages.

    Returns:
        Exit code, as for `main`.
    """
    _interrupt_on_sigterm()
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    with forgiving_streams():
        try:
            return importlib.import_module(COMMANDS[name][1]).main(argv, prog) or 0
        except MA2MLError as error:
            print(f"{prog}: {error}", file=sys.stderr)
            return MISTAKE
        except OSError as error:
            if error.filename is None and error.errno not in DISK_ERRORS:
                raise
            print(f"{prog}: {error}", file=sys.stderr)
            return MISTAKE
        except KeyboardInterrupt:
            kept = "; what was evaluated is kept, the same command resumes" if name in RESUMABLE else ""
            print(f"{prog}: stopped{kept}", file=sys.stderr)
            return INTERRUPTED


def _interrupt_on_sigterm() -> None:
    """Lets SIGTERM end the program as Ctrl-C does."""

    def interrupt(signum: int, frame: object) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, interrupt)
