"""The command line as `python -m ma2ml_agents.commands`."""

import sys

from ma2ml_agents.commands import main

if __name__ == "__main__":
    sys.exit(main())
