"""What a name of outputs stands for: the plan and the settings of its last run, which a mistake does not change."""

import pytest
from helpers.commands import call
from helpers.plans import write_notebook, write_plan

from adautomix.cli.arguments import PlanChoice
from adautomix.cli.plans import _plan
from adautomix.plans.last_run import recall, remember
from adautomix.plans.tasks import load_plan
from adautomix.utils.errors import UserError
from adautomix.utils.files import read_json, write_json


@pytest.fixture
def plan(tmp_path, monkeypatch):
    """Return a plan with a seed, named `mine`, after a run with seed 3."""
    monkeypatch.chdir(tmp_path)
    write_notebook(tmp_path, "note", "outputs: str = 'x'\nseed: int = 0", "print(seed)")
    for name in ("tiny", "other"):
        write_plan(tmp_path, {"note": {"notebook": "note"}}, name=name, parameters={"seed": 1})
    plan = load_plan("tiny", settings={"seed": 3}, name="mine")
    remember(plan)
    return plan


def test_the_last_settings_are_recalled(plan):
    assert recall(plan) == {"seed": 3}
    assert recall(load_plan("tiny")) is None


def test_a_name_belongs_to_one_plan(plan):
    with pytest.raises(UserError, match="'mine' belongs to plan tiny, not to other; choose another --name"):
        recall(load_plan("other", name="mine"))


def test_plans_of_one_name_in_two_folders_are_two(plan, tmp_path, capsys):
    for folder, seed in (("mine", 1), ("a colleague's", 2)):
        (tmp_path / folder).mkdir()
        text = (tmp_path / "notebooks" / "plans" / "tiny.yaml").read_text().replace("seed: 1", f"seed: {seed}")
        (tmp_path / folder / "study.yaml").write_text(text)
    own, other = (load_plan(f"{folder}/study.yaml") for folder in ("mine", "a colleague's"))
    remember(own)
    assert (own.call, other.call) == ("mine/study.yaml", "'a colleague'\"'\"'s/study.yaml'")
    assert load_plan("mine/study.yaml", name="again").call == "mine/study.yaml --name again"
    assert load_plan("notebooks/plans/tiny.yaml").call == "tiny"
    assert call("run", "a colleague's/study.yaml") == 2
    assert "'study' belongs to plan mine/study.yaml, not to a colleague's/study.yaml" in capsys.readouterr().err
    assert recall(own) == {}
    write_json(own.outputs / "settings.json", {"plan": "study", "set": {"seed": 9}})  # as older versions wrote it
    assert recall(own) == {"seed": 9}


def test_a_setting_that_no_notebook_has_any_more_is_told_with_the_file_that_keeps_it(plan, capsys):
    write_json(plan.outputs / "settings.json", {"plan": "tiny", "set": {"gone": 1}})
    assert call("status", "tiny", "--name", "mine", "--set", "seed=4") == 2
    told = capsys.readouterr().err
    assert "no notebook of this plan has a parameter 'gone'" in told
    assert f"had set gone=1, which stays: take out what is wrong in {plan.outputs / 'settings.json'}" in told


@pytest.mark.parametrize("mistake", [["--only", "nothing"], ["--scheduler", "tcp://127.0.0.1:1"]])
def test_a_mistake_does_not_change_what_a_name_stands_for(plan, mistake, capsys):
    assert call("run", "tiny", "--name", "mine", "--set", "seed=5", *mistake) == 2
    assert read_json(plan.outputs / "settings.json")["set"] == {"seed": 3}


def test_a_mistake_leaves_no_outputs_behind(plan, tmp_path, capsys):
    assert call("run", "tiny", "--name", "fresh", "--only", "nothing") == 2
    assert not (tmp_path / "outputs" / "fresh").exists()


@pytest.mark.slow
def test_a_further_run_under_a_name_keeps_its_settings(plan, capsys):
    assert call("run", "tiny", "--name", "mine") == 0
    assert "mine: 1 done" in capsys.readouterr().out
    assert read_json(plan.outputs / "settings.json") == {"plan": "tiny", "set": {"seed": 3}}
    assert read_json(plan.outputs / "tasks" / "note" / "DONE")["parameters"]["seed"] == 3


@pytest.mark.parametrize("name", ["reference", "runs"])
def test_names_of_other_outputs_are_refused(plan, name):
    with pytest.raises(UserError, match=f"outputs/{name} is .*; choose another --name"):
        load_plan("tiny", name=name)


def test_what_is_set_anew_leaves_what_was_set_before(plan, capsys):
    assert call("status", "tiny", "--name", "mine", "--set", "seed=4") == 0
    assert _plan(PlanChoice("tiny", name="mine", set=("seed=4",)), again=True).settings == {"seed": 4}
    assert _plan(PlanChoice("tiny", name="mine"), again=True).settings == {"seed": 3}
    assert call("run", "tiny", "--set", "seed=0", "--set", "seed=1") == 2
    assert "--set seed is given twice; a list of values is one: --set seed=[1,2]" in capsys.readouterr().err
