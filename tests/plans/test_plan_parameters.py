"""Parameters: what may a notebook's parameters cell hold, and which values fit it?"""

import pytest
from helpers.plans import plan_of, two_notebooks, write_notebook, write_plan

from adautomix.plans.notebook import parameters_of
from adautomix.plans.tasks import load_plan
from adautomix.utils.errors import UserError
from adautomix.utils.strict_yaml import parse


@pytest.fixture
def workbook(tmp_path, monkeypatch):
    monkeypatch.chdir(two_notebooks(tmp_path))
    return tmp_path


def test_whole_numbers_serve_as_floats_and_none_where_optional(workbook):
    plan = plan_of(workbook, {"a": {"notebook": "train", "parameters": {"lr": 1, "size": None, "seeds": [1, 2]}}})
    assert plan.tasks["a"].parameters["lr"] == 1


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (None, "no cell tagged 'parameters'"),
        ("epochs = 3", "every line of the parameters cell must read"),
        ("epochs: int = 1 + n", "needs a literal value"),
        ("epochs: int = None", "the default of epochs must be int, got None"),
        ("epochs: number = 1", "a type made of int, float"),
        ("epochs: int = (", "the parameters cell is not Python"),
        ("epochs: int = 1  # one of NUMBERS", "unknown table of choices 'NUMBERS'"),
    ],
)
def test_notebooks_whose_parameters_cannot_be_read_are_refused(workbook, cell, message):
    path = write_notebook(workbook, "odd", cell, "pass")
    with pytest.raises(UserError, match=message):
        parameters_of(path)


def test_parameters_carry_type_default_help_and_choices(workbook):
    found = parameters_of(workbook / "notebooks" / "train.ipynb")
    assert found["epochs"].default == 1
    assert found["epochs"].help == "passes"
    assert found["epochs"].choices is None
    assert found["speed"].choices == ("fast", "slow")
    assert "cutmix" in found["method"].choices
    assert found["size"].check(None) is found["size"].check(3) is None


def test_numbers_can_be_choices_too(workbook):
    path = write_notebook(workbook, "odd", "table: int = 1  # one of: 1, 2", "pass")
    table = parameters_of(path)["table"]
    assert table.check(2) is None
    assert table.check(3) == "table: unknown choice '3' (known: 1, 2)"


def test_numbers_with_an_exponent_are_numbers(workbook):
    path = write_plan(workbook, {})
    path.write_text("parameters: {lr: 5e-4}\nsteps: {a: {notebook: train}}")
    assert load_plan(path).tasks["a"].parameters["lr"] == 5e-4
    assert [parse(text) for text in ("1e-3", "-2.5E+2", "e5", "1e", "3")] == [1e-3, -250.0, "e5", "1e", 3]


def test_a_method_without_recipe_is_refused_before_anything_starts():
    with pytest.raises(UserError) as caught:
        load_plan("table1", settings={"method": ["gridmix"]})
    assert "gridmix" in str(caught.value)
    assert "resizemix" in str(caught.value)  # those that there are
    assert load_plan("table1", settings={"method": ["resizemix"]}).tasks


def test_an_id_that_is_too_long_for_a_folder_is_cut_and_others_are_not(workbook):
    parameters = 'options: dict = {}  # many\noutputs: str = "x"  # where'
    write_notebook(workbook, "many", parameters, "pass")
    grid = [{f"a_long_option_ä_{i}": f"value_{i}_{j}" for i in range(12)} for j in (0, 1)]
    plan = plan_of(workbook, {"a": {"notebook": "many", "grid": {"options": grid}}, "b": {"notebook": "many"}})
    assert len(plan.tasks) == 3
    assert "b" in plan.tasks
    for id_, task in plan.tasks.items():
        assert len(id_.encode()) <= 200
        task.folder.mkdir(parents=True)


def test_what_is_a_parameter_and_a_grid_is_set_for_all_steps(workbook):
    steps = {"a": {"notebook": "train", "grid": {"epochs": [1, 2]}}, "b": {"notebook": "train"}}
    plan = plan_of(workbook, steps, settings={"epochs": 3}, parameters={"epochs": 10})
    assert {id_: task.parameters["epochs"] for id_, task in plan.tasks.items()} == {"a.epochs=3": 3, "b": 3}
    with pytest.raises(UserError, match=r"epochs is a grid of some steps .*: set it to one value, got \[3, 4\]"):
        plan_of(workbook, steps, settings={"epochs": [3, 4]}, parameters={"epochs": 10})
