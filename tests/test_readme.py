"""README and CONTRIBUTING: what they name is there, and what they show runs."""

import re
from textwrap import dedent

import pytest
import torch
from helpers import ROOT
from torchvision.models import resnet18

from adautomix import METHODS
from adautomix.data import DATASETS
from adautomix.plans.headers import contents
from adautomix.plans.tasks import load_plan
from adautomix.recipes import RECIPES

README = (ROOT / "README.md").read_text()


def test_the_makefile_has_the_targets_the_readme_names():
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    named = set(re.findall(r"`?make ([a-z]+)", README))
    assert {"workbook", "book", "lab", "test"} <= named <= targets
    assert "make test" in (ROOT / ".ci" / "run").read_text()


def test_the_readmes_methods_table_has_a_row_for_every_method():
    rows = re.findall(r"^\| `(\w+)` \|", README, re.MULTILINE)
    assert rows == list(METHODS)


def test_the_readme_counts_the_methods():
    papers = {name.split("/")[1] for name in RECIPES}
    words = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six"}
    assert len(papers) == 10
    assert f"ten methods and {words[len(METHODS) - 10]} more" in " ".join(README.split())


def test_contributing_names_every_file_that_a_new_method_is_named_in():
    (row,) = re.findall(r"^\| a method \|(.*)$", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE)
    files = ("adautomix/methods/<name>.py", "methods/__init__.py", "README", "notebooks/plans/quick.yaml")
    assert [file for file in files if file not in row] == []


def test_the_readmes_list_of_notebooks_has_each_with_its_question():
    rows = re.findall(r"^\| \[(\w+)\]\(notebooks/\1\.ipynb\) \| (.+) \|$", README, re.MULTILINE)
    table = contents(ROOT / "notebooks")
    assert rows == list(zip(table["notebook"], table["question"], strict=True))


def test_the_plan_on_the_clusters_page_is_one(tmp_path):
    page = (ROOT / "adautomix" / "book" / "cluster.md").read_text()
    (block,) = re.findall(r"\n\n((?:    .*\n)*    steps:\n(?:    .*\n)*)", page)
    (tmp_path / "my_plan.yaml").write_text(dedent(block))
    plan = load_plan(tmp_path / "my_plan.yaml")
    assert len(plan.tasks) == 7
    assert len(plan.tasks["evaluate"].needs) == 6


def test_the_readmes_list_of_data_sets_has_each():
    table = README.split("## The data sets")[1].split("##")[0]
    named = re.findall(r"^\| ([\w, ]+) \|", table, re.MULTILINE)[1:]
    assert {name for names in named for name in names.split(", ")} == set(DATASETS)


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_every_link_to_a_file_leads_somewhere(name):
    links = re.findall(r"\]\((?!https?://)([^)#]+)\)", (ROOT / name).read_text())
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_readmes_loop_trains_ones_own_network():
    """Executed as it stands: AdAutoMix without our trainer, data or notebooks."""
    block = next(b for b in re.findall(r"(?:^ {4}.*\n)+", README, re.MULTILINE) if "AdAutoMix.build" in b)
    lines = [line.removeprefix("    ") for line in block.splitlines()]
    assert len(lines) <= 12
    torch.manual_seed(0)
    net = resnet18(num_classes=10)
    net.fc = torch.nn.Identity()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    rng = torch.Generator().manual_seed(0)
    loader = [(torch.rand(4, 3, 32, 32, generator=rng), torch.arange(4)) for _ in range(2)]
    names = {"net": net, "loader": loader, "epochs": 2}
    exec("\n".join(lines), names)
    assert not torch.equal(net.conv1.weight, before["conv1.weight"])
    assert names["ctx"].step == 4
    assert not torch.equal(names["ctx"].teacher.net.conv1.weight, before["conv1.weight"])
    assert all(p.grad is not None for p in names["method"].generator.parameters())
