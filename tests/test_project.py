"""The project's own rules: imports point one way, and are as few as promised; environment files agree."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

LAYERS = [
    {"errors", "lazy", "typecheck", "plain_yaml", "files", "paths", "seeding", "modes"},
    {"config", "identity"},
    {"run", "notebooks"},
    {"tables", "progress", "paper", "rules", "factors"},
    {"mixing", "losses", "saliency", "ema", "generator", "classifier", "backbones", "optim"},
    {"methods"},
    {"data", "figures", "checkpoint", "guard", "recipes"},
    {"evaluate"},
    {"training", "train", "robustness", "reproduction", "ablations"},
    {"runner"},
    {"book"},
    {"cli"},
]
"""Lowest first: a module imports from its own layer or a lower one, at the top of the file or inside functions."""
LAYER = {name: height for height, names in enumerate(LAYERS) for name in names}


def imported(path: Path) -> set[str]:
    """Return the rooms of the package that a file imports."""
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = (
                [f"{node.module}.{alias.name}" for alias in node.names] if node.module == "adautomix" else [node.module]
            )
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        rooms |= {name.split(".")[1] for name in names if name.startswith("adautomix.")}
    return rooms


def room_of(path: Path) -> str:
    return path.relative_to(ROOT / "adautomix").parts[0].removesuffix(".py")


def test_imports_point_one_way():
    files = [p for p in (ROOT / "adautomix").rglob("*.py") if p != ROOT / "adautomix" / "__init__.py"]
    assert {room_of(p) for p in files} == set(LAYER)
    wrong = [
        f"{path.relative_to(ROOT)} imports {room}"
        for path in files
        for room in imported(path)
        if LAYER[room] > LAYER[room_of(path)]
    ]
    assert not wrong


def test_evaluators_never_import_the_trainer_and_nothing_imports_notebooks():
    for path in (ROOT / "adautomix" / "evaluate").rglob("*.py"):
        assert not imported(path) & {"training", "train"}, path
    for path in (ROOT / "adautomix").rglob("*.py"):
        assert not re.search(r"^\s*(from|import) notebooks\b", path.read_text(), re.MULTILINE), path


def in_new_process(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_importing_the_package_imports_neither_torch_nor_papermill():
    code = "import sys, adautomix; print([m for m in ('torch', 'papermill', 'pandas', 'numpy') if m in sys.modules])"
    assert in_new_process(code) == "[]"


def test_reading_tables_drawing_figures_and_checking_plans_need_no_torch():
    code = (
        "import sys; from adautomix import find_runs, table, figures; from adautomix.runner.tasks import load_plan\n"
        "load_plan('quick'); print('torch' in sys.modules)"
    )
    assert in_new_process(code) == "False"


def test_training_and_evaluating_need_neither_papermill_nor_dask_nor_the_command_lines_library():
    blocked = ("papermill", "dask", "distributed", "jupyter_client", "IPython", "tyro", "beartype")
    code = (
        f"import sys\nfor name in {blocked}: sys.modules[name] = None\n"
        "import adautomix.train, adautomix.evaluate.runs, adautomix.tables\nprint('ok')"
    )
    assert in_new_process(code) == "ok"


def test_every_export_exists():
    import adautomix

    assert len(adautomix.__all__) > 10
    for name in adautomix.__all__:
        assert getattr(adautomix, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        adautomix.nothing  # noqa: B018


def test_environment_yml_is_python_and_pip_and_this_package():
    env = yaml.safe_load((ROOT / "environment.yml").read_text())
    assert set(env) == {"name", "channels", "dependencies"}
    assert env["name"] == PROJECT["name"]
    python, pip, block = env["dependencies"]
    version = re.fullmatch(r"python=(3\.\d+)", python)[1]
    minimum = re.fullmatch(r">=(3\.\d+)", PROJECT["requires-python"])[1]
    assert tuple(map(int, version.split("."))) >= tuple(map(int, minimum.split(".")))
    assert pip == "pip"
    constraints, package = block["pip"]
    assert constraints == "-c constraints.txt"
    extras = re.fullmatch(r"-e \.\[(.+)\]", package)[1].split(",")
    assert set(extras) <= set(PROJECT["optional-dependencies"])


def test_every_dependency_says_what_it_is_for_and_has_a_tested_version():
    lines = (ROOT / "pyproject.toml").read_text().splitlines()
    constraints = (ROOT / "constraints.txt").read_text()
    pinned = {PROJECT["name"], *re.findall(r"^([\w.-]+)==", constraints, re.MULTILINE)}  # an extra may name another
    wanted = [*PROJECT["dependencies"], *(d for ds in PROJECT["optional-dependencies"].values() for d in ds)]
    for dependency in wanted:
        (line,) = [line for line in lines if f'"{dependency}"' in line]
        assert re.search(r",\s+# \w+", line), line
        assert re.match(r"[\w.-]+", dependency)[0] in pinned, dependency


def test_tested_versions_carry_no_address():
    text = (ROOT / "constraints.txt").read_text()
    assert "://" not in text
    assert " @ " not in text
    assert "--" not in text
