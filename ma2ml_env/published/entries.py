"""Published architectures and policies: their sources, their networks, and the reported sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

CIFAR = {"image_size": 32, "num_classes": 10, "stem": "cifar"}
IMAGENET = {"image_size": 224, "num_classes": 1000, "stem": "imagenet"}


@dataclass(frozen=True)
class Entry:
    """One published architecture or policy.

    Attributes:
        family: `"nasnet"`, `"darts"`, `"fbnetv3"`, `"residual"`, `"timm"` or `"policy"`.
        source: paper or code that it comes from.
        network: options of the network that is built by default.
        elsewhere: options of the network on the other kind of images (CIFAR-like for an ImageNet network).
        variants: {(filters, repeats): further options of the published network of that size}.
        published_params: as published, None if not known.
        published_flops: as published, multiply-accumulates unless the note says otherwise, None if not known.
        note: reason why a published figure is not reproduced.
    """

    family: str
    source: str
    network: Mapping[str, Any] = field(default_factory=dict)
    elsewhere: Mapping[str, Any] = field(default_factory=dict)
    variants: Mapping[tuple[int, int], Mapping[str, Any]] = field(default_factory=dict)
    published_params: float | None = None
    published_flops: float | None = None
    note: str = ""


def _darts(source: str, imagenet: bool = False, classes: int = 10, **published: Any) -> Entry:
    cifar = {**CIFAR, "num_classes": classes, "filters": 36, "layers": 20}
    mobile = {**IMAGENET, "filters": 48, "layers": 14}
    home, other = (mobile, cifar) if imagenet else (cifar, mobile)
    return Entry("darts", source, home, other, **published)


def _nasnet(source: str, cifar: tuple[int, int], imagenet: tuple[int, int], **rest: Any) -> Entry:
    sizes = {"filters": imagenet[0], "repeats": imagenet[1]}
    return Entry("nasnet", source, IMAGENET | sizes, {**CIFAR, "filters": cifar[0], "repeats": cifar[1]}, **rest)


def _fbnetv3(flops: float | None, params: float | None = None, note: str = "") -> Entry:
    size = {"num_classes": 1000}
    return Entry("fbnetv3", _FBNETV3, size, published_params=params, published_flops=flops, note=note)


def _resnet(params: float) -> Entry:
    source = "He et al., CVPR 2016; shortcuts of option B, projections"
    return Entry("residual", source, {"image_size": 32, "num_classes": 10}, published_params=params)


_FBNETV3 = "Dai et al., CVPR 2021; mobile-vision"
_BN_RELU = "its published figure adds 2 operations per normalized element and 1 per ReLU to the multiply-accumulates"
_LARGE = {"image_size": 331, "num_classes": 1000, "stem": "imagenet"}

ENTRIES = {
    "NASNet-A": _nasnet(
        "Zoph et al., CVPR 2018",
        cifar=(32, 6),
        imagenet=(44, 4),
        variants={(168, 6): {**_LARGE, "stem_multiplier": 3.0, "skip_reduction_input": True}},
        published_params=5.3e6,
        published_flops=564e6,
    ),
    "AmoebaNet-A": _nasnet(
        "Real et al., AAAI 2019",
        cifar=(36, 6),
        imagenet=(50, 4),
        variants={(190, 6): _LARGE},
        published_params=5.1e6,
        published_flops=555e6,
    ),
    "AmoebaNet-C": _nasnet(
        "Real et al., AAAI 2019",
        cifar=(36, 6),
        imagenet=(50, 4),
        published_params=6.4e6,
        published_flops=570e6,
        note="the public cell does not reproduce the published FLOPs, its parameters agree",
    ),
    "ENAS": Entry(
        "nasnet",
        "Pham et al., ICML 2018",
        {**CIFAR, "filters": 36, "repeats": 5, "style": "enas"},
        {**IMAGENET, "filters": 44, "repeats": 4, "style": "enas"},
        published_params=4.6e6,
        note="the public cell does not reproduce the published parameters",
    ),
    "DARTS-V1": _darts("Liu et al., ICLR 2019, first order", published_params=3.3e6),
    "DARTS-V2": _darts("Liu et al., ICLR 2019, second order", published_params=3.3e6),
    "PC-DARTS-CIFAR": _darts("Xu et al., ICLR 2020", published_params=3.6e6),
    "PC-DARTS-ImageNet": _darts(
        "Xu et al., ICLR 2020", imagenet=True, published_params=5.3e6, published_flops=597e6, note=_BN_RELU
    ),
    "ISTA-NAS-onestage": _darts("Yang et al., NeurIPS 2020", published_params=3.37e6),
    "ISTA-NAS-twostage": _darts("Yang et al., NeurIPS 2020", published_params=3.32e6),
    "ISTA-NAS-ImageNet": _darts(
        "Yang et al., NeurIPS 2020", imagenet=True, published_params=5.65e6, published_flops=638e6, note=_BN_RELU
    ),
    "Shapley-NAS-CIFAR": _darts("Xiao et al., CVPR 2022"),
    "Shapley-NAS-ImageNet": _darts(
        "Xiao et al., CVPR 2022",
        imagenet=True,
        published_params=5.4e6,
        published_flops=582e6,
        note="the public genotype does not reproduce the published FLOPs",
    ),
    "DARTS-minus-CIFAR10": _darts("Chu et al., ICLR 2021", published_params=3.5e6),
    "DARTS-minus-CIFAR100": _darts("Chu et al., ICLR 2021", classes=100),
    "MiLeNAS": _darts("He et al., CVPR 2020", published_params=3.87e6),
    "FBNetV3-A0": _fbnetv3(217e6),
    "FBNetV3-A": _fbnetv3(357e6),
    "FBNetV3-B": _fbnetv3(461e6),
    "FBNetV3-C": _fbnetv3(557e6),
    "FBNetV3-D": _fbnetv3(644e6),
    "FBNetV3-E": _fbnetv3(762e6),
    "FBNetV3-F": _fbnetv3(None),
    "FBNetV3-G": _fbnetv3(2.1e9),
    "ResNet-20": _resnet(0.27e6),
    "ResNet-32": _resnet(0.46e6),
    "ResNet-56": _resnet(0.85e6),
    "EfficientNet-B1": Entry(
        "timm",
        "Tan and Le, ICML 2019; timm",
        {"model": "efficientnet_b1", "image_size": 240, "num_classes": 1000},
        published_params=7.8e6,
        published_flops=700e6,
    ),
    "RegNetY-600MF": Entry(
        "timm",
        "Radosavovic et al., CVPR 2020; timm",
        {"model": "regnety_006", "image_size": 224, "num_classes": 1000},
        published_params=6.1e6,
        published_flops=600e6,
    ),
    **{
        f"AutoAugment-{data}": Entry("policy", "Cubuk et al., CVPR 2019; torchvision", note="a policy has no size")
        for data in ("CIFAR10", "ImageNet", "SVHN")
    },
}
