"""Tables of one's own: what is read, what the repeats are, and what is said of a file that does not fit."""

from __future__ import annotations

import bz2
import gzip
import lzma
import sys
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

import ma2ml_env
from ma2ml_agents.importance.shapley import shapley_effects
from ma2ml_env import Decision, SearchSpace, registry
from ma2ml_env.benchmark_tables.csv_columns import read_columns
from ma2ml_env.benchmark_tables.file import tabular_space, tabular_spaces
from ma2ml_env.benchmark_tables.table import build_table
from ma2ml_env.evaluators.tabular import TabularEvaluator, tabular
from ma2ml_env.reward import accuracy
from ma2ml_env.testing import check_env, check_evaluator, check_search_space

HEADER = "nas.depth,nas.block,hpo.lr,accuracy,flops,params,seconds,seed,note"
ROWS = """
3,conv,0.1,0.90,30,300,1.5,1,second
3,conv,0.1,0.80,30,300,0.5,0,first
3,conv,0.01,0.70,30,300,1.0,0,
3,pool,0.1,,20,200,1.0,0,diverged
3,pool,0.01,0.40,20,200,1.0,0,
10,conv,0.1,0.60,90,900,1.0,0,
10,conv,0.01,0.50,90,900,1.0,0,
10,pool,0.1,0.20,70,700,1.0,0,
10,pool,0.01,0.10,70,700,1.0,0,
"""
FOUND = {"nas": {"depth": (3, 10), "block": ("conv", "pool")}, "hpo": {"lr": (0.01, 0.1)}}
BEST = {"nas": (0, 0), "hpo": (1,)}


def written(folder, text=HEADER + ROWS, name="mine.csv"):
    path = Path(folder) / name
    path.write_text(text)
    return str(path)


def environment(file, **options):
    spaces = tabular_spaces(file, options.get("cells", "values"))
    return ma2ml_env.AutoMLEnv(spaces, tabular(spaces, file, **options), accuracy, name="mine/table-v0")


def choices(spaces):
    return {agent: {d.name: d.choices for d in space.decisions} for agent, space in spaces.items()}


def test_the_documented_example_makes_an_environment(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    written(tmp_path)
    lines = tabular.__doc__.split("repeats")[1].split("or, in a file")[0].splitlines()
    scope = {}
    exec("\n".join(line.strip() for line in lines if line.startswith("        ")), scope)
    check_env(scope["env"])
    assert scope["env"].expected(scope["env"].decode(BEST)).accuracy == pytest.approx(0.85)


def test_the_documented_registry_entry_makes_the_same_environment(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "_entries", dict(registry._entries))
    written(tmp_path)
    text = tabular.__doc__.split("register_file`:\n\n")[1].split("\n\n")[0]
    assert ma2ml_env.register_file(written(tmp_path, text, "mine.yaml")) == ["mine/table-v0"]
    env = ma2ml_env.make("mine/table-v0")
    assert choices(env.search_spaces) == FOUND
    assert env.expected(env.decode(BEST)).accuracy == pytest.approx(0.85)
    assert ma2ml_env.make("mine/table-v0", missing="fail").definition != env.definition


def test_a_file_of_other_content_is_another_definition(tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "_entries", dict(registry._entries))
    text = tabular.__doc__.split("register_file`:\n\n")[1].split("\n\n")[0].replace("mine/table-v0", "mine/other-v0")
    ma2ml_env.register_file(written(tmp_path, text.replace("mine.csv", written(tmp_path)), "mine.yaml"))
    first = ma2ml_env.make("mine/other-v0")
    assert ma2ml_env.make("mine/other-v0").definition == first.definition
    written(tmp_path, HEADER + ROWS.replace("0.70", "0.75"))
    second = ma2ml_env.make("mine/other-v0")
    assert second.definition != first.definition
    pipeline = second.decode({"nas": (0, 0), "hpo": (0,)})
    assert (first.expected(pipeline).accuracy, second.expected(pipeline).accuracy) == (0.70, 0.75)


def test_search_spaces_come_from_the_columns_numbers_by_size_and_the_rest_by_text(tmp_path):
    spaces = tabular_spaces(written(tmp_path))
    assert choices(spaces) == FOUND
    for space in spaces.values():
        check_search_space(space)


def test_repeats_are_the_noise_in_the_order_of_their_seeds_and_their_mean_is_expected(tmp_path):
    env = environment(written(tmp_path))
    pipeline = env.decode(BEST)
    seen = [env.evaluate(pipeline, seed=seed) for seed in range(50)]
    assert {(r.accuracy, r.seconds) for r in seen} == {(0.8, 0.5), (0.9, 1.5)}
    for seed, result in enumerate(seen):
        assert result.accuracy == [0.8, 0.9][pipeline.random_seed(seed) % 2]
    exact = env.expected(pipeline)
    assert (exact.accuracy, exact.seconds) == (pytest.approx(0.85), pytest.approx(1.0))
    assert (exact.flops, exact.params) == (30, 300)
    check_evaluator(env.evaluator, env.search_spaces)


def test_the_order_of_rows_matters_not(tmp_path):
    first, last = ROWS.strip().splitlines(), ROWS.strip().splitlines()[::-1]
    one, other = (
        environment(written(tmp_path, "\n".join([HEADER, *rows]), f"{i}.csv")) for i, rows in enumerate((first, last))
    )
    for seed in range(10):
        pipeline = one.decode(BEST)
        assert one.evaluate(pipeline, seed=seed) == other.evaluate(pipeline, seed=seed)


def test_an_empty_accuracy_is_a_training_that_failed(tmp_path):
    env = environment(written(tmp_path))
    pipeline = env.decode({"nas": (0, 1), "hpo": (1,)})
    for result in (env.evaluate(pipeline), env.expected(pipeline)):
        assert result.failed
        assert result.accuracy == 0.0
        assert result.params == 200


def test_the_optimum_the_scores_and_the_shares_are_those_of_the_means(tmp_path):
    env = environment(written(tmp_path))
    evaluator = env.evaluator
    assert evaluator.optimum == BEST
    assert evaluator.optimum_accuracy == pytest.approx(0.85)
    assert evaluator.scores == pytest.approx(np.array([[0.7, 0.85], [0.4, 0.0], [0.5, 0.6], [0.1, 0.2]]))
    assert sum(shapley_effects(evaluator.scores, env.possible_agents).values()) == pytest.approx(1.0)


COMPRESSORS = {"csv.gz": gzip.compress, "csv.xz": lzma.compress, "csv.bz2": bz2.compress}


@pytest.mark.parametrize("ending", [*COMPRESSORS, "parquet"])
def test_every_form_of_file_says_the_same(tmp_path, ending):
    plain = written(tmp_path)
    path = tmp_path / f"mine.{ending}"
    if ending == "parquet":
        parquet.write_table(pyarrow.table(read_columns(plain)), path)
    else:
        path.write_bytes(COMPRESSORS[ending]((HEADER + ROWS).encode()))
    assert read_columns(path) == read_columns(plain)
    assert environment(str(path)).expected(environment(plain).decode(BEST)).accuracy == pytest.approx(0.85)


def test_cells_may_be_indices_into_the_choices_of_given_spaces(tmp_path):
    file = written(tmp_path, "a.x,b.y,accuracy\n0,0,0.1\n0,1,0.2\n1,0,0.3\n1,1,0.4\n")
    spaces = {"a": SearchSpace([Decision("x", ("u", "v"))], dict), "b": SearchSpace([Decision("y", (None, 5))], dict)}
    env = ma2ml_env.AutoMLEnv(spaces, tabular(spaces, file, cells="indices"), accuracy)
    assert env.evaluate(env.decode({"a": [1], "b": [0]})).accuracy == 0.3
    assert choices(tabular_spaces(file, "indices")) == {"a": {"x": (0, 1)}, "b": {"y": (0, 1)}}
    with pytest.raises(ValueError, match="0 is not a choice; the choices are"):
        tabular(spaces, file).load()


def test_rows_that_differ_in_inactive_decisions_are_repeats_of_one_pipeline(tmp_path):
    rows = "nas.depth,nas.kernel,hpo.lr,accuracy\n0,3,0.1,0.2\n0,5,0.1,0.4\n1,3,0.1,0.5\n1,5,0.1,0.7\n"
    file = written(tmp_path, rows)
    nas = SearchSpace([Decision("depth", (0, 1)), Decision("kernel", (3, 5), active={"depth": (1,)})], dict)
    spaces = {"nas": nas, "hpo": SearchSpace([Decision("lr", (0.1,))], dict)}
    env = ma2ml_env.AutoMLEnv(spaces, tabular(spaces, file), accuracy)
    actions = [(0, 0), (0, 1), (1, 0), (1, 1)]
    means = [env.expected(env.decode({"nas": action, "hpo": (0,)})).accuracy for action in actions]
    assert means == pytest.approx([0.3, 0.3, 0.5, 0.7])


def test_a_table_may_have_ordered_and_conditional_decisions(tmp_path):
    file = written(tmp_path, "m.family,m.depth,m.k,accuracy\nknn,1,3,0.5\nknn,1,9,0.6\ntree,1,3,0.7\ntree,4,3,0.8\n")
    active = {"depth": {"family": ["tree"]}, "k": {"family": ["knn"]}}
    space = tabular_space(str(file), "m", ordered=["k"], active=active)
    assert [decision.ordered for decision in space.decisions] == [False, False, True]
    assert space.size == 4
    env = ma2ml_env.AutoMLEnv({"m": space}, tabular({"m": space}, str(file)), accuracy, name="mine/table-v0")
    assert env.evaluate(env.decode({"m": (0, 1, 1)})).accuracy == 0.6
    assert env.evaluate(env.decode({"m": (1, 1, 1)})).accuracy == 0.8
    with pytest.raises(ValueError, match=r"no decisions \['depht'\]"):
        tabular_space(str(file), "m", active={"depht": {"family": ["tree"]}})


def test_values_are_matched_with_choices_that_read_the_same(tmp_path):
    file = written(tmp_path, 'a.on,a.kernel,accuracy\nTrue,"(3, 3)",0.1\nFalse,"(3, 3)",0.2\n')
    spaces = {"a": SearchSpace([Decision("on", (False, True)), Decision("kernel", ((3, 3), (5, 5)))], dict)}
    env = ma2ml_env.AutoMLEnv(spaces, tabular(spaces, file, missing="fail"), accuracy)
    assert env.evaluate(env.decode({"a": (1, 0)})).accuracy == 0.1


SPARSE = "a.x,a.y,a.z,accuracy,flops,params\n0,0,0,0.1,1,1\n1,1,1,0.9,2,2\n"


def test_a_pipeline_that_is_not_in_the_table_is_what_missing_says(tmp_path):
    file = written(tmp_path, SPARSE)
    absent = environment(file).decode({"a": (1, 0, 1)})
    env = environment(file)
    for ask in (env.evaluate, env.expected, env.cost):
        with pytest.raises(ValueError, match="missing='fail'"):
            ask(absent)
    env = environment(file, missing="fail")
    assert env.evaluate(absent).error == env.expected(absent).error == "this pipeline is not in the table"
    with pytest.raises(ValueError, match="cannot report the cost of pipeline"):
        env.cost(absent)
    env = environment(file, missing="nearest")
    assert env.evaluate(absent).accuracy == env.expected(absent).accuracy == 0.9
    assert env.cost(absent).flops == 2
    with pytest.raises(ValueError, match="2 pipelines, not all"):
        _ = env.evaluator.scores
    with pytest.raises(ValueError, match="'error', 'fail' or 'nearest'"):
        environment(file, missing="guess")


def test_a_table_without_flops_tells_no_cost(tmp_path):
    env = environment(written(tmp_path, "a.x,accuracy\n0,0.1\n1,0.2\n"))
    pipeline = env.decode({"a": (0,)})
    assert env.evaluate(pipeline).flops == 0
    with pytest.raises(ValueError, match="needs columns flops and params"):
        env.cost(pipeline)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a.x,acuracy\n0,0.1\n", "no column 'accuracy'; did you mean 'acuracy'"),
        ("a.x,accuracy\n0,81.0\n", r"in \[0, 1\], percents divided by 100; training 0 has 81"),
        ("a.x,accuracy\n0,high\n", "column 'accuracy'.*high"),
        ("a.x,accuracy,seconds\n0,0.1,-1\n", "seconds is a number of at least 0"),
        ("a.x,accuracy\n0,0.1,5\n", "line 2: 3 cells, the header has 2"),
        ("a.x,a.x\n0,0\n", "a header of different names"),
        ("", "a header of different names"),
        ("a.x,accuracy\n", "every row of a decision's column has a value"),
        ("a.x,accuracy\n,0.1\n", "every row of a decision's column has a value"),
        ("x,accuracy\n0,0.1\n", "no column of the form <agent>.<decision>"),
    ],
)
def test_what_is_wrong_with_a_file_is_named(tmp_path, text, says):
    with pytest.raises(ValueError, match=says):
        environment(written(tmp_path, text)).evaluator.load()


def test_columns_that_the_agents_do_not_have_are_refused_and_missing_ones_named(tmp_path):
    file, spaces = written(tmp_path), tabular_spaces(written(tmp_path))
    with pytest.raises(ValueError, match=r"\['hpo.lr'\] that are no decision"):
        tabular({"nas": spaces["nas"]}, file).load()
    more = {**spaces, "hpo": SearchSpace([*spaces["hpo"].decisions, Decision("momentum", (0.9,))], dict)}
    with pytest.raises(ValueError, match=r"no column 'hpo\.momentum'"):
        tabular(more, file).load()
    with pytest.raises(ValueError, match=r"no agent 'aug'; its agents are \['nas', 'hpo'\]"):
        tabular_space(file, "aug")
    with pytest.raises(ValueError, match="indices are whole numbers"):
        tabular_spaces(file, "indices")
    with pytest.raises(ValueError, match="unhashable"):
        tabular({"a": SearchSpace([Decision("x", ([1], [2]))], dict)}, file)


def test_files_that_cannot_be_read_are_refused(tmp_path):
    for name, content in [("a.csv.gz", b"no gzip"), ("b.csv.xz", b"no xz"), ("c.parquet", b"no parquet")]:
        (tmp_path / name).write_bytes(content)
    (tmp_path / "d.csv").write_bytes(b"a.x,accuracy\n\xff\xfe,0.1\n")
    for name in ("a.csv.gz", "b.csv.xz", "c.parquet", "d.csv", "absent.csv"):
        with pytest.raises(ValueError, match="cannot read"):
            environment(str(tmp_path / name))
    (tmp_path / "e.pkl").write_bytes(b"")
    with pytest.raises(ValueError, match=r"not 'e\.pkl'"):
        environment(str(tmp_path / "e.pkl"))


def test_parquet_without_its_extra_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "mine.parquet").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ValueError, match=r"pip install 'ma2ml-env\[benchmark\]'"):
        environment(str(tmp_path / "mine.parquet"))


def test_a_table_is_the_same_whatever_the_order_and_needs_a_training():
    rng = np.random.default_rng(0)
    actions, scores = rng.integers(0, 3, size=(200, 4)), rng.random(200)
    table = build_table({"a": (3, 3), "b": (3, 3)}, actions, scores)
    distinct = {tuple(action) for action in actions.tolist()}
    assert len(table.pipelines) == len(distinct)
    for action in distinct:
        number = table.find({"a": action[:2], "b": action[2:]})
        assert table.mean(number).accuracy == pytest.approx(scores[(actions == action).all(axis=1)].mean())
        assert table.action(number) == {"a": action[:2], "b": action[2:]}
    with pytest.raises(ValueError, match="at least one training"):
        build_table({"a": (3,)}, np.zeros((0, 1)), [])


def test_the_evaluator_takes_any_table():
    table = build_table({"a": (2,)}, [[0], [1]], [0.25, 0.75])
    env = ma2ml_env.AutoMLEnv(
        {"a": SearchSpace([Decision("x", (0, 1))], dict)}, TabularEvaluator(lambda: table, "mine"), accuracy
    )
    assert env.evaluate(env.decode({"a": 1})).accuracy == 0.75
