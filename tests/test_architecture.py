"""Who may import whom, and what importing the package may load."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ENV, AGENTS = ROOT / "ma2ml_env", ROOT / "agents" / "ma2ml_agents"
ENV_FLOORS = (
    ("errors",),
    ("files", "image_proxy", "image_spaces"),
    ("decision", "families", "tasks", "types"),
    ("catalog", "evaluator", "reward", "search_space"),
    ("env", "search_spaces", "trials"),
    ("augment", "benchmark_tables", "models", "wrappers"),
    ("published", "render", "surrogate", "testing", "training"),
    ("evaluators", "registry"),
    ("image_description",),
    ("from_images", "making"),
    ("adapters", "registration"),
)
AGENT_FLOORS = (
    ("learner",),
    ("building_blocks",),
    ("learners",),
    ("executors", "runs"),
    ("search",),
    ("benchmark", "importance", "testing"),
    ("html_report",),
    ("commands",),
)
"""Each package from the ground up: a folder or file imports from itself and from the floors below."""
KNOW_NO_ENVIRONMENT = ("learner", "building_blocks", "learners")
LEARNERS = sorted(path.stem for path in (AGENTS / "learners").glob("*.py") if path.stem != "__init__")


def imports(path: Path, *, top_level_only: bool = False) -> set[str]:
    """Modules that a file imports, absolute; those for type checking only are left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    hidden = {
        id(node)
        for guard in ast.walk(tree)
        if isinstance(guard, ast.If) and "TYPE_CHECKING" in ast.unparse(guard.test)
        for node in ast.walk(guard)
    }
    found: set[str] = set()
    for node in tree.body if top_level_only else ast.walk(tree):
        if id(node) in hidden:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def inside(package: str, modules: set[str]) -> set[str]:
    return {module for module in modules if module == package or module.startswith(package + ".")}


@pytest.mark.parametrize("path", sorted(ENV.rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_the_environment_never_imports_the_learners(path: Path) -> None:
    assert not inside("ma2ml_agents", imports(path))


def rooms(package: str, path: Path, root: Path) -> set[str]:
    """The folders and top-level modules of `package` that a file imports, its own left out."""
    own = path.relative_to(root).parts[0].removesuffix(".py")
    return {module.split(".")[1] for module in inside(package, imports(path)) if "." in module} - {own}


@pytest.mark.parametrize("package", ["ma2ml_env", "ma2ml_agents"])
def test_nothing_imports_what_stands_above_it_or_beside_it(package: str) -> None:
    root, floors = {"ma2ml_env": (ENV, ENV_FLOORS), "ma2ml_agents": (AGENTS, AGENT_FLOORS)}[package]
    floor = {room: number for number, floor_rooms in enumerate(floors) for room in floor_rooms}
    for path in root.rglob("*.py"):
        room = path.relative_to(root).parts[0].removesuffix(".py")
        if room == "__init__":
            continue
        assert room in floor, f"{room} stands on no floor"
        for other in rooms(package, path, root):
            assert floor.get(other, -1) < floor[room], f"{path} imports {other}"


@pytest.mark.parametrize("room", KNOW_NO_ENVIRONMENT)
def test_learners_and_building_blocks_know_no_environment(room: str) -> None:
    for path in [*(AGENTS / room).rglob("*.py"), *AGENTS.glob(f"{room}.py")]:
        known = inside("ma2ml_env", imports(path))
        assert known == inside("ma2ml_env.errors", known), path


@pytest.mark.parametrize("name", LEARNERS)
def test_learners_never_import_one_another(name: str) -> None:
    found = imports(AGENTS / "learners" / f"{name}.py")
    for other in set(LEARNERS) - {name}:
        assert not inside(f"ma2ml_agents.learners.{other}", found), f"{name} imports {other}"


def test_env_imports_only_types_and_search_space_of_this_package() -> None:
    own = {module.split(".")[1] for module in inside("ma2ml_env", imports(ENV / "env.py")) if "." in module}
    assert own == {"errors", "evaluator", "search_space", "types"}


def test_the_abilities_of_evaluators_know_only_the_types() -> None:
    assert inside("ma2ml_env", imports(ENV / "evaluator.py")) == inside(
        "ma2ml_env.types", imports(ENV / "evaluator.py")
    )


@pytest.mark.parametrize("path", sorted(ENV.rglob("*.py")) + sorted(AGENTS.rglob("*.py")), ids=lambda path: path.stem)
def test_no_ability_of_an_evaluator_or_reward_is_fished_for_by_name(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        fishing = isinstance(node, ast.Call) and ast.unparse(node.func) in ("getattr", "hasattr")
        if fishing and isinstance(node.args[1], ast.Constant):
            assert not ast.unparse(node.args[0]).endswith(("evaluator", "reward")), f"{path}:{node.lineno}"


@pytest.mark.parametrize("path", sorted((ENV / "wrappers").glob("*.py")), ids=lambda path: path.name)
def test_wrappers_know_neither_registry_nor_parts(path: Path) -> None:
    assert rooms("ma2ml_env", path, ENV) <= {"decision", "env", "errors", "search_space", "types", "wrappers"}


def test_the_registry_knows_neither_wrappers_nor_other_registries() -> None:
    assert not rooms("ma2ml_env", ENV / "registry.py", ENV) & {"wrappers", "making", "registration"}
    assert rooms("ma2ml_env", ENV / "making.py", ENV) >= {"registry", "wrappers"}


def test_the_errors_know_nothing_of_this_package() -> None:
    assert not inside("ma2ml_env", imports(ENV / "errors.py"))
    assert inside("ma2ml_env", imports(ENV / "files.py")) <= inside("ma2ml_env.errors", imports(ENV / "files.py"))


@pytest.mark.parametrize("path", sorted(ENV.rglob("*.py")) + sorted(AGENTS.rglob("*.py")), ids=lambda path: path.stem)
def test_every_error_for_a_user_is_of_the_one_family(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            assert ast.unparse(node.exc.func) not in ("ValueError", "ImportError"), f"{path}:{node.lineno}"


def test_names_are_suggested_and_files_replaced_in_one_place_only() -> None:
    for path in [*ENV.rglob("*.py"), *AGENTS.rglob("*.py")]:
        text = path.read_text(encoding="utf-8")
        assert "difflib" not in text or path.name == "errors.py", path
        assert "os.fsync" not in text or path.name == "files.py" or "search" in path.parts, path


def test_types_and_reward_know_nothing_above_them() -> None:
    assert {m.split(".")[1] for m in inside("ma2ml_env", imports(ENV / "types.py"))} == {"errors"}
    assert {m.split(".")[1] for m in inside("ma2ml_env", imports(ENV / "decision.py"))} == {"errors"}
    assert {m.split(".")[1] for m in inside("ma2ml_env", imports(ENV / "reward.py"))} == {"errors", "types"}
    below = {m.split(".")[1] for m in inside("ma2ml_env", imports(ENV / "search_space.py"))}
    assert below == {"decision", "errors", "types"}


@pytest.mark.parametrize("path", sorted((ENV / "search_spaces").glob("*.py")), ids=lambda path: path.name)
def test_search_spaces_know_neither_networks_nor_training(path: Path) -> None:
    own = {module.split(".")[1] for module in inside("ma2ml_env", imports(path)) if "." in module}
    assert own <= {"decision", "errors", "search_space", "types", "search_spaces"}


@pytest.mark.parametrize("path", sorted((ENV / "models").glob("*.py")), ids=lambda path: path.name)
def test_models_know_only_search_spaces(path: Path) -> None:
    own = {module.split(".")[1] for module in inside("ma2ml_env", imports(path)) if "." in module}
    assert own <= {"errors", "families", "models", "search_spaces", "types"}


def test_importing_the_environment_loads_no_torch() -> None:
    heavy = "{'torch', 'torchvision', 'timm', 'sklearn', 'wandb', 'matplotlib', 'lightgbm', 'pandas'}"
    code = f"import sys, ma2ml_env; print(sorted({heavy} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_nothing_unsafe_is_called() -> None:
    for path in [*ENV.rglob("*.py"), *AGENTS.rglob("*.py")]:
        assert not inside("pickle", imports(path)), path
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
                assert any(k.arg == "weights_only" and ast.unparse(k.value) == "True" for k in node.keywords), path


def test_every_public_name_has_a_docstring() -> None:
    for path in [*ENV.rglob("*.py"), *AGENTS.rglob("*.py")]:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert ast.get_docstring(tree), f"{path} has no docstring"
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                if any(ast.unparse(decorator) == "overload" for decorator in node.decorator_list):
                    continue
                assert ast.get_docstring(node), f"{path}: {node.name} has no docstring"
