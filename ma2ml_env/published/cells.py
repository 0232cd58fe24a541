"""The published cells, in the compact notation of `parse_cell` of their search space."""

from __future__ import annotations

from functools import cache

from ma2ml_env.search_spaces import darts, nasnet

# "input input operation operation", input 0 = current, 1 = previous; then the states that are concatenated.
NASNET = {
    "NASNet-A": (nasnet.NASNET_A[0], (1, 2, 3, 4, 5, 6), nasnet.NASNET_A[1], (3, 4, 5, 6)),
    "AmoebaNet-A": (
        "0 0 avg_pool_3x3 max_pool_3x3, 1 1 sep_conv_3x3 identity, 0 1 identity avg_pool_3x3, "
        "0 2 sep_conv_3x3 sep_conv_5x5, 5 0 avg_pool_3x3 sep_conv_3x3",
        (1, 3, 4, 6),
        "1 0 sep_conv_3x3 avg_pool_3x3, 0 2 max_pool_3x3 sep_conv_7x7, 1 0 max_pool_3x3 max_pool_3x3, "
        "4 0 sep_conv_3x3 conv_1x7_7x1, 1 0 avg_pool_3x3 sep_conv_7x7",
        (2, 3, 4, 5, 6),
    ),
    "AmoebaNet-C": (
        "0 0 avg_pool_3x3 sep_conv_3x3, 0 0 identity sep_conv_3x3, 2 1 avg_pool_3x3 sep_conv_3x3, "
        "0 1 identity sep_conv_3x3, 3 0 avg_pool_3x3 sep_conv_3x3",
        (1, 2, 4, 5, 6),
        "0 0 max_pool_3x3 max_pool_3x3, 2 0 sep_conv_7x7 sep_conv_3x3, 0 1 sep_conv_7x7 max_pool_3x3, "
        "4 4 sep_conv_5x5 sep_conv_5x5, 1 1 max_pool_3x3 sep_conv_3x3",
        (0, 2, 3, 4, 5, 6),
    ),
    "ENAS": (
        "1 1 avg_pool_3x3 sep_conv_3x3, 1 1 identity sep_conv_5x5, 1 0 identity sep_conv_5x5, "
        "0 1 sep_conv_3x3 sep_conv_5x5, 1 0 avg_pool_3x3 sep_conv_5x5",
        None,
        "0 0 sep_conv_3x3 sep_conv_3x3, 1 1 max_pool_3x3 avg_pool_3x3, 0 3 sep_conv_5x5 sep_conv_5x5, "
        "0 1 sep_conv_3x3 identity, 1 0 max_pool_3x3 sep_conv_5x5",
        None,
    ),
}

# "operation input operation input", input 0 = previous, 1 = current, as in DARTS's genotypes.
DARTS = {
    "DARTS-V1": (
        "sep_conv_3x3 1 sep_conv_3x3 0, skip_connect 0 sep_conv_3x3 1, skip_connect 0 sep_conv_3x3 1, "
        "sep_conv_3x3 0 skip_connect 2",
        "max_pool_3x3 0 max_pool_3x3 1, skip_connect 2 max_pool_3x3 0, max_pool_3x3 0 skip_connect 2, "
        "skip_connect 2 avg_pool_3x3 0",
    ),
    "DARTS-V2": darts.DARTS_V2,
    "PC-DARTS-CIFAR": (
        "sep_conv_3x3 1 skip_connect 0, sep_conv_3x3 0 dil_conv_3x3 1, sep_conv_5x5 0 sep_conv_3x3 1, "
        "avg_pool_3x3 0 dil_conv_3x3 1",
        "sep_conv_5x5 1 max_pool_3x3 0, sep_conv_5x5 1 sep_conv_5x5 2, sep_conv_3x3 0 sep_conv_3x3 3, "
        "sep_conv_3x3 1 sep_conv_3x3 2",
    ),
    "PC-DARTS-ImageNet": (
        "skip_connect 1 sep_conv_3x3 0, sep_conv_3x3 0 skip_connect 1, sep_conv_3x3 1 sep_conv_3x3 3, "
        "sep_conv_3x3 1 dil_conv_5x5 4",
        "sep_conv_3x3 0 skip_connect 1, dil_conv_5x5 2 max_pool_3x3 1, sep_conv_3x3 2 sep_conv_3x3 1, "
        "sep_conv_5x5 0 sep_conv_3x3 3",
    ),
    "ISTA-NAS-twostage": (
        "skip_connect 0 dil_conv_3x3 1, sep_conv_5x5 0 dil_conv_3x3 2, dil_conv_3x3 1 sep_conv_3x3 0, "
        "sep_conv_3x3 2 skip_connect 0",
        "avg_pool_3x3 0 sep_conv_5x5 1, dil_conv_5x5 2 max_pool_3x3 1, dil_conv_5x5 3 sep_conv_3x3 1, "
        "dil_conv_5x5 4 sep_conv_5x5 1",
    ),
    "ISTA-NAS-onestage": (
        "skip_connect 0 dil_conv_3x3 1, sep_conv_3x3 1 dil_conv_5x5 2, avg_pool_3x3 3 sep_conv_3x3 1, "
        "sep_conv_5x5 1 sep_conv_3x3 2",
        "avg_pool_3x3 0 max_pool_3x3 1, skip_connect 0 max_pool_3x3 1, sep_conv_5x5 1 avg_pool_3x3 0, "
        "max_pool_3x3 0 dil_conv_5x5 2",
    ),
    "ISTA-NAS-ImageNet": (
        "sep_conv_3x3 1 sep_conv_3x3 0, sep_conv_3x3 1 skip_connect 2, sep_conv_3x3 1 sep_conv_3x3 0, "
        "sep_conv_3x3 1 dil_conv_5x5 4",
        "skip_connect 0 sep_conv_3x3 1, dil_conv_5x5 2 sep_conv_3x3 0, sep_conv_3x3 0 skip_connect 2, "
        "sep_conv_3x3 2 skip_connect 3",
    ),
    "Shapley-NAS-CIFAR": (
        "sep_conv_3x3 0 sep_conv_3x3 1, sep_conv_3x3 1 dil_conv_3x3 0, dil_conv_3x3 2 skip_connect 3, "
        "sep_conv_3x3 1 dil_conv_5x5 3",
        "sep_conv_3x3 1 max_pool_3x3 0, dil_conv_5x5 2 sep_conv_3x3 0, sep_conv_3x3 2 max_pool_3x3 0, "
        "dil_conv_3x3 3 skip_connect 2",
    ),
    "Shapley-NAS-ImageNet": (
        "sep_conv_3x3 1 sep_conv_5x5 0, dil_conv_5x5 2 skip_connect 1, sep_conv_3x3 2 sep_conv_5x5 0, "
        "sep_conv_3x3 1 skip_connect 2",
        "sep_conv_3x3 1 dil_conv_3x3 0, avg_pool_3x3 2 sep_conv_5x5 1, sep_conv_3x3 3 skip_connect 1, "
        "sep_conv_3x3 2 sep_conv_3x3 4",
    ),
    "DARTS-minus-CIFAR10": (
        "sep_conv_3x3 0 sep_conv_5x5 1, sep_conv_3x3 1 dil_conv_3x3 2, skip_connect 1 sep_conv_3x3 0, "
        "skip_connect 1 sep_conv_3x3 0",
        "sep_conv_3x3 0 max_pool_3x3 1, skip_connect 2 max_pool_3x3 0, skip_connect 2 skip_connect 3, "
        "skip_connect 2 skip_connect 3",
    ),
    "DARTS-minus-CIFAR100": (
        "dil_conv_5x5 0 dil_conv_3x3 1, sep_conv_3x3 1 dil_conv_3x3 0, dil_conv_5x5 0 dil_conv_3x3 1, "
        "sep_conv_3x3 1 dil_conv_5x5 0",
        "max_pool_3x3 0 sep_conv_5x5 1, skip_connect 2 sep_conv_5x5 0, skip_connect 2 skip_connect 3, "
        "skip_connect 2 skip_connect 3",
    ),
    "MiLeNAS": (
        "sep_conv_3x3 1 sep_conv_3x3 0, dil_conv_3x3 0 sep_conv_3x3 1, skip_connect 0 sep_conv_3x3 1, "
        "sep_conv_3x3 0 sep_conv_5x5 1",
        "dil_conv_3x3 0 sep_conv_3x3 1, skip_connect 2 max_pool_3x3 0, skip_connect 2 dil_conv_5x5 3, "
        "skip_connect 2 max_pool_3x3 0",
    ),
}


@cache
def nasnet_genotype(name: str) -> nasnet.Genotype:
    """A published genotype of the NASNet space.

    Source: the cells as their authors' code lists them.
    """
    normal, normal_concat, reduction, reduction_concat = NASNET[name]
    return nasnet.Genotype(nasnet.parse_cell(normal, normal_concat), nasnet.parse_cell(reduction, reduction_concat))


@cache
def darts_genotype(name: str) -> darts.Genotype:
    """A published genotype of the DARTS space.

    Source: the genotypes as their authors' code lists them.
    """
    normal, reduction = DARTS[name]
    return darts.Genotype(darts.parse_cell(normal), darts.parse_cell(reduction))
