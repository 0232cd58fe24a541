"""The options of `ma2ml train`: repeated flags, numbers, the learner's typed settings, a light help."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import asdict, dataclass

import pytest
import tyro

from ma2ml_agents.commands import main, train_options
from ma2ml_agents.commands.options import field_docs, help_registry, parse_settings
from ma2ml_agents.commands.train_options import GPU_WORKERS, parse_train
from ma2ml_agents.learners.ma2ml import MA2ML
from ma2ml_agents.learners.random_search import RandomSearch
from ma2ml_env.errors import MA2MLError


def parse(*arguments: str):
    return parse_train(arguments, "ma2ml train")


@pytest.mark.parametrize(
    "arguments",
    [("--set", "a=1", "b=2"), ("--set", "a=1", "--set", "b=2"), ("--set=a=1", "--budget", "3", "--set", "b=2")],
)
def test_a_flag_counts_as_often_as_it_is_given(arguments: tuple[str, ...]) -> None:
    assert parse(*arguments).overrides() == {"a": 1, "b": 2}


def test_workers_that_share_a_gpu_are_few_unless_they_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_options, "cores", lambda: 16)
    monkeypatch.setattr(train_options, "usual_device", lambda: "cuda")
    assert parse().workers() == 16
    assert parse("--set", "device=cuda:1").workers() == GPU_WORKERS
    assert parse("--data", "pictures").workers() == GPU_WORKERS
    assert parse("--data", "pictures", "--set", "device=cpu").workers() == 16
    assert parse("--set", "device=cuda", "--workers", "9").workers() == 9
    monkeypatch.setattr(train_options, "cores", lambda: 2)
    assert parse("--set", "device=cuda").workers() == 2


def test_loggers_and_warm_starts_may_be_given_again() -> None:
    options = parse("--log", "wandb", "--warm-start", "x", "y", "--log", "tensorboard", "--warm-start", "z.json")
    assert options.loggers() == ["wandb", "tensorboard"]
    assert options.search.warm_start == (("x", "y"), ("z.json",))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("4e5", 4e5),
        ("600e6", 6e8),
        ("1.5e-3", 1.5e-3),
        ("[1e3, 2]", [1e3, 2]),
        ("e5", "e5"),
        ("12", 12),
        ("cuda:0", "cuda:0"),
        ("null", None),
    ],
)
def test_a_setting_is_yaml_in_which_4e5_is_a_number(text: str, value: object) -> None:
    (found,) = parse_settings([[f"constraint={text}"]]).values()
    assert found == value
    assert type(found) is type(value)


def test_a_setting_that_is_set_twice_is_refused() -> None:
    with pytest.raises(MA2MLError, match="'a' is set twice"):
        parse_settings([["a=1"], ["a=2"]])


def test_the_learners_settings_arrive_as_its_own_config() -> None:
    config = parse("--algo", "ma2ml", "--kl-coef", "3").config
    assert type(config) is MA2ML.Config
    assert config == MA2ML.Config(kl_coef=3.0)
    assert type(parse("--algo=random_search").config) is RandomSearch.Config


def test_identity_holds_the_settings_of_the_learner_as_before() -> None:
    options = parse("--algo", "regularized_evolution", "--env", "ma2ml/synthetic-v0", "--sample", "3")
    identity = options.identity()
    assert identity["settings"] == asdict(options.config)
    assert identity["settings"]["sample"] == 3
    assert {"environment", "learner", "settings", "window", "seed"} == set(identity)


class Clash(RandomSearch):
    @dataclass
    class Config:
        workers: int = 1


def test_a_setting_with_the_name_of_an_option_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mine", sys.modules[__name__])
    with pytest.raises(MA2MLError, match=r"mine:Clash has a setting 'workers'.*rename it"):
        parse("--algo", "mine:Clash")


@dataclass
class Required:
    name: str
    """What must be given."""
    count: int = 3
    """What may be given."""


def test_a_field_without_a_default_must_be_given(capsys: pytest.CaptureFixture[str]) -> None:
    registry = help_registry(Required)
    assert tyro.cli(Required, args=["--name", "x"], registry=registry) == Required("x")
    with pytest.raises(SystemExit):
        tyro.cli(Required, args=[], registry=registry)
    assert "--name" in capsys.readouterr().err


class Documented:
    first: int = 0
    """One line
    or two. Source: somebody."""
    undocumented: int = 0
    second: int = 0
    """Another one."""


def test_help_is_what_stands_below_a_field_up_to_its_source() -> None:
    assert field_docs(Documented) == {"first": "One line or two.", "second": "Another one."}


def test_help_has_groups_and_without_a_learner_loads_no_torch() -> None:
    code = (
        "import sys\nfrom ma2ml_agents.commands import main\ntry:\n    main(['train', '--help'])\n"
        "except SystemExit:\n    print('torch' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    for group in ("search options", "evaluation options", "output options"):
        assert group in said
    assert said.endswith("False\n")


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("ma2ml-env ")
