from __future__ import annotations

import pytest
import timm
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ma2ml_env.models import cost
from ma2ml_env.types import Cost


def half_of_torch(model: nn.Module, image_size: int, in_channels: int) -> int:
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model.eval()(torch.zeros(1, in_channels, image_size, image_size))
    return counter.get_total_flops() // 2


def test_a_convolution_and_a_linear_layer_cost_their_multiply_accumulates():
    model = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2, bias=False), nn.Flatten(), nn.Linear(4 * 3 * 3, 5))
    assert cost(model, image_size=7) == Cost(flops=9 * 3 * 4 * 9 + 36 * 5, params=108 + 36 * 5 + 5)


@pytest.mark.parametrize("name", ["resnet18", "mobilenetv3_small_050", "convnext_atto"])
def test_the_flops_are_half_of_what_torch_counts(name):
    model = timm.create_model(name, num_classes=10)
    assert cost(model, 64).flops == half_of_torch(model, 64, 3)


def test_a_frozen_parameter_is_not_counted():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 2, 1))
    model[0].requires_grad_(requires_grad=False)
    assert cost(model, 8).params == 4 * 2 + 2


def test_counting_leaves_the_network_as_it_was():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout())
    model[1].eval()
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    cost(model, 8)
    assert [module.training for module in model.modules()] == [True, True, False, True]
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
    assert all(not parameter.is_meta for parameter in model.parameters())


def test_a_network_on_the_meta_device_counts_the_same():
    real = timm.create_model("resnet18", num_classes=10)
    with torch.device("meta"):
        meta = timm.create_model("resnet18", num_classes=10)
    assert cost(real, 64) == cost(meta, 64)


def test_images_that_the_network_cannot_take_are_refused():
    model = nn.Sequential(nn.Conv2d(3, 4, 5))
    with pytest.raises(ValueError, match="does not accept images of 1x8x8"):
        cost(model, 8, in_channels=1)
    with pytest.raises(ValueError, match="3x2x2"):
        cost(model, 2)
