"""Where the token forms put the mask: in the observation, in the info, or nowhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Dict, Space

from ma2ml_env.catalog import nearest
from ma2ml_env.wrappers.token_list import TokenList

MASKS = ("obs", "info", "none")


def check_mask(mask: str) -> str:
    """`mask` as given.

    Raises:
        ValueError: if it is not one of `MASKS`; the message offers the nearest.
    """
    if mask not in MASKS:
        raise ValueError(f"unknown mask {mask!r}; {nearest(mask, MASKS)}")
    return mask


def observation_space(tokens: TokenList, mask: str) -> Space[Any]:
    """The space of what an agent sees."""
    if mask != "obs":
        return tokens.space
    return Dict({"observation": tokens.space, "action_mask": Box(0, 1, tokens.legal.shape, np.int8)})


def observation(tokens: TokenList, mask: str) -> Any:
    """What an agent sees, always fresh, with its mask if that is where the mask is."""
    if mask == "obs":
        return {"observation": tokens.seen.copy(), "action_mask": tokens.legal.copy()}
    return tokens.seen.copy()


def info(tokens: TokenList, mask: str, of_env: Mapping[str, float]) -> dict[str, Any]:
    """An agent's info, always fresh: the environment's, the count of folded tokens, and maybe its mask."""
    if mask == "info":
        return {**of_env, "illegal": tokens.illegal, "action_mask": tokens.legal.copy()}
    return {**of_env, "illegal": tokens.illegal}
