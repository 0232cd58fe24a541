"""Published tables that the user supplies: small files of each format, and the recipes that write them."""

from __future__ import annotations

import csv
import math
import sys
from collections import OrderedDict
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

import ma2ml_env
from ma2ml_env import AutoMLEnv, registry
from ma2ml_env.benchmark_tables import jahs201, nas_hpo_bench2, nasbench201
from ma2ml_env.evaluators.benchmark_tables import EVALUATORS, published_parts
from ma2ml_env.reward import accuracy
from ma2ml_env.search_spaces.benchmark_table import CELL_OPERATIONS, TABLES, published_spaces
from ma2ml_env.testing import check_env, check_evaluator, check_search_space

ARCHES = {
    (0, 1, 2, 3, 4, 0): "|none~0|+|skip_connect~0|nor_conv_1x1~1|+|nor_conv_3x3~0|avg_pool_3x3~1|none~2|",
    (3, 3, 3, 3, 3, 3): "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+"
    "|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|",
}


def environment(table, file, **options):
    return AutoMLEnv(*published_parts(table, str(file), **options), accuracy, name=f"mine/{table}-v0")


def trial(epochs, seed, accuracies, seconds=2.0):
    """One training as NAS-Bench-201's file holds it."""
    return {
        "name": "infer.tiny",
        "net_state_dict": None,
        "train_acc1es": OrderedDict((epoch, 50.0) for epoch in range(epochs)),
        "train_times": OrderedDict((epoch, seconds) for epoch in range(epochs)),
        "arch_config": {"channel": 16, "num_cells": 5, "class_num": 10},
        "params": 0.5,
        "flop": 80.0,
        "seed": seed,
        "epochs": epochs,
        "latency": [0.01],
        "eval_names": sorted(accuracies),
        "eval_acc1es": {f"{name}@{epochs - 1}": value for name, value in accuracies.items()},
    }


def nasbench201_content():
    content = {"meta_archs": list(ARCHES.values()), "arch2infos": {}, "evaluated_indexes": set(range(len(ARCHES)))}
    for index, arch in enumerate(ARCHES.values()):
        content["arch2infos"][index] = {
            budget: {
                "arch_index": index,
                "arch_str": arch,
                "all_results": OrderedDict(
                    {
                        ("cifar10-valid", 888): trial(epochs, 888, {"x-valid": 70.0 + index, "ori-test": 60.0}),
                        ("cifar10-valid", 777): trial(epochs, 777, {"x-valid": 72.0 + index, "ori-test": 61.0}),
                        ("cifar100", 777): trial(epochs, 777, {"x-valid": 40.0 + index, "x-test": 41.0}),
                    }
                ),
                "dataset_seed": {"cifar10-valid": [777, 888], "cifar100": [777]},
                "clear_net_done": True,
            }
            for budget, epochs in (("less", 12), ("full", 200))
        }
    return content


@pytest.fixture
def benchmark_file(tmp_path):
    torch.save(nasbench201_content(), tmp_path / "NAS-Bench-201-v1_1-096897.pth")
    return tmp_path / "NAS-Bench-201-v1_1-096897.pth"


def test_nasbench201_is_read_from_its_own_file(benchmark_file):
    env = environment("nasbench201", benchmark_file, missing="fail")
    for index, cell in enumerate(ARCHES):
        for budget, epochs in enumerate((12, 200)):
            pipeline = env.decode({"nas": cell, "hpo": (budget,)})
            assert list(pipeline["nas"].values()) == [CELL_OPERATIONS[choice] for choice in cell]
            seen = [env.evaluate(pipeline, seed=seed) for seed in range(30)]
            assert sorted({r.accuracy for r in seen}) == pytest.approx([0.70 + index / 100, 0.72 + index / 100])
            exact = env.expected(pipeline)
            assert exact.accuracy == pytest.approx(0.71 + index / 100)
            assert (exact.flops, exact.params, exact.seconds) == (80e6, 5e5, 2.0 * epochs)
    assert env.evaluate(env.decode({"nas": [0] * 6, "hpo": 0})).failed
    check_env(env)
    check_evaluator(env.evaluator, env.search_spaces)


def test_nasbench201_has_other_data_sets_and_splits(benchmark_file):
    pipeline_of = {"nas": next(iter(ARCHES)), "hpo": (0,)}
    for dataset, split, expected in (("cifar100", "x-test", 0.41), ("cifar10-valid", "ori-test", 0.605)):
        env = environment("nasbench201", benchmark_file, dataset=dataset, split=split)
        assert env.expected(env.decode(pipeline_of)).accuracy == pytest.approx(expected)
    with pytest.raises(ValueError, match="no training on 'cifar10' that was evaluated on 'x-valid'"):
        environment("nasbench201", benchmark_file, dataset="cifar10").evaluator.load()


class NATSBench:
    """NATS-Bench's programming interface, as far as the recipe uses it, on the small content."""

    def __init__(self):
        self.content = nasbench201_content()["arch2infos"]

    def create(self, folder, space, *, fast_mode, verbose):
        assert (folder[:8], space, fast_mode, verbose) == ("NATS-tss", "tss", True, False)
        return self

    def __len__(self):
        return len(self.content)

    def arch(self, index):
        return list(ARCHES.values())[index]

    def query_by_index(self, index, dataset, hp):
        results = self.content[index][{"12": "less", "200": "full"}[hp]]["all_results"]
        return {seed: self.run(found) for (name, seed), found in results.items() if name == dataset}

    def run(self, found):
        last = found["epochs"] - 1
        return SimpleNamespace(
            flop=found["flop"],
            params=found["params"],
            get_eval=lambda name: {"accuracy": found["eval_acc1es"][f"{name}@{last}"]},
            get_train=lambda: {"all_time": sum(found["train_times"].values())},
        )


def test_what_the_nats_recipe_writes_is_the_same_table(benchmark_file, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "nats_bench", NATSBench())
    monkeypatch.chdir(tmp_path)
    exec(nasbench201.RECIPE, {})
    ours, theirs = (environment("nasbench201", tmp_path / name) for name in ("nats.csv", benchmark_file.name))
    for cell in ARCHES:
        for budget, seed in np.ndindex(2, 8):
            pipeline = ours.decode({"nas": cell, "hpo": (budget,)})
            assert ours.evaluate(pipeline, seed=seed) == theirs.evaluate(pipeline, seed=seed)


def test_a_torch_file_with_more_than_plain_data_is_refused_with_the_recipe(tmp_path):
    torch.save({"arch2infos": {}, "more": Fraction(1, 2)}, tmp_path / "more.pth")
    torch.save({"weights": torch.zeros(1)}, tmp_path / "other.pth")
    (tmp_path / "damaged.pth").write_bytes(b"not a torch file")
    for name, says in (("more", "nats_bench.create"), ("damaged", "nats_bench.create"), ("other", "no 'arch2infos'")):
        with pytest.raises(ValueError, match=says):
            environment("nasbench201", tmp_path / f"{name}.pth").evaluator.load()


def frames(epochs=(199, 200)):
    """JAHS-Bench-201's data frame: columns of two levels, a row per epoch."""
    rows = []
    for number, (rate, decay) in enumerate([(0.0029, 1e-5), (0.0035, 1.2e-5), (0.9, 9e-3), (0.1, 1e-4)]):
        for epoch in epochs:
            features = {
                "Optimizer": "SGD",
                "LearningRate": rate,
                "WeightDecay": decay,
                "Activation": "Mish",
                "TrivialAugment": number < 3,
                **{f"Op{edge}": edge % 5 for edge in range(1, 7)},
                "N": 3,
                "W": 8,
                "Resolution": 0.5,
                "epoch": epoch,
            }
            score = math.nan if number == 3 else 60.0 + 10 * number + (epoch == 200)
            labels = {"valid-acc": score, "test-acc": 1.0, "FLOPS": 1e8, "size_MB": 0.3, "runtime": 10.0 * epoch}
            rows.append(
                {**{("features", k): v for k, v in features.items()}, **{("labels", k): v for k, v in labels.items()}}
            )
    table = pd.DataFrame(rows)
    table.columns = pd.MultiIndex.from_tuples(table.columns)
    return table


@pytest.fixture
def metric_data(tmp_path, monkeypatch):
    """The data frames in their three parts, and the CSV that the recipe makes of them."""
    folder = tmp_path / "metric_data" / "cifar10"
    folder.mkdir(parents=True)
    for number, part in enumerate(("train", "valid", "test")):
        frames()[number::3].to_pickle(folder / f"{part}_set.pkl.gz")
    monkeypatch.chdir(tmp_path)
    exec(jahs201.RECIPE, {})
    return tmp_path / "jahs.csv.xz"


def jahs_action(rate, decay, augment=1):
    return {"aug": (augment,), "nas": (1, 2, 3, 4, 0, 1, 1, 1, 1, 2), "hpo": (rate, decay)}


def test_jahs201_is_read_from_what_the_recipe_writes(metric_data):
    env = environment("jahs201", metric_data, missing="fail")
    together = env.decode(jahs_action(1, 0))
    assert together["nas"] == {
        **{f"Op{i}": TABLES["jahs201"]["nas"]["Op1"][i % 5] for i in range(1, 7)},
        "N": 3,
        "W": 8,
        "Resolution": 0.5,
        "Activation": "Mish",
    }
    assert together["hpo"] == {"LearningRate": 0.003, "WeightDecay": 1e-05}
    assert {env.evaluate(together, seed=seed).accuracy for seed in range(30)} == {0.61, 0.71}
    exact = env.expected(together)
    assert (exact.flops, exact.params, exact.seconds) == (1e8, 3e5, 2000.0)
    assert env.expected(env.decode(jahs_action(6, 6))).accuracy == pytest.approx(0.81)
    assert env.expected(env.decode(jahs_action(4, 2, augment=0))).error == "all its trainings failed"
    assert env.evaluate(env.decode(jahs_action(0, 6))).error == "this pipeline is not in the table"


def test_jahs201_answers_with_the_nearest_pipeline_if_not_told_otherwise(metric_data):
    env = environment("jahs201", metric_data)
    assert env.expected(env.decode(jahs_action(5, 6))).accuracy == pytest.approx(0.81)
    check_env(env)


def test_jahs201_has_earlier_epochs_where_the_file_has_them(tmp_path):
    flat = pd.concat([frames()["features"], frames()["labels"]], axis=1)
    flat.to_parquet(tmp_path / "all.parquet")
    for epoch, expected in ((199, 0.80), (200, 0.81)):
        env = environment("jahs201", tmp_path / "all.parquet", epoch=epoch)
        assert env.expected(env.decode(jahs_action(6, 6))).accuracy == pytest.approx(expected)
    with pytest.raises(ValueError, match="no row of epoch 50"):
        environment("jahs201", tmp_path / "all.parquet", epoch=50).evaluator.load()


class NASHPOBench2:
    """NAS-HPO-Bench-II's programming interface, as far as the recipe uses it."""

    cellcodes, lrs, batch_sizes, seeds = ["0|10|210", "3|33|333"], [0.1, 0.4], [16, 512], [0, 1]

    def __init__(self, folder, *, verbose):
        assert (folder, verbose) == ("data", False)

    def set_seed(self, seed):
        self.seed = seed

    def query_by_key(self, cellcode, lr, batch_size, *, enable_log):
        assert enable_log is False
        return 10.0 * (cellcode == "0|10|210") + 100 * lr + batch_size / 100 + self.seed, batch_size / 2


@pytest.fixture
def nashpobench2_file(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "nashpobench2api", SimpleNamespace(NASHPOBench2API=NASHPOBench2))
    monkeypatch.chdir(tmp_path)
    exec(nas_hpo_bench2.RECIPE, {})
    return tmp_path / "nashpobench2.csv"


def test_nas_hpo_bench2_is_read_from_what_the_recipe_writes(nashpobench2_file):
    env = environment("nas_hpo_bench2", nashpobench2_file)
    pipeline = env.decode({"nas": (0, 1, 0, 2, 1, 0), "hpo": (7, 5)})
    assert list(pipeline["nas"].values()) == [
        "conv_3x3",
        "avg_pool_3x3",
        "conv_3x3",
        "skip",
        "avg_pool_3x3",
        "conv_3x3",
    ]
    assert pipeline["hpo"] == {"lr": 0.4, "batch_size": 512}
    seen = {env.evaluate(pipeline, seed=seed).accuracy for seed in range(30)}
    assert sorted(seen) == pytest.approx([0.5512, 0.5612])
    assert env.expected(pipeline).seconds == 256.0
    assert env.evaluator.optimum == dict(pipeline.action)
    with pytest.raises(ValueError, match="the table has no pipeline"):
        env.evaluate(env.decode({"nas": (0, 1, 0, 2, 1, 0), "hpo": (0, 5)}))


@pytest.mark.parametrize(
    ("table", "header", "row", "says"),
    [
        ("nasbench201", nasbench201.COLUMNS, ["|none~0|", 12, 0, 1, 1, 1, 1], "is not an architecture"),
        ("nasbench201", nasbench201.COLUMNS, [ARCHES[(3,) * 6], 90, 0, 1, 1, 1, 1], "90 is not a choice"),
        ("nasbench201", ["arch"], ["|none~0|"], "no column 'seed'"),
        (
            "nasbench201",
            nasbench201.COLUMNS,
            [ARCHES[(3,) * 6].replace("nor_conv_3x3", "conv"), 12, 0, 1, 1, 1, 1],
            "'conv' is not a choice",
        ),
        (
            "nas_hpo_bench2",
            ["cellcode", "lr", "batch_size", "seed", "accuracy", "seconds"],
            ["0|10|290", 0.1, 16, 0, 1, 1],
            "is not a cellcode",
        ),
        ("jahs201", ["epoch", "LearningRate"], [200, 0.1], "no column 'TrivialAugment'"),
    ],
)
def test_a_file_that_does_not_fit_is_told_why(tmp_path, table, header, row, says):
    with (tmp_path / "mine.csv").open("w", newline="") as file:
        csv.writer(file).writerows([header, row])
    with pytest.raises(ValueError, match=says):
        environment(table, tmp_path / "mine.csv").evaluator.load()


@pytest.mark.parametrize(
    ("table", "name", "recipe"),
    [
        ("nasbench201", "NATS-tss-v1_0-3ffb9-simple", nasbench201.RECIPE),
        ("nasbench201", "000000.pickle.pbz2", nasbench201.RECIPE),
        ("jahs201", "test_set.pkl.gz", jahs201.RECIPE),
        ("nas_hpo_bench2", "bench12.pkl", nas_hpo_bench2.RECIPE),
    ],
)
def test_pickles_are_never_read_and_the_recipe_is_shown(tmp_path, table, name, recipe):
    if "simple" in name:
        (tmp_path / name).mkdir()
    with pytest.raises(ValueError, match="can execute arbitrary code") as refusal:
        environment(table, tmp_path / name)
    assert recipe in str(refusal.value)


def test_files_and_tables_that_are_not_there_are_refused(tmp_path):
    for table in EVALUATORS:
        with pytest.raises(ValueError, match="cannot read"):
            environment(table, tmp_path / "absent.csv")
    with pytest.raises(ValueError, match="choose from"):
        published_parts("nasbench101", "x.csv")


@pytest.mark.parametrize("table", TABLES)
def test_the_search_spaces_conform_and_have_the_published_size(table):
    sizes = {"fcnet": 62_208, "nasbench201": 15_625 * 2, "nas_hpo_bench2": 4**6 * 48, "jahs201": 2 * 5**6 * 81 * 49}
    spaces = published_spaces(table)
    for space in spaces.values():
        check_search_space(space)
    assert math.prod(space.size for space in spaces.values()) == sizes[table]


@pytest.mark.parametrize("table", EVALUATORS)
def test_a_registry_entry_makes_the_same_environment(
    table, benchmark_file, metric_data, nashpobench2_file, tmp_path, monkeypatch
):
    monkeypatch.setattr(registry, "_entries", dict(registry._entries))
    file = {"nasbench201": benchmark_file, "jahs201": metric_data, "nas_hpo_bench2": nashpobench2_file}[table]
    agents = "".join(
        f"    {agent}: {{kind: published_table, table: {table}, agent: {agent}}}\n" for agent in TABLES[table]
    )
    (tmp_path / "mine.yaml").write_text(
        f"mine/{table}-v0:\n  summary: A table.\n  agents:\n{agents}"
        f"  evaluator: {{kind: {table}, file: {file}, missing: nearest}}\n  reward: {{kind: accuracy}}\n"
    )
    ma2ml_env.register_file(tmp_path / "mine.yaml")
    made, assembled = ma2ml_env.make(f"mine/{table}-v0"), environment(table, file, missing="nearest")
    rng = np.random.default_rng(0)
    for _ in range(10):
        pipeline = made.decode({agent: space.sample(rng) for agent, space in made.search_spaces.items()})
        assert made.evaluate(pipeline, seed=1) == assembled.evaluate(pipeline, seed=1)
