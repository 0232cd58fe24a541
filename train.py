"""Search for a pipeline: `python train.py --algo ma2ml`; the same as `ma2ml train`."""

import sys

from ma2ml_agents.cli import train_main

if __name__ == "__main__":
    sys.exit(train_main(sys.argv[1:], prog="train.py"))
