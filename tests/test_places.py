"""The files that other programs read (GitHub, Docker, pre-commit) say what the Makefile and pyproject say."""

import json
import re
import tomllib

import pytest
import yaml
from helpers import ROOT

MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z]+):", MAKEFILE, re.MULTILINE))
VARIABLES = set(re.findall(r"^([A-Z_]+) \?=", MAKEFILE, re.MULTILINE))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
WORKFLOWS = {path.stem: yaml.safe_load(path.read_text()) for path in (ROOT / ".github" / "workflows").glob("*.yml")}
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def steps(workflow, job):
    return [step["run"] for step in WORKFLOWS[workflow]["jobs"][job]["steps"] if "run" in step]


def made(line):
    """Return the targets and the variables of a call of make."""
    words = re.findall(r"\bmake ((?:[A-Z_]+=\S+ ?|[a-z]+ ?)+)", line)
    words = [word for call in words for word in call.split()]
    return {w for w in words if "=" not in w}, {w.partition("=")[0] for w in words if "=" in w}


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_workflows_call_targets_that_the_makefile_has(workflow):
    lines = [line for job in WORKFLOWS[workflow]["jobs"] for line in steps(workflow, job)]
    called = [made(line) for line in lines]
    assert set().union(*(targets for targets, _ in called)) <= TARGETS
    assert set().union(*(names for _, names in called)) <= VARIABLES
    for job in WORKFLOWS[workflow]["jobs"].values():
        assert "timeout-minutes" in job or "deploy-pages" in str(job)  # nothing runs for six hours by mistake
        assert "secrets." not in str(job)


def test_one_workflow_runs_what_ci_runs_and_another_publishes_the_site():
    assert "make test" in steps("test", "whole")
    assert "make test" in (ROOT / ".ci" / "run").read_text()
    assert "make workbook" in steps("pages", "site")
    default = re.search(r"^PLAN \?= (\w+)", MAKEFILE, re.MULTILINE)[1]
    (published,) = [
        s["with"]["path"] for s in WORKFLOWS["pages"]["jobs"]["site"]["steps"] if "upload" in s.get("uses", "")
    ]
    assert published == f"outputs/{default}/site"


def test_the_package_is_tested_on_three_systems_and_every_python_it_promises():
    matrix = WORKFLOWS["test"]["jobs"]["package"]["strategy"]["matrix"]
    assert {name.partition("-")[0] for name in matrix["os"]} == {"ubuntu", "macos", "windows"}
    assert matrix["python"][0] == PROJECT["requires-python"].removeprefix(">=")
    assert matrix["python"] == [f"3.{minor}" for minor in range(11, 15)]
    (call,) = [line for line in steps("test", "package") if "pytest" in line]
    rooms = re.findall(r"tests/\w+", call)
    assert rooms
    assert [room for room in rooms if not (ROOT / room).is_dir()] == []
    (install,) = [line for line in steps("test", "package") if "pip install" in line]
    assert set(re.search(r"\[([\w,]+)\]", install)[1].split(",")) <= set(PROJECT["optional-dependencies"])


def test_the_image_is_made_by_the_makefile_from_files_that_are_there():
    copied = [word for line in re.findall(r"^COPY (.+) \S+$", DOCKERFILE, re.MULTILINE) for word in line.split()]
    assert {"pyproject.toml", "constraints.txt", "Makefile"} <= set(copied)
    assert [name for name in copied if not (ROOT / name).exists()] == []
    assert made(re.search(r"^RUN (make .+)$", DOCKERFILE, re.MULTILINE)[1]) == ({"setup"}, {"TORCH"})
    command = json.loads(re.search(r"^CMD (.+)$", DOCKERFILE, re.MULTILINE)[1])
    assert command[:2] == ["make", "lab"]
    assert command[2].partition("=")[0] in VARIABLES
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    assert (ROOT / ".devcontainer" / container["build"]["dockerfile"]).resolve() == ROOT / "Dockerfile"
    assert made(container["postCreateCommand"])[0] <= TARGETS


def test_hooks_before_a_commit_are_those_of_make_lint():
    (repo,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    programs = {hook["entry"].split()[0].rpartition("/")[2] for hook in repo["hooks"]}
    lint = MAKEFILE.split("\nlint:")[1].split("\n\n")[0]
    assert programs == set(re.findall(r"\$\(BIN\)/(\w+)", lint))


def test_the_citation_is_the_readmes_and_of_this_version():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    paper = cited["preferred-citation"]
    assert cited["version"] == PROJECT["version"]
    assert cited["license"] == PROJECT["license"]
    authors = re.search(r"author +=\s+\{(.+)\},", (ROOT / "README.md").read_text())[1]
    readme = [name.split(", ")[0] for name in authors.split(" and ")]
    assert [author["family-names"] for author in paper["authors"]] == readme
    assert f"title     = {{{paper['title']}}}" in (ROOT / "README.md").read_text()
