from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ma2ml_env.models import build_network, cost, count
from ma2ml_env.models.layers import RELU, Conv, chain_cost
from ma2ml_env.models.modules import CellModule, DropPath, PointwiseConv, conv2d
from ma2ml_env.models.nasnet import NASNetSkeleton, plan
from ma2ml_env.models.nasnet_cells import cell_plan, operation
from ma2ml_env.search_spaces.nasnet import OPERATIONS, Block, Cell, Genotype, nasnet, parse_cell

SPACE = nasnet()
DIGITS = NASNetSkeleton(filters=4, repeats=1, stages=2)
GREY = {"image_size": 8, "in_channels": 1, "num_classes": 10}
RNG = np.random.default_rng(0)
ACTIONS = [SPACE.sample(RNG) for _ in range(20)]
IDENTITIES = "0 1 identity identity, 0 0 identity identity, 0 0 identity identity, 0 0 identity identity, "

# Counted once from the authors' code: parameters and multiply-accumulates for 16 channels of 32x32.
SINGLE = {
    ("identity", 1): (0, 0),
    ("identity", 2): (288, 65536),
    ("avg_pool_3x3", 2): (0, 0),
    ("max_pool_7x7", 1): (0, 0),
    ("sep_conv_3x3", 1): (864, 819200),
    ("sep_conv_5x5", 2): (1376, 335872),
    ("sep_conv_7x7", 1): (2144, 2129920),
    ("conv_1x1", 2): (288, 65536),
    ("conv_3x3", 1): (320, 278528),
    ("conv_3x3", 2): (320, 118784),
    ("conv_1x7_7x1", 1): (408, 360448),
    ("conv_1x7_7x1", 2): (408, 167936),
    ("conv_1x3_3x1", 1): (476, 417792),
    ("conv_1x3_3x1", 2): (476, 205824),
}


def test_the_space_has_the_published_fifty_decisions():
    cell = [n for block in range(5) for n in (block + 2, block + 2, 13, 13, 2)]
    assert SPACE.nvec.tolist() == cell * 2
    assert SPACE.size == 5229943396058757337940161399357440000


def test_an_architecture_in_any_order_of_its_choices_is_the_same():
    choices = SPACE.choices(ACTIONS[0])
    assert SPACE.build(dict(reversed(choices.items()))) == SPACE.decode(ACTIONS[0])


@pytest.mark.parametrize(("name", "stride"), SINGLE)
def test_a_single_operation_costs_what_it_costs_in_the_authors_code(name, stride):
    found = chain_cost(operation(name, 16, 16, stride), (32, 32))
    assert (found.params, found.flops) == SINGLE[name, stride]
    assert found.size == (32 // stride, 32 // stride)


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("inputs", [6, 12])
def test_every_operation_brings_any_input_to_the_wanted_channels_and_size(name, stride, inputs):
    from ma2ml_env.models.modules import build_chain

    out = build_chain(operation(name, inputs, 6, stride))(torch.randn(2, inputs, 7, 7))
    assert out.shape == (2, 6, -(-7 // stride), -(-7 // stride))


def test_the_imagenet_stem_and_odd_sizes_agree_with_the_arithmetic_too():
    skeleton = NASNetSkeleton(filters=10, repeats=1, stem="imagenet", skip_reduction_input=True)
    genotype = SPACE.decode(ACTIONS[1])
    sizes = {"image_size": 67, "in_channels": 3, "num_classes": 7}
    assert cost(build_network(genotype, skeleton, **sizes), 67) == count(genotype, skeleton, **sizes)


def test_nasnet_a_large_has_as_many_parameters_as_timm_s():
    import timm

    from ma2ml_env import published

    with torch.device("meta"):
        theirs = timm.create_model("nasnetalarge", num_classes=1000)
    ours = published.network("NASNet-A", filters=168, repeats=6).cost()
    assert ours.params == sum(parameter.numel() for parameter in theirs.parameters())


def test_only_operations_on_the_inputs_of_a_reduction_cell_are_strided():
    for action in ACTIONS[:20]:
        cell = SPACE.decode(action).reduction
        for block in cell_plan(cell, 8, 8, 8, True, False, False, False).blocks:
            for edge in block[:2]:
                size = chain_cost(edge.chain, (16, 16)).size
                assert size == ((8, 8) if edge.state < 2 else (16, 16))


def test_a_cell_computes_what_its_words_say():
    cell = parse_cell(
        "0 1 conv_1x1 max_pool_3x3, 2 0 identity avg_pool_3x3, 2 2 identity identity, "
        "1 0 identity sep_conv_3x3, 0 5 identity identity"
    )
    module = CellModule(cell_plan(cell, 3, 5, 4, False, False, False, False), 0.0).eval()
    previous, current = torch.randn(2, 3, 6, 6), torch.randn(2, 5, 6, 6)
    h0 = module.inputs[0].chain(F.relu(current))
    h1 = module.inputs[1].chain(F.relu(previous))
    block1 = module.edges[0].chain(F.relu(h0)) + F.max_pool2d(h1, 3, 1, 1)
    block2 = block1 + F.avg_pool2d(h0, 3, 1, 1, count_include_pad=False)
    block4 = h1 + module.edges[7].chain(F.relu(h0))
    expected = torch.cat([block2, block1 + block1, h0 + block4], dim=1)
    torch.testing.assert_close(module(previous, current), expected)


def test_a_concatenating_block_has_twice_the_channels():
    adding = parse_cell(IDENTITIES + "0 0 identity identity")
    joining = Cell((*adding.blocks[:4], Block((0, 0), ("identity", "identity"), "concat")))
    widths = [cell_plan(cell, 4, 4, 4, False, False, False, False).channels for cell in (adding, joining)]
    assert widths == [5 * 4, 6 * 4]


def test_the_strict_rule_concatenates_what_no_block_uses():
    cell = parse_cell(
        "0 0 identity identity, 2 0 identity identity, 2 0 identity identity, "
        "3 0 identity identity, 0 0 identity identity"
    )
    assert cell.unused == cell.outputs == (1, 4, 5, 6)


def test_an_explicit_concatenation_is_sayable_only_if_it_is_the_strict_one():
    genotype = SPACE.decode(ACTIONS[0])
    unused = genotype.normal.unused
    same = Genotype(Cell(genotype.normal.blocks, unused), genotype.reduction)
    assert SPACE.encode(same) == ACTIONS[0]
    other = Genotype(Cell(genotype.normal.blocks, (0, 1)), genotype.reduction)
    with pytest.raises(ValueError, match=r"normal cell concatenates states \(0, 1\)"):
        SPACE.encode(other)


def test_a_genotype_says_its_cells_in_words():
    text = str(SPACE.decode(SPACE.default))
    assert "block 1: 5x5 separable convolution of the current input plus 3x3 separable convolution of the prev" in text
    assert text.count("block 5:") == 2
    assert text.count("output:") == 2


def test_an_unknown_operation_is_answered_with_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'sep_conv_3x3'"):
        Block((0, 1), ("sepconv_3x3", "identity"))


@pytest.mark.parametrize(
    ("text", "concat", "message"),
    [
        (IDENTITIES + "0 6 identity identity", None, "block 5 uses state 6, but only states 0..5"),
        (IDENTITIES + "0 -1 identity identity", None, "uses state -1"),
        (IDENTITIES[:-2], None, "has 5 blocks, not 4"),
        (IDENTITIES + "0 0 identity identity", (7,), "among 0..6"),
        (IDENTITIES + "0 0 identity identity", (), "at least one"),
        (IDENTITIES + "0 0 identity identity", (2, 2), "different states"),
    ],
)
def test_a_cell_that_cannot_be_is_refused(text, concat, message):
    with pytest.raises(ValueError, match=message):
        parse_cell(text, concat)


def test_a_block_with_a_wrong_count_or_combiner_is_refused():
    with pytest.raises(ValueError, match="2 inputs and 2 operations"):
        Block((0,), ("identity", "identity"))
    with pytest.raises(ValueError, match="did you mean 'concat'"):
        Block((0, 1), ("identity", "identity"), "concatenate")


def test_an_image_too_small_for_the_reductions_is_refused_at_build_time():
    genotype = SPACE.decode(SPACE.default)
    deep = NASNetSkeleton(filters=4, repeats=1, stages=4)
    build_network(genotype, deep, **GREY)
    with pytest.raises(ValueError, match="too small"):
        build_network(genotype, deep, image_size=4, in_channels=1, num_classes=10)
    with pytest.raises(ValueError, match="too small"):
        count(genotype, deep, image_size=4, in_channels=1, num_classes=10)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stem": "imagnet"}, "did you mean 'imagenet'"),
        ({"style": "enass"}, "did you mean 'enas'"),
        ({"filters": 0}, "filters must be in 1"),
        ({"repeats": 0}, "repeats must be in 1"),
        ({"stages": 1, "auxiliary": True}, "at least 2 stages"),
    ],
)
def test_a_skeleton_that_cannot_be_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        NASNetSkeleton(**{"filters": 8, "repeats": 1, **options})


def test_a_skeleton_of_another_family_and_a_stranger_are_refused():
    from ma2ml_env.models.darts import DARTSSkeleton

    with pytest.raises(ValueError, match="needs a NASNetSkeleton as its skeleton, not a DARTSSkeleton"):
        build_network(SPACE.decode(SPACE.default), DARTSSkeleton(), **GREY)
    with pytest.raises(ValueError, match="no network is built from a builtins:dict"):
        count({}, DIGITS, **GREY)


def test_drop_path_keeps_the_mean_and_grows_over_depth_and_training():
    model = build_network(SPACE.decode(SPACE.default), DIGITS, drop_path=0.4, **GREY)
    probabilities = [m.probability for m in model.modules() if isinstance(m, DropPath)]
    assert probabilities == sorted(probabilities)
    assert probabilities[-1] == 0.4
    torch.manual_seed(0)
    path = DropPath(0.4)
    path.progress = 0.5
    dropped = path(torch.ones(20_000, 1, 1, 1))
    assert dropped.unique().tolist() == pytest.approx([0.0, 1 / 0.8])
    assert dropped.mean().item() == pytest.approx(1.0, abs=0.02)


def test_drop_path_does_nothing_at_the_beginning_and_in_evaluation():
    path = DropPath(0.5)
    x = torch.randn(8, 2, 3, 3)
    path.progress = 0.0
    assert torch.equal(path(x), x)
    path.progress = 1.0
    assert torch.equal(path.eval()(x), x)


def test_drop_path_refuses_what_is_no_probability():
    genotype = SPACE.decode(SPACE.default)
    with pytest.raises(ValueError, match="drop_path"):
        build_network(genotype, DIGITS, drop_path=1.0, **GREY)
    with pytest.raises(ValueError, match="progress"):
        build_network(genotype, DIGITS, **GREY).set_drop_path_progress(1.5)


def test_an_auxiliary_classifier_answers_in_training_only_and_is_not_counted():
    genotype = SPACE.decode(SPACE.default)
    skeleton = NASNetSkeleton(filters=4, repeats=1, stages=2, auxiliary=True)
    model = build_network(genotype, skeleton, **GREY)
    x = torch.randn(3, 1, 8, 8)
    logits, auxiliary = model(x)
    assert logits.shape == auxiliary.shape == (3, 10)
    assert model.eval()(x).shape == (3, 10)
    assert cost(model, 8, 1) == count(genotype, skeleton, **GREY) == count(genotype, DIGITS, **GREY)


def test_a_network_does_not_change_its_input_and_gives_the_same_in_channels_last():
    model = build_network(SPACE.decode(ACTIONS[2]), DIGITS, **GREY).eval()
    x = torch.randn(2, 1, 8, 8)
    kept = x.clone()
    plain = model(x)
    assert torch.equal(x, kept)
    last = model.to(memory_format=torch.channels_last)(x.to(memory_format=torch.channels_last))
    torch.testing.assert_close(last, plain, rtol=1e-4, atol=1e-5)


def test_the_enas_style_squeezes_the_current_input_twice():
    genotype = SPACE.decode(SPACE.default)
    chains = [
        plan(genotype, NASNetSkeleton(8, 1, style=style), image_size=32, in_channels=3, num_classes=10).cells[0].inputs
        for style in ("nasnet", "enas")
    ]
    convolutions = [[sum(isinstance(layer, Conv) for layer in edge.chain) for edge in edges] for edges in chains]
    assert convolutions == [[1, 0], [2, 1]]
    assert chains[1][0].chain.count(RELU) == 2


def test_counting_by_arithmetic_loads_no_torch():
    code = (
        "import sys; from ma2ml_env.search_spaces.nasnet import nasnet; from ma2ml_env.models import count;"
        "from ma2ml_env.models.nasnet import NASNetSkeleton; s = nasnet();"
        "count(s.decode(s.default), NASNetSkeleton(8, 1), image_size=32, in_channels=3, num_classes=10);"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("size", [7, 8])
@pytest.mark.parametrize("stride", [(2, 2), (1, 2)])
def test_a_narrow_strided_pointwise_convolution_is_what_torch_computes_without_its_fast_library(
    size: int, stride: tuple[int, int]
) -> None:
    torch.manual_seed(0)
    narrow = conv2d(4, 6, (1, 1), stride, bias=False)
    assert isinstance(narrow, PointwiseConv)
    x = torch.randn(5, 4, size, size, requires_grad=True)
    weight = narrow.weight.detach().clone().requires_grad_()
    with torch.backends.mkldnn.flags(enabled=False):
        expected = F.conv2d(x, weight, stride=stride)
        gradients = torch.autograd.grad(expected.square().sum(), (x, weight))
    out = narrow(x)
    torch.testing.assert_close(out, expected)
    torch.testing.assert_close(torch.autograd.grad(out.square().sum(), (x, narrow.weight)), gradients)
    for wide in (conv2d(8, 8, (1, 1), stride), conv2d(4, 6, (1, 1), (1, 1)), conv2d(4, 6, (3, 3), stride)):
        assert type(wide) is torch.nn.Conv2d
