"""The project's own rules: imports point one way, and are as few as promised; environment files agree."""

import re
import subprocess
import sys
import tomllib

import pytest
import yaml
from helpers import ROOT
from helpers.rooms import faults, rooms_of

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

PACKAGE = ROOT / "adautomix"
MAP = (ROOT / "CONTRIBUTING.md").read_text()


def test_the_package_is_as_the_map_in_contributing_says():
    assert faults(PACKAGE, MAP) == []
    assert rooms_of(MAP)[0] == "utils"


SMALL_MAP = "## The rooms\n\n| `ground/` | x |\n| `config.py` | x |\n| `top/` | x |\n\n## Next\n"


@pytest.mark.parametrize(
    ("file", "text", "fault"),
    [
        ("loose.py", "", "loose.py lies loose"),
        ("ground/a.py", "from pack.top import b", "pack.ground.a imports top, which lies above it"),
        ("ground/a.py", "def f():\n    import pack.top.b", "pack.ground.a imports top, which lies above it"),
        ("top/a.py", "from pack.top.b import x", "circle: pack.top.b -> pack.top.a -> pack.top.b"),
        ("cellar/__init__.py", "", "cellar is not in the table"),
        ("ground/__init__.py", None, "the table's ground does not exist"),
    ],
)
def test_the_map_test_sees_each_kind_of_fault(tmp_path, file, text, fault):
    package = tmp_path / "pack"
    files = {"__init__.py": "", "config.py": "", "ground/__init__.py": "", "top/__init__.py": ""}
    files |= {"top/b.py": "from pack.ground import c\nfrom pack.top import a"}
    for name, content in (files | {file: text}).items():
        if content is not None:
            (package / name).parent.mkdir(parents=True, exist_ok=True)
            (package / name).write_text(content)
    assert fault in faults(package, SMALL_MAP)


def test_a_package_as_its_map_says_has_no_fault(tmp_path):
    for name in ("__init__.py", "config.py", "ground/__init__.py", "top/__init__.py"):
        (tmp_path / "pack" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "pack" / name).write_text("")
    assert faults(tmp_path / "pack", SMALL_MAP) == []


def test_nothing_imports_the_notebooks():
    for path in PACKAGE.rglob("*.py"):
        assert not re.search(r"^\s*(from|import) notebooks\b", path.read_text(), re.MULTILINE), path


def in_new_process(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_importing_the_package_imports_neither_torch_nor_papermill():
    code = "import sys, adautomix; print([m for m in ('torch', 'papermill', 'pandas', 'numpy') if m in sys.modules])"
    assert in_new_process(code) == "[]"


def test_the_command_line_waits_for_no_library_that_a_command_may_not_need():
    code = (
        "import sys, adautomix.cli; print([m for m in ('torch', 'papermill', 'pandas', 'numpy') if m in sys.modules])"
    )
    assert in_new_process(code) == "[]"


def test_reading_tables_and_checking_plans_need_no_torch():
    code = (
        "import sys; from adautomix import find_runs, table; from adautomix.plans.tasks import load_plan\n"
        "load_plan('quick'); print('torch' in sys.modules)"
    )
    assert in_new_process(code) == "False"


def test_training_and_evaluating_need_neither_papermill_nor_dask_nor_the_command_lines_library():
    blocked = ("papermill", "dask", "distributed", "jupyter_client", "IPython", "tyro", "beartype")
    code = (
        f"import sys\nfor name in {blocked}: sys.modules[name] = None\n"
        "import adautomix.training.loop, adautomix.evaluate.runs, adautomix.results.tables\nprint('ok')"
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
