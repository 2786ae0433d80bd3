"""The Run folder: what does it record, how is it found, and is it whole at any time?"""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pytest
from helpers.run_folders import DATASET, make_run, open_run

from adautomix.config import OptimConfig, TrainConfig
from adautomix.runs.checkpoint import whole
from adautomix.runs.run import Run, find_runs
from adautomix.utils.errors import UserError
from adautomix.utils.files import machine, read_json, write_atomic, write_json


def test_the_same_config_has_the_same_folder_whose_name_tells_what_it_is(tmp_path):
    config = TrainConfig(method="cutmix", seed=3, width=16)
    first, second = (open_run(tmp_path, config, DATASET) for _ in range(2))
    assert first.path == second.path
    assert first.path.parent == tmp_path / "tiny"
    assert first.id.startswith("cutmix-resnet18_w16-s3-")
    assert first.config == config
    assert not first.done


def test_a_session_is_recorded_with_versions_and_machine(tmp_path):
    run = open_run(tmp_path, TrainConfig(), DATASET)
    run.add_session({"from_epoch": 0, "device": "cpu", "threads": 1})
    run.add_session({"from_epoch": 4, "device": "cpu", "threads": 1})
    first, second = read_json(run.path / "config.json")["sessions"]
    assert (first["from_epoch"], second["from_epoch"]) == (0, 4)
    assert first["versions"]["torch"]
    assert run.info["sessions"] == [first, second]


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(UserError, match="is not a Run"):
        Run(tmp_path).config  # noqa: B018


def test_find_runs_filters_by_config_and_leaves_out_unfinished_ones(tmp_path):
    for method in ("mixup", "cutmix"):
        for seed in (0, 1):
            make_run(tmp_path, 50, method=method, seed=seed)
    open_run(tmp_path, TrainConfig(method="vanilla"), DATASET)
    assert len(find_runs(tmp_path)) == 4
    assert len(find_runs(tmp_path, unfinished=True)) == 5
    assert [r.config.seed for r in find_runs(tmp_path, method="mixup")] == [0, 1]
    assert len(find_runs(tmp_path, method=["mixup", "cutmix"], seed=1)) == 2
    assert len(find_runs(tmp_path, method=None)) == 4
    assert find_runs(tmp_path / "nowhere") == []
    with pytest.raises(UserError, match="did you mean 'method'"):
        find_runs(tmp_path, metod="mixup")


def test_a_folder_with_a_foreign_config_is_left_alone(tmp_path):
    make_run(tmp_path, 50.0)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.json").write_text('{"name": "something else"}')
    (tmp_path / "other" / "DONE").touch()
    assert len(find_runs(tmp_path)) == 1


def test_a_failed_write_leaves_the_old_file_and_no_rubbish(tmp_path):
    path = tmp_path / "value.json"
    write_json(path, {"a": 1})

    def fail(temporary):
        temporary.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomic(path, fail)
    assert json.loads(path.read_text()) == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_process_left_half_written_goes_with_the_next_write(tmp_path):
    host, gone = machine(), 2**22 + 1  # above the largest process number
    left, other, ours = (tmp_path / f".a.json.{who}.tmp" for who in (f"{host}-{gone}", f"x{host}-{gone}", f"{host}-1"))
    for path in (left, other, ours):
        path.write_text("half")
    write_json(tmp_path / "b.json", {})
    assert sorted(path for path in tmp_path.iterdir() if path.suffix == ".tmp") == sorted([other, ours])


def test_history_is_read_back_as_written(tmp_path):
    run = open_run(tmp_path, TrainConfig(), DATASET)
    assert run.history.empty
    run.write_history([{"epoch": 1, "lr": 0.1}, {"epoch": 2, "lr": 0.05}])
    assert run.history.equals(pd.DataFrame({"epoch": [1, 2], "lr": [0.1, 0.05]}))


def test_a_history_that_is_gone_is_told(tmp_path):
    run = make_run(tmp_path, 50.0)
    assert run.last_epoch.student_top1 == 50.0
    (run.path / "history.csv").unlink()
    with pytest.raises(UserError, match=r"has no history\.csv, or an empty one; delete the file DONE beside it"):
        run.last_epoch  # noqa: B018


def test_runs_are_found_by_nested_settings(tmp_path):
    run = make_run(tmp_path, 50.0, method="mixup", optim={"student": OptimConfig(lr=0.2)})
    make_run(tmp_path, 50.0, method="mixup")
    assert [found.id for found in find_runs(tmp_path, optim=run.config.optim)] == [run.id]
    assert len(find_runs(tmp_path, ema=run.config.ema)) == 2
    assert len(find_runs(tmp_path, ema=[run.config.ema])) == 2
    assert [found.id for found in find_runs(tmp_path, optim={"student": {"lr": [0.2]}})] == []
    assert [found.id for found in find_runs(tmp_path, optim={"student": {"lr": 0.2}})] == [run.id]
    assert find_runs(tmp_path, options={"alpha": 0.5}) == []
    half = make_run(tmp_path, 50.0, method="mixup", options={"alpha": 0.5, "per_sample": False})
    assert [found.id for found in find_runs(tmp_path, options={"alpha": 0.5})] == [half.id]


def test_a_config_of_another_program_that_is_no_mapping_is_passed_by(tmp_path):
    make_run(tmp_path, 50.0, method="mixup")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.json").write_text("[1]")
    assert len(find_runs(tmp_path)) == 1


def test_who_waits_for_a_run_that_fails_before_its_config_makes_the_folder_anew(tmp_path):
    run, waiting = Run(tmp_path / "set" / "run"), threading.Event()

    def second():
        waiting.set()
        with Run(run.path).lock():
            assert run.path.exists()
            return True

    def first(pool):
        with run.lock():
            found.append(pool.submit(second))
            waiting.wait()
            time.sleep(0.2)  # it is asking for the lock now
            raise ValueError("failed")

    found = []
    with ThreadPoolExecutor() as pool:
        with pytest.raises(ValueError, match="failed"):
            first(pool)
        assert found[0].result(timeout=30)


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (OSError(116, "Stale file handle"), UserError, "could not be read .*try again when the disk answers"),
        (PermissionError(13, "Permission denied"), UserError, "could not be read"),
        (RuntimeError("MPS backend out of memory"), RuntimeError, "MPS"),
        (RuntimeError("CUDA error: an illegal memory access"), RuntimeError, "CUDA"),
        (RuntimeError("size mismatch for heads.one.weight"), UserError, "delete .* and train again"),
        (OSError(22, "Invalid argument"), UserError, "delete .* and train again"),
    ],
)
def test_a_run_is_not_to_be_deleted_for_a_disks_or_a_devices_error(tmp_path, error, kind, said):
    with pytest.raises(kind, match=said) as caught, whole(tmp_path / "checkpoint.pt"):
        raise error
    assert type(caught.value) is kind
    assert ("delete" in said) == ("; delete " in str(caught.value))
