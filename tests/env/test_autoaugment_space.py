from __future__ import annotations

import math
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from torchvision.transforms.autoaugment import AutoAugment, AutoAugmentPolicy

from ma2ml_env.search_spaces.autoaugment import (
    OPERATIONS,
    PUBLISHED_POLICIES,
    Operation,
    Policy,
    SubPolicy,
    autoaugment,
    policy_actions,
)

SPACE = autoaugment()
NOTHING = SPACE.decode(SPACE.default)
TORCHVISION = {
    "AutoAugment-CIFAR10": AutoAugmentPolicy.CIFAR10,
    "AutoAugment-ImageNet": AutoAugmentPolicy.IMAGENET,
    "AutoAugment-SVHN": AutoAugmentPolicy.SVHN,
}


def test_the_space_has_the_size_that_the_paper_gives():
    assert len(SPACE) == 30
    assert SPACE.nvec.tolist() == [16, 11, 10] * 10
    assert SPACE.size == math.prod([16, 11, 10]) ** 10
    assert f"{SPACE.size:.1e}" == "2.9e+32"


def test_random_actions_survive_decoding_and_encoding():
    rng = np.random.default_rng(0)
    for _ in range(1000):
        action = SPACE.sample(rng)
        assert SPACE.encode(SPACE.decode(action)) == action


def test_an_action_means_what_its_decisions_say():
    action = [0] * 30
    action[3:6] = [OPERATIONS.index("Rotate"), 7, 9]
    policy = SPACE.decode(action)
    assert policy.subpolicies[0].operations[1] == Operation("Rotate", 0.7, 9)
    assert SPACE.choices(action)["subpolicy1_operation2_type"] == "Rotate"


def test_the_default_applies_nothing():
    assert {o.probability for part in NOTHING.subpolicies for o in part.operations} == {0.0}


@pytest.mark.parametrize("name", PUBLISHED_POLICIES)
def test_a_published_policy_is_torchvisions(name):
    policy = PUBLISHED_POLICIES[name]
    ours = [tuple((o.name, o.probability, o.magnitude) for o in part.operations) for part in policy.subpolicies]
    theirs = AutoAugment(TORCHVISION[name]).policies
    assert ours == [tuple((n, p, 0 if level is None else level) for n, p, level in pair) for pair in theirs]


@pytest.mark.parametrize("name", PUBLISHED_POLICIES)
def test_a_published_policy_is_said_by_five_actions(name):
    actions = policy_actions(PUBLISHED_POLICIES[name])
    assert len(actions) == 5
    assert sum((SPACE.decode(a).subpolicies for a in actions), ()) == PUBLISHED_POLICIES[name].subpolicies


def test_a_policy_is_printed_a_line_per_sub_policy():
    lines = str(PUBLISHED_POLICIES["AutoAugment-ImageNet"]).splitlines()
    assert len(lines) == 25
    assert lines[0] == (
        "sub-policy 1: Posterize at level 8 with probability 40%, then Rotate at level 9 with probability 60%"
    )
    assert "Equalize with probability 80%" in lines[2]


def test_policies_are_frozen_and_hashable():
    with pytest.raises(FrozenInstanceError):
        NOTHING.subpolicies = ()
    assert len({NOTHING, SPACE.decode(SPACE.default)}) == 1
    assert Policy([SubPolicy([Operation("Invert", 1.0)])]) == Policy((SubPolicy((Operation("Invert", 1.0),)),))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("rotation", 0.5, 3), "unknown operation 'rotation'; did you mean 'Rotate'"),
        (("Rotate", 1.5, 3), r"Rotate: probability 1.5 is not in \[0, 1\]"),
        (("Rotate", math.nan, 3), r"probability nan is not in \[0, 1\]"),
        (("Rotate", 0.5, 10), "Rotate: magnitude 10 is not a level, a whole number in 0..9"),
        (("Rotate", 0.5, -1), "magnitude -1"),
        (("Rotate", 0.5, 3.0), "magnitude 3.0"),
        (("Rotate", 0.5, True), "magnitude True"),
    ],
)
def test_a_wrong_operation_is_refused_with_what_is_allowed(arguments, message):
    with pytest.raises(ValueError, match=message):
        Operation(*arguments)


def test_empty_policies_are_refused():
    with pytest.raises(ValueError, match="at least one operation"):
        SubPolicy(())
    with pytest.raises(ValueError, match="at least one sub-policy"):
        Policy(())


def test_what_an_action_cannot_say_is_refused():
    four = Policy(NOTHING.subpolicies[:4])
    with pytest.raises(ValueError, match="an action represents 5 sub-policies of 2 operations; this policy has 4"):
        SPACE.encode(four)
    with pytest.raises(ValueError, match="4 are not a whole number of actions"):
        policy_actions(four)
    odd = SubPolicy((Operation("Invert", 0.25), Operation("Invert", 0.5)))
    with pytest.raises(ValueError, match=r"'subpolicy5_operation1_probability' cannot be 0\.25"):
        SPACE.encode(Policy((*four.subpolicies, odd)))
