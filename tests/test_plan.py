"""Plans are checked whole before anything starts, and every message names the fix."""

import pytest
from plans import write_notebook, write_plan

import adautomix.runner.tasks as tasks_module
from adautomix.errors import UserError
from adautomix.files import write_json
from adautomix.runner.execute import is_done
from adautomix.runner.notebook import parameters_of
from adautomix.runner.orchestrate import select, unsettled
from adautomix.runner.tasks import load_plan

PARAMETERS = """\
method: str = "mixup"  # one of METHODS
epochs: int = 1  # passes
lr: float = 0.1  # peak
seeds: list[int] = [0]  # several
size: "Optional[int]" = None  # px
flip: bool = True  # mirror
speed: str = "fast"  # one of: fast, slow
outputs: str = "outputs/x"  # where
"""


@pytest.fixture
def workbook(tmp_path, monkeypatch):
    write_notebook(tmp_path, "train", PARAMETERS, "pass")
    write_notebook(tmp_path, "table", 'outputs: str = "x"  # where\nmethod: str = "mixup"  # one of METHODS')
    monkeypatch.chdir(tmp_path)
    return tmp_path


def plan_of(workbook, steps, settings=None, **top):
    return load_plan(write_plan(workbook, steps, **top), settings=settings)


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


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"notebook": "trian"}, "unknown notebook 'trian'; did you mean 'train'"),
        ({"notebook": "train", "parameters": {"epoch": 3}}, "unknown parameter 'epoch'; did you mean 'epochs'"),
        ({"notebook": "train", "grid": {"epochz": [1]}}, "unknown parameter 'epochz'; did you mean 'epochs'"),
        ({"notebook": "train", "parameters": {"epochs": "3"}}, "epochs must be int, got '3'"),
        ({"notebook": "train", "parameters": {"epochs": 2.5}}, "epochs must be int, got 2.5"),
        ({"notebook": "train", "parameters": {"epochs": True}}, "epochs must be int, got True"),
        ({"notebook": "train", "parameters": {"lr": None}}, "lr must be float, got None"),
        ({"notebook": "train", "parameters": {"seeds": [1, "b"]}}, r"seeds must be list\[int\], got \[1, 'b'\]"),
        ({"notebook": "train", "grid": {"method": ["mixup", "mixpu"]}}, "'mixpu'; did you mean 'mixup'"),
        ({"notebook": "train", "parameters": {"speed": "fats"}}, r"speed: .*'fats'; did you mean 'fast'"),
        ({"notebook": "train", "grid": {"epochs": 3}}, "grid of epochs must be a list of values, got 3"),
        ({"notebook": "train", "grid": {"epochs": [1, 1]}}, "grid of epochs has two values with the same name"),
        ({"notebook": "train", "grid": {"epochs": [1]}, "parameters": {"epochs": 2}}, "epochs is both in the grid"),
        ({"notebook": "train", "neds": ["a"]}, "unknown key 'neds'; did you mean 'needs'"),
        ({"notebook": "train", "needs": ["tarin"]}, "unknown step 'tarin'; did you mean 'train'"),
        ({"notebook": "train", "needs": ["one"]}, "`needs` go in a circle: one -> one; remove one of them"),
        ({"notebook": "train", "timeout_minutes": 0}, "timeout_minutes must be a positive number, got 0"),
        ({"notebook": "train", "gpu": "yes"}, "gpu must be true or false, got 'yes'"),
        ({"grid": {}}, "must be a mapping with a `notebook`"),
    ],
)
def test_every_kind_of_mistake_is_refused(workbook, step, message):
    with pytest.raises(UserError, match=message):
        plan_of(workbook, {"train": {"notebook": "train"}, "one": step})
    assert not (workbook / "outputs").exists()


def test_whole_numbers_serve_as_floats_and_none_where_optional(workbook):
    plan = plan_of(workbook, {"a": {"notebook": "train", "parameters": {"lr": 1, "size": None, "seeds": [1, 2]}}})
    assert plan.tasks["a"].parameters["lr"] == 1


def test_a_circle_of_several_steps_is_shown(workbook):
    steps = {name: {"notebook": "train", "needs": [need]} for name, need in ("ab", "bc", "ca")}
    with pytest.raises(UserError, match=r"go in a circle: (a -> b -> c -> a|b -> c -> a -> b|c -> a -> b -> c)"):
        plan_of(workbook, steps)


def test_all_mistakes_are_reported_at_once(workbook):
    steps = {
        "a": {"notebook": "train", "parameters": {"epochs": "x"}},
        "b": {"notebook": "nowhere"},
        "c": {"notebook": "train", "parameters": {"methd": "mixup"}},
    }
    with pytest.raises(UserError, match=r"has 3 mistakes, nothing was started") as caught:
        plan_of(workbook, steps)
    assert all(f"step {name}:" in str(caught.value) for name in "abc")


def test_settings_replace_and_are_checked_like_the_plans_own(workbook):
    steps = {"a": {"notebook": "train"}}
    assert plan_of(workbook, steps, settings={"epochs": 7}).tasks["a"].parameters["epochs"] == 7
    with pytest.raises(UserError, match="no notebook of this plan has a parameter 'epohcs'"):
        plan_of(workbook, steps, settings={"epohcs": 7})
    with pytest.raises(UserError, match="epochs must be int"):
        plan_of(workbook, steps, settings={"epochs": "many"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("steps: {a: {notebook: train}, a: {notebook: table}}", "'a' appears twice"),
        ("steps: [", "cannot be read"),
        ("step: {a: {notebook: train}}", "must have a mapping `steps`"),
        ("steps: {a: {notebook: train}}\nparametres: {}", "did you mean 'parameters'"),
        ("steps: {a: 3}", "must be a mapping with a `notebook`"),
        ("steps: {a: {notebook: train}}\nparameters: [1]", "parameters must be a mapping"),
    ],
)
def test_broken_yaml_is_explained(workbook, text, message):
    path = write_plan(workbook, {})
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        load_plan(path)


def test_plans_are_found_by_name_and_unknown_ones_refused(workbook):
    write_plan(workbook, {"a": {"notebook": "train"}}, name="mine")
    assert load_plan("mine").name == "mine"
    assert load_plan("mine", name="other").outputs == workbook / "outputs" / "other"
    with pytest.raises(UserError, match="unknown plan 'mien'; did you mean 'mine'"):
        load_plan("mien")
    with pytest.raises(UserError, match=r"there is no plan nowhere\.yaml"):
        load_plan("nowhere.yaml")


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (None, "no cell tagged 'parameters'"),
        ("epochs = 3", "every line of the parameters cell must read"),
        ("epochs: int = 1 + n", "needs a literal value"),
        ("epochs: int = None", "the default of epochs must be int, got None"),
        ("epochs: number = 1", "a type made of int, float"),
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


def key(workbook, step=None, **top):
    steps = {"a": {"notebook": "train"} | (step or {}), "b": {"notebook": "table", "needs": "a"}}
    tasks = plan_of(workbook, steps, **top).tasks
    return tasks["a"].key, tasks["b"].key


def test_a_task_is_another_for_other_parameters_notebook_or_upstream(workbook):
    first = key(workbook)
    assert key(workbook) == first
    changed = key(workbook, {"parameters": {"epochs": 2}})
    assert changed[0] != first[0]
    assert changed[1] != first[1]  # its upstream changed
    write_notebook(workbook, "train", PARAMETERS, "pass  # edited")
    assert key(workbook)[0] != first[0]


def test_the_packages_source_makes_stale_everything_but_training(workbook, monkeypatch):
    plain, training = key(workbook), key(workbook, {"training": True})
    monkeypatch.setattr(tasks_module, "package_hash", lambda: "edited")
    assert key(workbook)[0] != plain[0]
    assert key(workbook, {"training": True})[0] == training[0]


def test_moving_the_outputs_does_not_make_a_task_stale(workbook):
    first = plan_of(workbook, {"a": {"notebook": "train"}}).tasks["a"]
    moved = load_plan(workbook / "notebooks" / "plans" / "tiny.yaml", name="other").tasks["a"]
    assert first.folder != moved.folder
    assert first.key == moved.key
    assert not is_done(first)


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


def test_a_task_after_one_that_runs_runs_too(workbook):
    steps = {"a": {"notebook": "train"}, "b": {"notebook": "table", "needs": "a"}, "c": {"notebook": "table"}}
    tasks = plan_of(workbook, steps).tasks
    for task in tasks.values():
        write_json(task.folder / "DONE", {"key": task.key, "seconds": 1.0})
    assert unsettled(tasks.values(), set()) == []
    assert [t.id for t in unsettled(tasks.values(), {"a"})] == ["a", "b"]
    write_json(tasks["c"].folder / "DONE", {"key": "another", "seconds": 1.0})
    assert [t.id for t in unsettled(tasks.values(), set())] == ["c"]
