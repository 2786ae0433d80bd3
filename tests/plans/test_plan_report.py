"""The end of a run of a plan: are the failures told, whatever else is wrong?"""

from helpers.plans import plan_of, two_notebooks
from helpers.run_folders import make_run

from adautomix.plans.execute import Outcome
from adautomix.plans.report import outcome_text
from adautomix.utils.task import LISTED


def test_a_damaged_result_does_not_keep_the_failures_back(tmp_path, monkeypatch):
    monkeypatch.chdir(two_notebooks(tmp_path))
    plan = plan_of(tmp_path, {"a": {"notebook": "train"}, "b": {"notebook": "train"}})
    run = make_run(tmp_path / "runs", 50.0)
    damaged = run.path / "metrics" / "accuracy.student.json"
    damaged.write_text("")
    folder = plan.tasks["a"].folder
    folder.mkdir(parents=True)
    (folder / LISTED).write_text(f"{run.path}\n")
    told = outcome_text(plan, [Outcome("a", "done"), Outcome("b", "failed", reason="boom")])
    assert "-- b failed --\nboom" in told
    assert f"no accuracies: {damaged} is damaged" in told
    assert "tiny: 1 done, 1 failed" in told
