"""Plans are checked whole before anything starts, and every message names the fix."""

import pytest
from plans import write_notebook, write_plan

import adautomix.runner.execute as execute_module
import adautomix.runner.tasks as tasks_module
from adautomix.errors import UserError
from adautomix.files import write_json
from adautomix.plain_yaml import parse
from adautomix.run import TRAINED
from adautomix.runner.execute import Outcome, TaskFailed, execute, is_done
from adautomix.runner.notebook import parameters_of
from adautomix.runner.orchestrate import _skipped, _startable, select, unsettled
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


def test_a_point_of_a_grid_does_not_wait_for_steps_that_are_fixed_to_something_else(workbook):
    steps = {
        "one": {"notebook": "train", "parameters": {"method": "mixup"}},
        "many": {"notebook": "train", "grid": {"method": ["cutmix", "vanilla"]}},
        "evaluate": {"notebook": "table", "needs": ["one", "many"], "grid": {"method": ["mixup", "cutmix"]}},
    }
    tasks = plan_of(workbook, steps).tasks
    assert tasks["evaluate.method=mixup"].needs == ("one",)
    assert tasks["evaluate.method=cutmix"].needs == ("many.method=cutmix",)


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
        ({"notebook": "train", "needs": 3}, "needs must be a step's name or a list of names, got 3"),
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
        write_json(task.folder / "DONE", {"key": task.key, "run": task.id, "upstream": {n: n for n in task.needs}})
    assert unsettled(tasks.values(), set()) == []
    assert [t.id for t in unsettled(tasks.values(), {"a"})] == ["a", "b"]
    write_json(tasks["c"].folder / "DONE", {"key": "another", "run": "c", "upstream": {}})
    assert [t.id for t in unsettled(tasks.values(), set())] == ["c"]
    write_json(tasks["a"].folder / "DONE", {"key": tasks["a"].key, "run": "again", "upstream": {}})
    assert [t.id for t in unsettled(tasks.values(), set())] == ["c", "b"]  # b has not seen the new run of a


def test_a_training_task_whose_run_was_deleted_is_not_done(workbook):
    task = plan_of(workbook, {"a": {"notebook": "train"}}).tasks["a"]
    run = workbook / "outputs" / "tiny" / "runs" / "one"
    write_json(task.folder / "DONE", {"key": task.key, "run": "x", "upstream": {}})
    write_json(run / "DONE", {})
    (task.folder / TRAINED).write_text("../../runs/one\n")
    assert is_done(task)
    (run / "DONE").unlink()
    assert not is_done(task)


def test_settings_replace_grids_with_one_value_or_a_list(workbook):
    steps = {"a": {"notebook": "train", "grid": {"method": ["mixup", "cutmix"], "epochs": [1, 2]}}}
    assert set(plan_of(workbook, steps, settings={"epochs": 5}).tasks) == {
        "a.method=mixup.epochs=5",
        "a.method=cutmix.epochs=5",
    }
    assert len(plan_of(workbook, steps, settings={"epochs": [1, 2, 3], "method": "mixup"}).tasks) == 3
    with pytest.raises(UserError, match="did you mean 'mixup'"):
        plan_of(workbook, steps, settings={"method": "mixpu"})


def test_outputs_cannot_be_set_but_named(workbook):
    with pytest.raises(UserError, match="choose one with --name"):
        plan_of(workbook, {"a": {"notebook": "train"}}, settings={"outputs": "elsewhere"})


def test_another_root_is_another_task(workbook):
    write_notebook(workbook, "data", "root: str = 'a'  # where", "pass")
    first, second = (plan_of(workbook, {"a": {"notebook": "data"}}, settings={"root": r}).tasks["a"] for r in "ab")
    assert first.key != second.key


def test_numbers_with_an_exponent_are_numbers(workbook):
    path = write_plan(workbook, {})
    path.write_text("parameters: {lr: 5e-4}\nsteps: {a: {notebook: train}}")
    assert load_plan(path).tasks["a"].parameters["lr"] == 5e-4
    assert [parse(text) for text in ("1e-3", "-2.5E+2", "e5", "1e", "3")] == [1e-3, -250.0, "e5", "1e", 3]


def test_tasks_start_in_order_when_needs_are_done_and_workers_free(workbook):
    steps = {
        "a": {"notebook": "train", "grid": {"epochs": [1, 2, 3]}},
        "b": {"notebook": "train", "needs": "a"},
        "c": {"notebook": "table"},
    }
    waiting = dict(plan_of(workbook, steps).tasks)
    ids = list(waiting)
    two, four = [False, False], [False] * 4
    assert [t.id for t in _startable(waiting, {}, two)] == ["a.epochs=1", "a.epochs=2"]
    assert [t.id for t in _startable(waiting, {}, four)] == ["a.epochs=1", "a.epochs=2", "a.epochs=3", "c"]
    running = {name: waiting.pop(name) for name in ids[:3]}
    assert [t.id for t in _startable(waiting, running, four)] == ["c"]  # b waits for all of a
    assert _startable(waiting, running, [False] * 3) == []
    assert _startable(waiting, running, [False]) == []  # workers that went away take their notebooks' places with them
    assert [t.id for t in _startable(waiting, {}, two)] == ["c", "b"]


def test_a_gpu_task_waits_for_a_gpu_and_others_pass_it(workbook):
    steps = {"a": {"notebook": "train", "gpu": True, "grid": {"epochs": [1, 2]}}, "c": {"notebook": "table"}}
    waiting = dict(plan_of(workbook, steps).tasks)
    assert [t.id for t in _startable(waiting, {}, [True, False])] == ["a.epochs=1", "c"]
    assert [t.id for t in _startable(waiting, {}, [False, False])] == ["a.epochs=1", "a.epochs=2"]  # none anywhere


def test_everything_after_a_failure_is_skipped_because_of_it(workbook):
    steps = {
        "a": {"notebook": "train"},
        "b": {"notebook": "train", "needs": "a"},
        "c": {"notebook": "table", "needs": "b"},
        "d": {"notebook": "table"},
    }
    waiting = dict(plan_of(workbook, steps).tasks)
    del waiting["a"]
    skipped = _skipped(waiting, {"a": Outcome("a", "failed", reason="broken")})
    assert [(o.id, o.reason) for o in skipped] == [("b", "skipped because of a"), ("c", "skipped because of a")]


def test_an_error_outside_the_notebook_is_told_as_what_it_is(workbook, monkeypatch):
    task = plan_of(workbook, {"a": {"notebook": "train"}}).tasks["a"]
    (workbook / "outputs").write_text("a file where a folder should be")
    with pytest.raises(TaskFailed) as caught:
        execute(task)
    assert "NotADirectoryError" in caught.value.reason


def test_a_scheduler_that_starts_a_task_again_is_refused(workbook):
    task = plan_of(workbook, {"a": {"notebook": "train"}}).tasks["a"]
    task.folder.mkdir(parents=True)
    (task.folder / ".started").write_text("this run")
    with pytest.raises(TaskFailed) as caught:
        execute(task, submission="this run")
    assert "worker process was killed" in caught.value.reason


@pytest.mark.parametrize(("failures", "works"), [(1, True), (3, False)])
def test_on_windows_a_kernel_that_did_not_start_is_tried_again(monkeypatch, failures, works):
    class Papermill:
        calls = 0

        def execute_notebook(self, config):
            self.calls += 1
            if self.calls <= failures:
                raise RuntimeError("Kernel died before replying to kernel_info")

    monkeypatch.setattr("sys.platform", "win32")
    papermill = Papermill()
    if works:
        execute_module._start_and_run(papermill)
        assert papermill.calls == failures + 1
    else:
        with pytest.raises(RuntimeError):
            execute_module._start_and_run(papermill)
        assert papermill.calls == 3
