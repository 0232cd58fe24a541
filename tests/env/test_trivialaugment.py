"""TrivialAugment, expressed as a policy."""

from __future__ import annotations

from collections import Counter

from torchvision.transforms import v2

from ma2ml_env.search_spaces.autoaugment import WITHOUT_MAGNITUDE
from ma2ml_env.search_spaces.trivialaugment import trivial_augment


def test_an_image_gets_any_of_torchvisions_operations_equally_often_at_any_level() -> None:
    drawn = [operation for part in trivial_augment().subpolicies for operation in part.operations]
    applied = [operation for operation in drawn if operation.probability]
    names = v2.TrivialAugmentWide._AUGMENTATION_SPACE.keys()
    assert set(names) - {"Identity"} == {operation.name for operation in applied}
    assert set(Counter(operation.name for operation in drawn if operation.probability).values()) == {10}
    assert len(drawn) == 10 * len(names), "as often nothing as any one operation"
    levels = {(o.name, o.magnitude) for o in applied if o.name not in WITHOUT_MAGNITUDE}
    assert len(levels) == 10 * (len(names) - 3)
