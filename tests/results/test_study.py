"""A study's files: what is there stays, what is run again is replaced, and only what may be is compared."""

import pandas as pd
import pytest
from helpers.run_folders import DATASET, make_run

from adautomix.results import gains, regime_table
from adautomix.results.study import publish_study, read_study
from adautomix.runs.run import find_runs
from adautomix.utils.errors import UserError

MANY = DATASET | {"n_train": 40}


def test_files_hold_what_the_runs_say_and_grow(tmp_path):
    first = make_run(tmp_path / "one", 50.0, MANY, method="vanilla", epochs=4)
    first.write_metrics("calibration", "student", {"value": {"ece": 7.123456}, "n_images": 10})
    publish_study([first], tmp_path / "study", label="photographs")
    second = make_run(tmp_path / "two", 60.0, MANY | {"label": "else"}, method="mixup", epochs=4)
    made = publish_study([second], tmp_path / "study", label="photographs", joins=True)
    read = {name: pd.read_csv(tmp_path / "study" / f"{name}.csv") for name in made}
    assert [len(read[name]) for name in ("scores", "epochs", "robustness")] == [12, 8, 1]
    assert set(read["scores"]["data"]) == {"photographs"}
    assert set(read["scores"]["per_class"]) == {20}
    assert read["robustness"]["ece"].tolist() == [7.1235]
    assert gains(read["scores"])["difference"].tolist() == [10.0]


def test_a_run_that_is_published_again_replaces_its_rows(tmp_path):
    run = make_run(tmp_path, 50.0, MANY, method="vanilla", epochs=4)
    publish_study([run], tmp_path / "study")
    run.write_history([{"epoch": 1, "lr": 0.1, "student_top1": 70.0, "teacher_top1": 71.0}])
    publish_study([run], tmp_path / "study")
    scores, epochs = (pd.read_csv(tmp_path / "study" / f"{name}.csv") for name in ("scores", "epochs"))
    assert scores.query("role == 'student'")["top1"].unique().tolist() == [70.0]
    assert len(epochs) == 1


def test_runs_of_other_settings_are_not_joined_by_themselves_and_not_to_nothing(tmp_path):
    publish_study([make_run(tmp_path, 50.0, MANY, method="vanilla", epochs=4)], tmp_path / "study")
    other = [make_run(tmp_path, 60.0, MANY, method="mixup", epochs=4, batch_size=25)]
    with pytest.raises(UserError, match="there is no study to join"):
        publish_study(other, tmp_path / "new", joins=True)
    made = publish_study(other, tmp_path / "study")
    assert gains(made["scores"]).empty
    with pytest.raises(UserError, match="the study has 2 groups of comparable runs"):
        publish_study(other, tmp_path / "study", joins=True)
    with pytest.raises(UserError, match="needs finished runs"):
        publish_study(find_runs(tmp_path / "nothing"), tmp_path / "study")
    assert not (tmp_path / "new").exists()


def test_a_study_without_evaluations_has_no_file_of_them_and_is_read_all_the_same(tmp_path):
    with pytest.raises(UserError, match="there is no study in"):
        read_study(tmp_path)
    publish_study([make_run(tmp_path / "one", 50.0, MANY, method="vanilla", epochs=4)], tmp_path / "study")
    assert sorted(path.name for path in (tmp_path / "study").iterdir()) == ["epochs.csv", "scores.csv"]
    scores, epochs, robust = read_study(tmp_path / "study")
    assert (len(scores), len(epochs), len(robust)) == (6, 4, 0)
    table = regime_table(scores[scores["rule"] == "last"], robust)
    assert table["top-1, student"].tolist() == [50.0]
    assert table[["ECE, student", "corrupted images"]].isna().all(axis=None)


def test_a_label_of_two_settings_is_refused_and_nothing_is_written(tmp_path):
    common = {"method": "mixup", "epochs": 4}
    study = tmp_path / "study"
    publish_study([make_run(tmp_path / "one", 50.0, MANY, options={"alpha": 0.2}, **common)], study)
    before = (study / "scores.csv").read_text()
    other = make_run(tmp_path / "two", 60.0, MANY, options={"alpha": 2.0}, seed=1, **common)
    with pytest.raises(UserError, match="'mixup' would name runs of 2 settings"):
        publish_study([other], study)
    assert (study / "scores.csv").read_text() == before
    publish_study([make_run(tmp_path / "three", 61.0, MANY, options={"alpha": 0.2}, seed=1, **common)], study)
    old = pd.read_csv(study / "scores.csv").drop(columns="setting")  # of an older version
    old.to_csv(study / "scores.csv", index=False)
    assert len(publish_study([other], study)["scores"]) == 3 * len(old) // 2


def test_a_published_setting_keeps_its_label_whatever_is_published_with_a_further_seed(tmp_path):
    study, common = tmp_path / "study", {"method": "mixup", "epochs": 4}
    publish_study([make_run(tmp_path / "one", 50.0, MANY, **common)], study)
    longer = make_run(tmp_path / "two", 60.0, MANY, method="mixup", epochs=8)
    made = publish_study([make_run(tmp_path / "two", 51.0, MANY, seed=1, **common), longer], study)
    scores = made["scores"].groupby("run")["label"].unique()
    assert sorted(map(list, scores)) == [["mixup"], ["mixup"], ["mixup, epochs 8"]]
    assert scores.equals(made["epochs"].groupby("run")["label"].unique())


def test_of_a_long_run_evaluated_epochs_stay_and_of_the_others_every_so_many(tmp_path):
    run = make_run(tmp_path, 50.0, MANY, method="vanilla", epochs=600)
    rows = run.history.to_dict("records")
    run.write_history([r if r["epoch"] > 590 else r | dict.fromkeys(("student_top1", "teacher_top1")) for r in rows])
    for _ in range(2):
        made = publish_study([run], tmp_path / "study")
        assert made["epochs"]["epoch"].tolist() == [*range(4, 591, 4), *range(591, 601)]
