from __future__ import annotations

import numpy as np
import pytest
import torch

from ma2ml_env.models import build_network, cost, count
from ma2ml_env.models.darts import DARTSSkeleton, operation
from ma2ml_env.models.layers import chain_cost
from ma2ml_env.search_spaces import nasnet
from ma2ml_env.search_spaces.darts import OPERATIONS, Block, Cell, Genotype, darts, parse_cell

SPACE = darts()
SMALL = DARTSSkeleton(filters=4, layers=3)
SIZES = {"image_size": 8, "in_channels": 1, "num_classes": 10}
RNG = np.random.default_rng(0)
ACTIONS = [SPACE.sample(RNG) for _ in range(20)]
THREE = "skip_connect 0 skip_connect 1, skip_connect 0 skip_connect 1, skip_connect 0 skip_connect 1, "

# Counted once from the authors' code: parameters and multiply-accumulates for 16 channels of 32x32.
SINGLE = {
    ("skip_connect", 1): (0, 0),
    ("skip_connect", 2): (288, 65536),
    ("avg_pool_3x3", 2): (0, 0),
    ("sep_conv_3x3", 2): (864, 204800),
    ("sep_conv_5x5", 1): (1376, 1343488),
    ("dil_conv_3x3", 1): (432, 409600),
    ("dil_conv_5x5", 2): (688, 167936),
}


def test_a_node_chooses_an_unordered_pair_of_inputs_and_two_operations():
    assert SPACE.nvec.tolist() == [1, 7, 7, 3, 7, 7, 6, 7, 7, 10, 7, 7] * 2


@pytest.mark.parametrize(("name", "stride"), SINGLE)
def test_a_single_operation_costs_what_it_costs_in_the_authors_code(name, stride):
    found = chain_cost(operation(name, 16, stride), (32, 32))
    assert (found.params, found.flops) == SINGLE[name, stride]


@pytest.mark.parametrize("image_size", [32, 45])
def test_the_imagenet_network_agrees_with_the_arithmetic(image_size):
    skeleton = DARTSSkeleton(filters=6, layers=4, stem="imagenet")
    sizes = {"image_size": image_size, "in_channels": 3, "num_classes": 5}
    model = build_network(SPACE.decode(ACTIONS[0]), skeleton, **sizes)
    assert cost(model, image_size) == count(SPACE.decode(ACTIONS[0]), skeleton, **sizes)
    assert model.eval()(torch.randn(2, 3, image_size, image_size)).shape == (2, 5)


@pytest.mark.parametrize(
    ("skeleton", "image_size", "classes", "auxiliary"),
    [(DARTSSkeleton(36, 20), 32, 10, 476426), (DARTSSkeleton(48, 14, "imagenet"), 224, 1000, 1260776)],
)
def test_the_auxiliary_classifier_has_the_authors_size(skeleton, image_size, classes, auxiliary):
    genotype = SPACE.decode(SPACE.default)
    with_head = DARTSSkeleton(skeleton.filters, skeleton.layers, skeleton.stem, auxiliary=True)
    with torch.device("meta"):
        model = build_network(genotype, with_head, image_size=image_size, in_channels=3, num_classes=classes)
    assert sum(parameter.numel() for parameter in model.auxiliary.parameters()) == auxiliary


def test_the_order_of_a_node_s_edges_does_not_matter():
    one = parse_cell("sep_conv_3x3 1 skip_connect 0, " + THREE[:-2])
    other = parse_cell("skip_connect 0 sep_conv_3x3 1, " + THREE[:-2])
    assert SPACE.encode(Genotype(one, one)) == SPACE.encode(Genotype(other, other))
    sizes = {"image_size": 16, "in_channels": 3, "num_classes": 10}
    assert count(Genotype(one, one), SMALL, **sizes) == count(Genotype(other, other), SMALL, **sizes)


def test_a_node_with_the_same_input_twice_cannot_be_said():
    cell = parse_cell(THREE + "skip_connect 2 sep_conv_3x3 2")
    with pytest.raises(ValueError, match="normal node 4 uses state 2 twice"):
        SPACE.encode(Genotype(cell, cell))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (THREE[:-2], "4 blocks, not 3"),
        (THREE + "skip_connect 0 skip_connect 5", "state 5, but only states 0..4"),
        (THREE + "skip_connect 0 skipconnect 1", "did you mean 'skip_connect'"),
        (THREE + "skip_connect 0 conv_1x1 1", "unknown operation 'conv_1x1'"),
    ],
)
def test_a_cell_that_cannot_be_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        parse_cell(text)


def test_a_cell_has_blocks_of_its_own_that_add_and_are_all_concatenated():
    with pytest.raises(ValueError, match="adds its two operations"):
        Block((0, 1), OPERATIONS[:2], "concat")
    node = Block((0, 1), OPERATIONS[:2])
    with pytest.raises(ValueError, match="concatenates its four nodes"):
        Cell((node,) * 4, (4, 5))
    with pytest.raises(ValueError, match="made of DARTS blocks"):
        Cell((nasnet.Block((0, 1), ("avg_pool_3x3", "avg_pool_3x3")),) * 4)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"stem": "cifar10"}, "did you mean 'cifar'"), ({"layers": 2}, "layers must"), ({"filters": 1}, "filters must")],
)
def test_a_skeleton_that_cannot_be_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        DARTSSkeleton(**options)


def test_an_image_too_small_for_the_reductions_is_refused_at_build_time():
    with pytest.raises(ValueError, match="too small"):
        build_network(SPACE.decode(SPACE.default), SMALL, image_size=2, in_channels=1, num_classes=10)


def test_a_genotype_says_its_cells_in_words():
    text = str(SPACE.decode(SPACE.default))
    assert "block 4: skip connection of the previous input plus 3x3 dilated separable convolution of block 1" in text
