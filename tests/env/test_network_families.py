"""What holds for the architectures and networks of every family."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pydantic import TypeAdapter

from ma2ml_env import SearchSpace
from ma2ml_env.models import build_network, cost, count
from ma2ml_env.models.darts import DARTSSkeleton
from ma2ml_env.models.fbnetv3 import FBNetV3Skeleton
from ma2ml_env.models.nasnet import NASNetSkeleton
from ma2ml_env.models.residual import ResidualSkeleton
from ma2ml_env.search_spaces.darts import darts
from ma2ml_env.search_spaces.fbnetv3 import fbnetv3
from ma2ml_env.search_spaces.nasnet import nasnet
from ma2ml_env.search_spaces.residual import residual

GREY = {"image_size": 8, "in_channels": 1, "num_classes": 10}
COLORED = {"image_size": 32, "in_channels": 3, "num_classes": 10}


class Family(NamedTuple):
    """A search space, a small skeleton, and the images that its networks are for."""

    space: SearchSpace
    skeleton: Any
    sizes: dict[str, int]

    def actions(self, number: int) -> list[tuple[int, ...]]:
        rng = np.random.default_rng(0)
        return [self.space.sample(rng) for _ in range(number)]


FAMILIES = {
    "nasnet": Family(nasnet(), NASNetSkeleton(filters=4, repeats=1, stages=2), GREY),
    "darts": Family(darts(), DARTSSkeleton(filters=4, layers=3), GREY),
    "fbnetv3": Family(fbnetv3(), FBNetV3Skeleton(head_width=32, resolution_scale=0.15), COLORED),
    "residual": Family(residual(((8, 12), (16,), (8, 24)), stems=(8, 10)), ResidualSkeleton(), GREY),
}


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> Family:
    return FAMILIES[request.param]


def test_a_thousand_random_actions_decode_encode_back_and_count(family: Family) -> None:
    for action in family.actions(1000):
        architecture = family.space.decode(action)
        assert family.space.encode(architecture) == action
        assert count(architecture, family.skeleton, **family.sizes).params > 0


@pytest.mark.parametrize("number", range(30))
def test_a_random_action_builds_agrees_with_the_arithmetic_and_trains_a_step(family: Family, number: int) -> None:
    architecture, sizes = family.space.decode(family.actions(30)[number]), family.sizes
    model = build_network(architecture, family.skeleton, drop_path=0.2, **sizes)
    assert cost(model, sizes["image_size"], sizes["in_channels"]) == count(architecture, family.skeleton, **sizes)
    before = [parameter.clone() for parameter in model.parameters()]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    images = torch.randn(4, sizes["in_channels"], sizes["image_size"], sizes["image_size"])
    loss = F.cross_entropy(model(images), torch.arange(4))
    loss.backward()
    optimizer.step()
    assert loss.isfinite()
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert any((old != new).any() for old, new in zip(before, model.parameters(), strict=True))


def test_an_architecture_survives_being_written_as_json(family: Family) -> None:
    for action in family.actions(5):
        built = family.space.decode(action)
        assert TypeAdapter(type(built)).validate_json(json.dumps(asdict(built))) == built
