"""Search for a pipeline: `python train.py --algo ma2ml`; the same as `ma2ml train`."""

import sys

from ma2ml_agents.commands import run_command

if __name__ == "__main__":
    sys.exit(run_command("train", sys.argv[1:], prog="train.py"))
