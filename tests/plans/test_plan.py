"""A plan: which tasks, with which parameters, do its steps, grids and settings make?"""

import pytest
from helpers.plans import plan_of, two_notebooks, write_notebook, write_plan

from adautomix.plans.orchestrate import select
from adautomix.plans.tasks import load_plan
from adautomix.utils.errors import UserError


@pytest.fixture
def workbook(tmp_path, monkeypatch):
    monkeypatch.chdir(two_notebooks(tmp_path))
    return tmp_path


def test_grid_needs_and_shared_parameters_make_the_tasks(workbook):
    plan = plan_of(
        workbook,
        {
            "report": {"notebook": "table", "needs": ["evaluate"]},
            "train": {"notebook": "train", "grid": {"method": ["mixup", "cutmix"], "epochs": [1, 2]}},
            "evaluate": {"notebook": "table", "needs": "train", "grid": {"method": ["mixup", "cutmix"]}},
        },
        parameters={"lr": 0.5},
    )
    assert list(plan.steps) == ["train", "evaluate", "report"]
    assert len(plan.tasks) == 4 + 2 + 1
    train = plan.tasks["train.method=cutmix.epochs=2"]
    assert train.parameters == {
        "outputs": str(workbook / "outputs" / "tiny"),
        "lr": 0.5,
        "method": "cutmix",
        "epochs": 2,
    }
    assert plan.tasks["evaluate.method=cutmix"].needs == (
        "train.method=cutmix.epochs=1",
        "train.method=cutmix.epochs=2",
    )
    assert set(plan.tasks["report"].needs) == {"evaluate.method=mixup", "evaluate.method=cutmix"}


def test_a_point_of_a_grid_does_not_wait_for_steps_that_are_fixed_to_something_else(workbook):
    steps = {
        "one": {"notebook": "train", "parameters": {"method": "mixup"}},
        "many": {"notebook": "train", "grid": {"method": ["cutmix", "vanilla"]}},
        "evaluate": {"notebook": "table", "needs": ["one", "many"], "grid": {"method": ["mixup", "cutmix"]}},
    }
    tasks = plan_of(workbook, steps).tasks
    assert tasks["evaluate.method=mixup"].needs == ("one",)
    assert tasks["evaluate.method=cutmix"].needs == ("many.method=cutmix",)


def test_settings_replace_and_are_checked_like_the_plans_own(workbook):
    steps = {"a": {"notebook": "train"}}
    assert plan_of(workbook, steps, settings={"epochs": 7}).tasks["a"].parameters["epochs"] == 7
    with pytest.raises(UserError, match="no notebook of this plan has a parameter 'epohcs'"):
        plan_of(workbook, steps, settings={"epohcs": 7})
    with pytest.raises(UserError, match="epochs must be int"):
        plan_of(workbook, steps, settings={"epochs": "many"})


def test_plans_are_found_by_name_and_unknown_ones_refused(workbook):
    write_plan(workbook, {"a": {"notebook": "train"}}, name="mine")
    assert load_plan("mine").name == "mine"
    assert load_plan("mine", name="other").outputs == workbook / "outputs" / "other"
    with pytest.raises(UserError, match="unknown plan 'mien'; did you mean 'mine'"):
        load_plan("mien")
    with pytest.raises(UserError, match=r"there is no plan nowhere\.yaml"):
        load_plan("nowhere.yaml")


def test_only_selects_the_steps_and_what_they_need(workbook):
    steps = {
        "a": {"notebook": "train"},
        "b": {"notebook": "table", "needs": "a"},
        "c": {"notebook": "table"},
    }
    plan = plan_of(workbook, steps)
    assert [t.id for t in select(plan, ["b"])] == ["a", "b"]
    assert [t.id for t in select(plan, [])] == list(plan.tasks)
    with pytest.raises(UserError, match="unknown step 'd'"):
        select(plan, ["d"])


def test_settings_replace_grids_with_one_value_or_a_list(workbook):
    steps = {"a": {"notebook": "train", "grid": {"method": ["mixup", "cutmix"], "epochs": [1, 2]}}}
    assert set(plan_of(workbook, steps, settings={"epochs": 5}).tasks) == {
        "a.method=mixup.epochs=5",
        "a.method=cutmix.epochs=5",
    }
    assert len(plan_of(workbook, steps, settings={"epochs": [1, 2, 3], "method": "mixup"}).tasks) == 3
    with pytest.raises(UserError, match="did you mean 'mixup'"):
        plan_of(workbook, steps, settings={"method": "mixpu"})


def test_a_setting_leaves_what_a_step_says_otherwise_on_purpose(tmp_path, monkeypatch):
    """`--set seed=[1,2]` is for the trainings; an evaluation of one seed stays one, and a regime of 15 epochs too."""
    monkeypatch.chdir(tmp_path)
    write_notebook(tmp_path, "note", "outputs: str = 'x'\nseed: int = 0\nepochs: int = 1\nsample: int = 9", "pass")
    steps = {
        "train": {"notebook": "note", "grid": {"seed": [0]}},
        "short": {"notebook": "note", "parameters": {"seed": 0, "epochs": 15, "sample": 3}},
    }
    write_plan(tmp_path, steps, parameters={"epochs": 150})
    plan = load_plan("tiny", settings={"seed": [1, 2], "epochs": 4, "sample": 5})
    assert [(t.parameters["seed"], t.parameters["epochs"], t.parameters["sample"]) for t in plan.tasks.values()] == [
        *((1, 4, 5), (2, 4, 5)),
        (1, 15, 5),
    ]
    with pytest.raises(UserError, match=r"seed must be set to a value or a list of values, got \[\]"):
        load_plan("tiny", settings={"seed": []})


def test_the_helps_example_is_one_of_plan_quick():
    plan = load_plan("quick", settings={"epochs": 3, "seed": [0, 1]})
    trained = [task for task in plan.tasks.values() if task.step == "train"]
    assert {task.parameters["seed"] for task in trained} == {0, 1}
    assert {task.parameters["epochs"] for task in trained} == {3}
