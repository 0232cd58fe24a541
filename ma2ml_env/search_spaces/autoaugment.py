"""AutoAugment's search space: five sub-policies of two operations, and the learned policies it can represent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ma2ml_env.errors import MA2MLError, UnknownNameError, nearest
from ma2ml_env.search_space import Decision, SearchSpace

OPERATIONS = (
    "ShearX",
    "ShearY",
    "TranslateX",
    "TranslateY",
    "Rotate",
    "AutoContrast",
    "Invert",
    "Equalize",
    "Solarize",
    "Posterize",
    "Contrast",
    "Color",
    "Brightness",
    "Sharpness",
    "Cutout",
    "SamplePairing",
)
PROBABILITIES = tuple(tenths / 10 for tenths in range(11))
MAGNITUDES = tuple(range(10))
SUBPOLICIES = 5
OPERATIONS_PER_SUBPOLICY = 2
WITHOUT_MAGNITUDE = frozenset({"AutoContrast", "Invert", "Equalize"})


@dataclass(frozen=True)
class Operation:
    """One image operation of a sub-policy.

    Args:
        name: one of `OPERATIONS`.
        probability: probability of applying it to an image, in [0, 1].
        magnitude: level 0 to 9, as defined by `ma2ml_env.augment`. AutoContrast, Invert and
            Equalize do not use it; published policies write 0 there.

    Raises:
        ValueError: for an unknown name, or a probability or magnitude out of range.

    Source: AutoAugment, table 6.
    """

    name: str
    probability: float
    magnitude: int = 0

    def __post_init__(self) -> None:
        if self.name not in OPERATIONS:
            raise UnknownNameError(f"unknown operation {self.name!r}; {nearest(self.name, OPERATIONS)}")
        if not 0.0 <= self.probability <= 1.0:
            raise MA2MLError(f"{self.name}: probability {self.probability!r} is not in [0, 1]")
        if self.magnitude not in MAGNITUDES or isinstance(self.magnitude, float | bool):
            raise MA2MLError(f"{self.name}: magnitude {self.magnitude!r} is not a level, a whole number in 0..9")

    def __str__(self) -> str:
        level = "" if self.name in WITHOUT_MAGNITUDE else f" at level {self.magnitude}"
        return f"{self.name}{level} with probability {self.probability:.0%}"


@dataclass(frozen=True)
class SubPolicy:
    """Operations that are applied to an image one after the other.

    Args:
        operations: at least one; two in AutoAugment.

    Raises:
        ValueError: if there is none.

    Source: AutoAugment, section 3.
    """

    operations: tuple[Operation, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "operations", tuple(self.operations))
        if not self.operations:
            raise MA2MLError("a sub-policy needs at least one operation")

    def __str__(self) -> str:
        return ", then ".join(str(operation) for operation in self.operations)


@dataclass(frozen=True)
class Policy:
    """Sub-policies, of which each image gets one at random.

    Args:
        subpolicies: at least one; five in the search, twenty-five in a learned policy.

    Raises:
        ValueError: if there is none.

    Source: AutoAugment, section 3.
    """

    subpolicies: tuple[SubPolicy, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "subpolicies", tuple(self.subpolicies))
        if not self.subpolicies:
            raise MA2MLError("a policy needs at least one sub-policy")

    def __str__(self) -> str:
        return "\n".join(f"sub-policy {i}: {part}" for i, part in enumerate(self.subpolicies, start=1))


def autoaugment() -> SearchSpace:
    """AutoAugment's space: 30 decisions, (type, probability, magnitude) of 2 operations in 5 sub-policies.

    Its default is the policy that does nothing. `encode` accepts a `Policy` of 5 x 2 operations.

    Source: AutoAugment, section 3.1: (16 x 10 x 11)^10 policies, about 2.9e32.
    """
    values: dict[str, tuple[Any, ...]] = {"type": OPERATIONS, "probability": PROBABILITIES, "magnitude": MAGNITUDES}
    decisions = tuple(
        Decision(f"{place}_{part}", values[part], ordered=part != "type") for place in _places() for part in values
    )
    return SearchSpace(decisions, _build, values=_values, default=[0] * len(decisions))


def policy_actions(policy: Policy) -> list[tuple[int, ...]]:
    """The actions of `autoaugment()` that encode a policy, five sub-policies each.

    Args:
        policy: a multiple of five sub-policies of two operations.

    Returns:
        One action of 30 indices per five sub-policies, in their order.

    Raises:
        ValueError: if the number of sub-policies or operations does not fit, or a probability is not in tenths.

    Source: AutoAugment, section 4: the five best policies make the learned one.
    """
    parts = policy.subpolicies
    if len(parts) % SUBPOLICIES:
        raise MA2MLError(
            f"an action represents {SUBPOLICIES} sub-policies, so {len(parts)} are not a whole number of actions"
        )
    space = autoaugment()
    return [space.encode(Policy(parts[i : i + SUBPOLICIES])) for i in range(0, len(parts), SUBPOLICIES)]


def _places() -> Iterator[str]:
    for i in range(1, SUBPOLICIES + 1):
        for j in range(1, OPERATIONS_PER_SUBPOLICY + 1):
            yield f"subpolicy{i}_operation{j}"


def _build(chosen: Mapping[str, Any]) -> Policy:
    operations = [
        Operation(*(chosen[f"{p}_{part}"] for part in ("type", "probability", "magnitude"))) for p in _places()
    ]
    step = OPERATIONS_PER_SUBPOLICY
    return Policy(tuple(SubPolicy(tuple(operations[i : i + step])) for i in range(0, len(operations), step)))


def _values(policy: Policy) -> dict[str, Any]:
    shape = [len(part.operations) for part in policy.subpolicies]
    if shape != [OPERATIONS_PER_SUBPOLICY] * SUBPOLICIES:
        raise MA2MLError(
            f"an action represents {SUBPOLICIES} sub-policies of {OPERATIONS_PER_SUBPOLICY} operations; "
            f"this policy has {len(shape)}, of {sorted(set(shape))} operations (`policy_actions` encodes longer ones)"
        )
    operations = (operation for part in policy.subpolicies for operation in part.operations)
    chosen: dict[str, Any] = {}
    for place, operation in zip(_places(), operations, strict=True):
        chosen[f"{place}_type"] = operation.name
        chosen[f"{place}_probability"] = operation.probability
        chosen[f"{place}_magnitude"] = operation.magnitude
    return chosen


def _parse(text: str) -> Policy:
    """A policy from lines of "name probability magnitude, name probability magnitude"."""
    rows = [[words.split() for words in line.split(",")] for line in text.strip().splitlines()]
    return Policy(tuple(SubPolicy(tuple(Operation(n, float(p), int(m)) for n, p, m in row)) for row in rows))


PUBLISHED_POLICIES = {
    "AutoAugment-CIFAR10": _parse("""
        Invert 0.1 0, Contrast 0.2 6
        Rotate 0.7 2, TranslateX 0.3 9
        Sharpness 0.8 1, Sharpness 0.9 3
        ShearY 0.5 8, TranslateY 0.7 9
        AutoContrast 0.5 0, Equalize 0.9 0
        ShearY 0.2 7, Posterize 0.3 7
        Color 0.4 3, Brightness 0.6 7
        Sharpness 0.3 9, Brightness 0.7 9
        Equalize 0.6 0, Equalize 0.5 0
        Contrast 0.6 7, Sharpness 0.6 5
        Color 0.7 7, TranslateX 0.5 8
        Equalize 0.3 0, AutoContrast 0.4 0
        TranslateY 0.4 3, Sharpness 0.2 6
        Brightness 0.9 6, Color 0.2 8
        Solarize 0.5 2, Invert 0.0 0
        Equalize 0.2 0, AutoContrast 0.6 0
        Equalize 0.2 0, Equalize 0.6 0
        Color 0.9 9, Equalize 0.6 0
        AutoContrast 0.8 0, Solarize 0.2 8
        Brightness 0.1 3, Color 0.7 0
        Solarize 0.4 5, AutoContrast 0.9 0
        TranslateY 0.9 9, TranslateY 0.7 9
        AutoContrast 0.9 0, Solarize 0.8 3
        Equalize 0.8 0, Invert 0.1 0
        TranslateY 0.7 9, AutoContrast 0.9 0
    """),
    "AutoAugment-ImageNet": _parse("""
        Posterize 0.4 8, Rotate 0.6 9
        Solarize 0.6 5, AutoContrast 0.6 0
        Equalize 0.8 0, Equalize 0.6 0
        Posterize 0.6 7, Posterize 0.6 6
        Equalize 0.4 0, Solarize 0.2 4
        Equalize 0.4 0, Rotate 0.8 8
        Solarize 0.6 3, Equalize 0.6 0
        Posterize 0.8 5, Equalize 1.0 0
        Rotate 0.2 3, Solarize 0.6 8
        Equalize 0.6 0, Posterize 0.4 6
        Rotate 0.8 8, Color 0.4 0
        Rotate 0.4 9, Equalize 0.6 0
        Equalize 0.0 0, Equalize 0.8 0
        Invert 0.6 0, Equalize 1.0 0
        Color 0.6 4, Contrast 1.0 8
        Rotate 0.8 8, Color 1.0 2
        Color 0.8 8, Solarize 0.8 7
        Sharpness 0.4 7, Invert 0.6 0
        ShearX 0.6 5, Equalize 1.0 0
        Color 0.4 0, Equalize 0.6 0
        Equalize 0.4 0, Solarize 0.2 4
        Solarize 0.6 5, AutoContrast 0.6 0
        Invert 0.6 0, Equalize 1.0 0
        Color 0.6 4, Contrast 1.0 8
        Equalize 0.8 0, Equalize 0.6 0
    """),
    "AutoAugment-SVHN": _parse("""
        ShearX 0.9 4, Invert 0.2 0
        ShearY 0.9 8, Invert 0.7 0
        Equalize 0.6 0, Solarize 0.6 6
        Invert 0.9 0, Equalize 0.6 0
        Equalize 0.6 0, Rotate 0.9 3
        ShearX 0.9 4, AutoContrast 0.8 0
        ShearY 0.9 8, Invert 0.4 0
        ShearY 0.9 5, Solarize 0.2 6
        Invert 0.9 0, AutoContrast 0.8 0
        Equalize 0.6 0, Rotate 0.9 3
        ShearX 0.9 4, Solarize 0.3 3
        ShearY 0.8 8, Invert 0.7 0
        Equalize 0.9 0, TranslateY 0.6 6
        Invert 0.9 0, Equalize 0.6 0
        Contrast 0.3 3, Rotate 0.8 4
        Invert 0.8 0, TranslateY 0.0 2
        ShearY 0.7 6, Solarize 0.4 8
        Invert 0.6 0, Rotate 0.8 4
        ShearY 0.3 7, TranslateX 0.9 3
        ShearX 0.1 6, Invert 0.6 0
        Solarize 0.7 2, TranslateY 0.6 7
        ShearY 0.8 4, Invert 0.8 0
        ShearX 0.7 9, TranslateY 0.8 3
        ShearY 0.8 5, AutoContrast 0.7 0
        ShearX 0.7 2, Invert 0.1 0
    """),
}
"""The learned policies, 25 sub-policies each. Source: AutoAugment, tables 7 to 9, as torchvision has them."""
