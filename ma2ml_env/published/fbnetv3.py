"""The released FBNetV3 architectures."""

from __future__ import annotations

from functools import cache

from ma2ml_env.search_spaces.fbnetv3 import Architecture, Group

# Resolution, stem width, expansion of the head; then the groups: kernel, expansion, channels, stride, number of
# blocks, squeeze-excite ("se") and unusual padding ("p").
_A = (
    "k3 e1 c16 n2, k5 e4 c24 s2, k5 e2 c24 n3, k5 e5 c40 s2 se, k5 e3 c40 n4 se, k5 e5 c72 s2 p1, k3 e3 c72 n4, "
    "k3 e5 c120 se, k5 e3 c120 n5 se, k3 e6 c184 s2 se p0, k5 e4 c184 n5 se, k5 e6 c224 se"
)
FBNETV3 = {
    "FBNetV3-A0": (
        (224, 12, 5),
        "k3 e1 c12, k3 e4 c24 s2, k3 e2 c24 n2, k3 e4 c40 s2 se, k3 e2 c40 n2 se, k5 e4 c72 s2, k3 e3 c72 n2, "
        "k3 e4 c104 se, k5 e3 c104 n3 se, k3 e4 c176 s2 se, k3 e4 c176 n3 se, k3 e5 c208 se",
    ),
    "FBNetV3-A": ((224, 16, 6), _A),
    "FBNetV3-B": ((248, 16, 6), _A),
    "FBNetV3-C": (
        (248, 16, 6),
        "k3 e1 c16 n2, k5 e5 c24 s2, k3 e3 c24 n4, k5 e5 c48 s2 se, k5 e2 c48 n4 se, k5 e4 c88 s2 p1, k3 e3 c88 n4, "
        "k3 e4 c120 se, k5 e3 c120 n5 se, k5 e5 c216 s2 se p1, k5 e5 c216 n5 se, k5 e6 c216 se",
    ),
    "FBNetV3-D": (
        (248, 24, 6),
        "k3 e1 c16 n2, k3 e5 c24 s2, k3 e2 c24 n5, k5 e4 c40 s2 se, k3 e3 c40 n4 se, k3 e5 c72 s2, k3 e3 c72 n4, "
        "k3 e5 c128 se, k5 e3 c128 n6 se, k3 e6 c208 s2 se, k5 e5 c208 n5 se, k5 e6 c240 se",
    ),
    "FBNetV3-E": (
        (264, 24, 6),
        "k3 e1 c16 n3, k5 e4 c24 s2, k5 e2 c24 n4, k5 e4 c48 s2 se, k5 e3 c48 n4 se, k5 e5 c80 s2 p1, k3 e3 c80 n4, "
        "k3 e5 c128 se, k5 e3 c128 n7 se, k3 e6 c216 s2 se, k5 e5 c216 n5 se, k5 e6 c240 se",
    ),
    "FBNetV3-F": (
        (272, 24, 6),
        "k3 e1 c24 n3, k5 e4 c32 s2, k5 e2 c32 n4, k5 e4 c56 s2 se, k5 e3 c56 n4 se, k5 e5 c88 s2, k3 e3 c88 n4, "
        "k3 e5 c144 se, k5 e3 c144 n8 se, k3 e6 c248 s2 se p0, k5 e5 c248 n6 se, k5 e6 c272 se",
    ),
    "FBNetV3-G": (
        (320, 32, 6),
        "k3 e1 c24 n3, k5 e4 c40 s2, k5 e2 c40 n4, k5 e4 c56 s2 se, k5 e3 c56 n4 se, k5 e5 c104 s2, k3 e3 c104 n4, "
        "k3 e5 c160 se, k5 e3 c160 n8 se, k3 e6 c264 s2 se, k5 e5 c264 n6 se, k5 e6 c288 n2 se",
    ),
}


@cache
def fbnetv3_architecture(name: str) -> Architecture:
    """A released architecture.

    Source: FBNetV3's code.
    """
    (resolution, stem, head_expansion), groups = FBNETV3[name]
    return Architecture(resolution, stem, tuple(_group(text) for text in groups.split(",")), head_expansion)


def _group(text: str) -> Group:
    words = text.split()
    squeeze = "se" in words
    numbers = {word[0]: int(word[1:]) for word in words if word != "se"}
    return Group(
        kernel=numbers["k"],
        expansion=numbers["e"],
        width=numbers["c"],
        stride=numbers.get("s", 1),
        repeats=numbers.get("n", 1),
        squeeze=squeeze,
        padding=numbers.get("p"),
    )
