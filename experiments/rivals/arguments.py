"""Arguments that the scripts of this folder share."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def parsed(description: str | None) -> Any:
    """Returns the arguments: `train`, `test`, `seconds`, `seed`."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()
