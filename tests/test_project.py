"""The project's own rules: environment files agree, imports point one way, notebooks keep their form."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import torch
import yaml
from torchvision.models import resnet18

from adautomix import METHODS
from adautomix.evaluate import EVALUATORS
from adautomix.notebooks import contents
from adautomix.runner.notebook import parameters_of
from adautomix.runner.tasks import load_plan

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PLANS = sorted((ROOT / "notebooks" / "plans").glob("*.yaml"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

LAYERS = [
    {"errors", "lazy", "typecheck", "plain_yaml", "files", "paths", "seeding"},
    {"config"},
    {"run", "notebooks"},
    {"tables", "progress", "paper", "rules"},
    {"mixing", "losses", "saliency", "ema", "generator", "classifier", "backbones", "optim"},
    {"methods"},
    {"data", "figures", "checkpoint", "guard", "recipes"},
    {"evaluate"},
    {"train", "robustness", "reproduction", "ablations"},
    {"runner"},
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
        assert "train" not in imported(path), path
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
    (package,) = block["pip"]
    extras = re.fullmatch(r"-e \.\[(.+)\]", package)[1].split(",")
    assert set(extras) <= set(PROJECT["optional-dependencies"])


def test_every_dependency_says_what_it_is_for_and_has_a_tested_version():
    lines = (ROOT / "pyproject.toml").read_text().splitlines()
    constraints = (ROOT / "constraints.txt").read_text()
    pinned = set(re.findall(r"^([\w.-]+)==", constraints, re.MULTILINE))
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


def test_the_makefile_has_the_targets_the_readme_names():
    makefile, readme = (ROOT / "Makefile").read_text(), (ROOT / "README.md").read_text()
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    named = set(re.findall(r"`?make ([a-z]+)", readme))
    assert {"workbook", "test"} <= named <= targets
    assert "make test" in (ROOT / ".ci" / "run").read_text()


def test_the_readmes_methods_table_has_a_row_for_every_method():
    rows = re.findall(r"^\| `(\w+)` \|", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert rows == list(METHODS)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebooks_keep_their_form(path):
    cells = json.loads(path.read_text())["cells"]
    assert cells[0]["cell_type"] == "markdown"
    assert cells[1]["metadata"].get("tags") == ["parameters"]
    assert cells[2]["cell_type"] == "code"
    assert "import" in "".join(cells[2]["source"])
    assert cells[-1]["cell_type"] == "code" or "two sentences" in "".join(cells[-1]["source"])
    assert parameters_of(path)
    for cell in cells:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code":
            assert not cell["outputs"]
            assert len(source.splitlines()) <= 40
            assert not re.search(r"^\s*[!%]\s*pip", source, re.MULTILINE)
            for node in ast.walk(ast.parse(source)):
                if isinstance(node, ast.FunctionDef):
                    assert node.end_lineno - node.lineno < 5, f"{node.name} belongs into the package"


def test_the_contents_list_every_notebook():
    table = contents(ROOT / "notebooks")
    assert table["notebook"].tolist() == [p.stem for p in NOTEBOOKS]
    assert table.ne("").all().all()
    assert table["question"].str.endswith("?").all()


@pytest.mark.parametrize("path", PLANS, ids=lambda p: p.stem)
def test_every_plan_is_valid(path):
    plan = load_plan(path)
    assert plan.description
    assert len(plan.tasks) >= len(plan.steps)


def test_quick_is_small_real_and_repeated():
    plan = load_plan("quick")
    train = [t for t in plan.tasks.values() if t.notebook.stem == "10_train"]
    digits = [t.parameters for t in train if t.parameters["data"] == "digits"]
    assert {p["method"] for p in digits} == set(METHODS)
    assert {p["seed"] for p in digits if "seed" in p} >= {0, 1}
    assert {t.parameters["data"] for t in train} == {"digits", "photos"}


def test_quick_runs_every_notebook_and_both_objectives_with_three_seeds():
    plan = load_plan("quick")
    assert {t.notebook for t in plan.tasks.values()} == set(NOTEBOOKS)
    both = {f"objectives.options=objective-{o}.seed={s}" for o in ("released", "paper") for s in range(3)}
    assert both <= set(plan.tasks)
    assert both <= set(plan.tasks["evaluate"].needs)


def test_quick_runs_every_evaluator_on_one_seed_of_every_method_and_on_a_transformer():
    plan = load_plan("quick")
    used = {
        name
        for step in ("evaluate", "corruptions", "attacks")
        for name in plan.tasks[step].parameters.get("evaluators", [])
    }
    assert used | {"accuracy"} == set(EVALUATORS)
    for step, backbones in (("corruptions", {"resnet18"}), ("attacks", {"resnet18", "test_vit"})):
        trained = [plan.tasks[need].parameters for need in plan.tasks[step].needs]
        assert {p["method"] for p in trained if p.get("seed", 0) == 0 and p["data"] == "digits"} == set(METHODS)
        assert {p.get("backbone", "resnet18") for p in trained} == backbones


def test_the_readmes_loop_trains_ones_own_network():
    """Executed as it stands: AdAutoMix without our trainer, data or notebooks."""
    readme = (ROOT / "README.md").read_text()
    block = next(b for b in re.findall(r"(?:^ {4}.*\n)+", readme, re.MULTILINE) if "AdAutoMix.build" in b)
    lines = [line.removeprefix("    ") for line in block.splitlines()]
    assert len(lines) <= 12
    torch.manual_seed(0)
    net = resnet18(num_classes=10)
    net.fc = torch.nn.Identity()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    rng = torch.Generator().manual_seed(0)
    loader = [(torch.rand(4, 3, 32, 32, generator=rng), torch.arange(4)) for _ in range(2)]
    names = {"net": net, "loader": loader}
    exec("\n".join(lines), names)
    assert not torch.equal(net.conv1.weight, before["conv1.weight"])
    assert names["ctx"].step == 2
    assert not torch.equal(names["ctx"].teacher.net.conv1.weight, before["conv1.weight"])
    assert all(p.grad is not None for p in names["method"].generator.parameters())
