"""Comparable runs: which settings must agree for which comparison?"""

import json
import shutil
import subprocess
import sys

import pytest
from helpers.run_folders import DATASET, make_run

from adautomix.config import EmaConfig, OptimConfig
from adautomix.results.comparable import FACTORS, METHOD, RECIPE, comparable_key, each_once, group_key, settings
from adautomix.runs.run import Run
from adautomix.utils.errors import UserError

SLOW = OptimConfig(lr=0.01)


def differ(tmp_path, **changes):
    """Return whether two runs may be compared: as seeds, as methods, as factors, in a recipe's column."""
    dataset = changes.pop("dataset", DATASET)
    optim = {"student": OptimConfig(), "generator": OptimConfig()}
    one = make_run(tmp_path, 50.0, method="automix", optim=optim)
    other = make_run(tmp_path / "other", 50.0, **{"method": "automix", "optim": optim, "dataset": dataset} | changes)
    return [group_key(one, apart=apart) == group_key(other, apart=apart) for apart in ((), METHOD, FACTORS, RECIPE)]


def test_seed_and_place_never_count(tmp_path):
    assert differ(tmp_path, seed=3, workers=2, device="cpu") == [True, True, True, True]


def test_each_comparison_leaves_out_its_own_settings(tmp_path):
    optim = {"student": OptimConfig(), "generator": SLOW}
    assert differ(tmp_path / "a", method="mixup", options={"alpha": 0.5}) == [False, True, True, True]
    assert differ(tmp_path / "b", optim=optim, ema=EmaConfig(base=0.9)) == [False, True, True, True]
    assert differ(tmp_path / "c", optim=optim | {"student": SLOW}) == [False, True, False, True]
    assert differ(tmp_path / "d", batch_size=7) == [False, False, False, True]


def test_epochs_precision_held_out_images_and_the_images_always_count(tmp_path):
    others = {"epochs": 9}, {"precision": "bfloat16"}, {"validation": 0.1}, {"dataset": DATASET | {"fingerprint": "g"}}
    for k, changes in enumerate(others):
        assert not any(differ(tmp_path / str(k), **changes))


def test_a_run_of_other_numerics_or_written_before_a_setting_existed(tmp_path):
    run, later = make_run(tmp_path, 50.0), make_run(tmp_path / "other", 50.0, seed=1)
    info = json.loads((later.path / "config.json").read_text())
    del info["config"]["channels_last"]
    (later.path / "config.json").write_text(json.dumps(info))
    del later.info
    assert settings(run) == settings(later)
    later.info["numerics_version"] -= 1
    assert comparable_key(run) != comparable_key(later)


def test_the_tables_import_without_torch():
    code = "import sys; from adautomix.results import ablation_table, cells, differences, left_out, scores\n"
    found = subprocess.run(
        [sys.executable, "-c", code + "print('torch' in sys.modules)"], capture_output=True, text=True
    )
    assert found.stdout.strip() == "False", found.stderr


def test_a_run_found_twice_is_one(tmp_path):
    runs = [make_run(tmp_path / place, 50.0) for place in ("here", "there")]
    assert len(each_once(runs)) == 1


def test_a_generators_optimiser_counts_where_it_differs_from_the_students(tmp_path):
    student = OptimConfig(lr=0.1)
    plain = make_run(tmp_path, 50.0, optim={"student": student})
    same, slow = (make_run(tmp_path, 50.0, optim={"student": student, "generator": own}) for own in (student, SLOW))
    assert settings(same) == settings(plain)
    assert settings(slow) == settings(plain) | {"optim.generator.lr": 0.01}


def test_two_runs_of_one_name_are_not_taken_for_one(tmp_path):
    first, second = (make_run(tmp_path, 50.0, method=method) for method in ("mixup", "cutmix"))
    copies = [shutil.copytree(run.path, tmp_path / name / "run") for name, run in (("a", first), ("b", second))]
    same = shutil.copytree(first.path, tmp_path / "c" / "run")
    assert len(each_once(map(Run, (copies[0], same)))) == 1
    with pytest.raises(UserError, match=r"two different runs are called run: .*a/run and .*b/run; rename a folder"):
        each_once(map(Run, copies))
