"""The command line works as the README shows it."""

import io
import shlex
import shutil

import pandas as pd
import pytest
from helpers import ROOT
from helpers.checkpoints import in_their_layout, small_networks, write_checkpoint
from helpers.commands import call
from helpers.plans import command, write_notebook, write_plan
from helpers.trees import write_tree
from PIL import Image

from adautomix.recipes import RECIPES
from adautomix.runs.run import create, find_runs, run_for


def test_train_then_evaluate(tmp_path, capsys):
    runs = str(tmp_path / "runs")
    everyday = "--data digits --method mixup --backbone resnet18 --epochs 2 --seed 0 --width 4 --per-class 5"
    flags = shlex.split(everyday)
    assert call("train", *flags, "--lr", "0.05", "--option", "alpha=0.4", "--runs", runs) == 0
    assert "epoch   2/2" in capsys.readouterr().out
    (run,) = find_runs(runs)
    assert run.config.options["alpha"] == 0.4
    assert run.config.optim["student"].lr == 0.05
    assert call("evaluate", runs, "--evaluators", "accuracy,calibration") == 0
    ece = run.metrics("calibration", "student")["value"]["ece"]
    assert f"calibration of the student: ece {ece:.2f} %, mce " in capsys.readouterr().out
    assert run.metrics("accuracy", "teacher")["n_images"] == 797
    assert call("train", *flags, "--lr", "0.05", "--option", "alpha=0.4", "--runs", runs) == 0
    assert "already trained" in capsys.readouterr().out


def test_a_generator_has_the_students_optimiser_but_for_what_is_given(tmp_path):
    flags = shlex.split("--method automix --epochs 1 --width 4 --per-class 5 --lr 0.05 --optim.student.nesterov")
    generator = shlex.split("--generator name=adamw --generator lr=0.01")
    assert call("train", *flags, *generator, "--runs", str(tmp_path / "adamw")) == 0
    (run,) = find_runs(tmp_path / "adamw")
    assert (run.config.optim["generator"].name, run.config.optim["generator"].nesterov) == ("adamw", False)
    generator = shlex.split("--generator lr=0.01 --generator momentum=0.5")
    assert call("train", *flags, "--flip", "True", *generator, "--runs", str(tmp_path / "sgd")) == 0
    (run,) = find_runs(tmp_path / "sgd")
    assert run.config.flip is True
    student, generator = (run.config.optim[name] for name in ("student", "generator"))
    assert (student.lr, student.momentum, student.nesterov) == (0.05, 0.9, True)
    assert (generator.lr, generator.momentum, generator.nesterov) == (0.01, 0.5, True)


def test_recipes_are_listed_one_a_line(capsys):
    assert call("recipes") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 150
    assert " ".join(lines[9].split()) == "cifar100_resnet18/adautomix Table 1 800 epochs paper 82.32 %"
    assert call("recipes", "cars_resnet18/a", "cub200_resnet50/vanilla") == 0
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_a_recipe_is_trained_by_name_with_seed_and_budget(tmp_path, capsys, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "adautomix.training.loop.train", lambda config, runs, **how: seen.append(config) or done(tmp_path, config)
    )
    flags = ["--root", str(tmp_path / "data"), "--seed", "1", "--device", "cpu"]
    recipe = RECIPES["cifar100_resnet18/adautomix"]
    assert call("train", "--recipe", recipe.name, "--budget", "0.01", *flags) == 0
    assert seen[-1] == recipe.config(budget=0.01, seed=1, root=str(tmp_path / "data"), device="cpu")
    assert "8 of 800 epochs: not comparable with the paper; paper 82.32 %" in capsys.readouterr().out
    assert call("train", "--recipe", recipe.name, "--fair", "--seed", "1", "--optim.student.lr", "0.3") == 0
    assert seen[-1].optim["student"].lr == 0.3
    assert seen[-1].optim["generator"] == recipe.config().optim["generator"]
    assert "no longer the recipe" in capsys.readouterr().out


def done(folder, config):
    """Return a Run that looks trained, on all images of CIFAR-100."""
    dataset = {"label": "cifar100", "classes": list(range(100)), "n_train": 50_000, "fingerprint": ""}
    run = run_for(folder, config, dataset)
    create(run, config, dataset)
    run.write_history([{"epoch": 1, "student_top1": 1.0, "teacher_top1": 2.0}])
    return run


@pytest.mark.parametrize("name", ["train", "evaluate", "recipes", "run", "status"])
def test_help_says_what_every_flag_does(capsys, name):
    assert call(name, "--help") == 0
    shown = capsys.readouterr().out
    assert f"usage: adautomix {name}" in shown
    if name == "train":
        assert all(flag in shown for flag in ("--data", "--method", "--epochs", "--seed", "--lr", "--devices"))
        assert "cutmix" in shown
        assert "digits" in shown


GOLDEN = str(ROOT / "tests" / "golden" / "run")


def test_predict_prints_or_writes_what_a_run_takes_images_for(tmp_path, capsys):
    (run,) = find_runs(GOLDEN, method="adautomix")
    Image.new("RGB", (40, 30), (200, 30, 30)).save(tmp_path / "red.png")
    assert call("predict", str(run.path), str(tmp_path / "red.png"), "--top", "2") == 0
    line = capsys.readouterr().out.strip()
    assert line.startswith(f"{tmp_path / 'red.png'}: ")
    assert line.count(" %") == 2
    assert call("predict", str(run.path), str(tmp_path / "red.png"), "--csv", str(tmp_path / "told.csv")) == 0
    rows = (tmp_path / "told.csv").read_text().splitlines()
    assert rows[0] == "file,rank,class,probability"
    assert len(rows) == 4
    (tmp_path / "broken.png").write_bytes(b"no picture")
    assert call("predict", str(run.path), str(tmp_path / "red.png"), str(tmp_path / "broken.png")) == 1
    told = capsys.readouterr()
    assert told.out.splitlines()[-1].startswith(f"{tmp_path / 'red.png'}: ")
    assert "left out:" in told.err
    assert "broken.png" in told.err
    assert call("predict", str(run.path), str(tmp_path / "broken.png"), "--csv", str(tmp_path / "none.csv")) == 1
    assert not (tmp_path / "none.csv").exists()
    capsys.readouterr()
    assert call("predict", str(run.path), str(tmp_path / "blue.png")) == 2
    assert "there is no file or folder" in capsys.readouterr().err


def test_table_shows_what_was_evaluated_in_each_format(capsys):
    shown = {}
    for form in ("text", "csv", "markdown", "latex"):
        assert call("table", GOLDEN, "--format", form) == 0
        shown[form] = capsys.readouterr().out
    first = shown["csv"].splitlines()[0].split(",")
    assert first[:2] == ["data", "method"]
    assert {"role", "top1", "sd", "seeds"} <= set(first)
    assert shown["markdown"].splitlines()[1].replace(" ", "") == "|" + "---|" * len(first)
    assert "\\toprule" in shown["latex"]
    assert all("adautomix" in text for text in shown.values())
    assert all(cell.isdigit() for cell in pd.read_fwf(io.StringIO(shown["text"]), dtype=str)["epochs"])
    assert len({len(text.splitlines()) for text in (shown["text"], shown["csv"])}) == 1


def test_evaluate_takes_several_folders(tmp_path, capsys):
    flags = shlex.split("--data digits --epochs 1 --width 4 --per-class 5 --batch-size 10")
    folders = [str(tmp_path / name) for name in "ab"]
    for folder in folders:
        assert call("train", *flags, "--runs", folder) == 0
    capsys.readouterr()
    assert call("evaluate", *folders, "--evaluators", "calibration") == 0
    assert capsys.readouterr().out.count("calibration of the student") == 2
    (run,) = find_runs(folders[0])
    cut = shutil.copytree(run.path, run.path.with_name("cut"))
    (cut / "DONE").unlink()
    assert call("table", *folders) == 0
    assert capsys.readouterr().err == "left out: 1 that is not trained to the end\n"
    (tmp_path / "begun").mkdir()
    shutil.move(cut, tmp_path / "begun" / "cut")
    assert call("table", folders[0], str(tmp_path / "begun")) == 0  # a glob finds what is still trained, too
    assert capsys.readouterr().err == "left out: 1 that is not trained to the end\n"
    assert call("table", str(tmp_path / "begun")) == 2
    assert "there are no finished runs in" in capsys.readouterr().err
    assert call("evaluate", folders[0], str(tmp_path / "c")) == 2
    assert "there is no folder" in capsys.readouterr().err


def test_devices_and_restarts_reach_the_trainer(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "adautomix.training.loop.train", lambda config, runs, **how: seen.append(how) or done(tmp_path, config)
    )
    assert call("train", "--devices", "8", "--max-restarts", "3") == 0
    assert seen == [{"devices": 8, "max_restarts": 3}]


def test_status_of_a_plan_that_never_ran(tmp_path):
    write_notebook(tmp_path, "ok", 'outputs: str = "x"  # where', "pass")
    write_plan(tmp_path, {"a": {"notebook": "ok"}})
    result = command(tmp_path, "status", "tiny")
    assert result.returncode == 0
    assert "waiting  a" in result.stdout
    assert "tiny: 1 waiting" in result.stdout
    assert not (tmp_path / "outputs").exists()


def test_demo_writes_one_figure_and_says_what_next(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert call("demo", "--out", "figures/mixed.png") == 0
    printed = capsys.readouterr().out
    assert "10 methods, 6 photographs: figures/mixed.png" in printed
    assert printed.count("make ") == 2
    with Image.open(tmp_path / "figures" / "mixed.png") as picture:
        assert min(picture.size) > 500


def test_import_makes_a_run_that_evaluate_takes(tmp_path, capsys):
    write_tree("folder", tmp_path / "images", classes=7)
    file = write_checkpoint(tmp_path / "theirs.pth", in_their_layout(*small_networks()))
    runs = str(tmp_path / "runs")
    assert call("import", str(file), "--root", str(tmp_path / "images"), "--runs", runs) == 0
    assert "evaluate it: adautomix evaluate" in capsys.readouterr().out
    assert call("evaluate", runs) == 0
    assert call("import", "cars_resnet18/adautomix") == 2
    assert "no checkpoint of cars_resnet18/adautomix was published" in capsys.readouterr().err


def test_notebooks_are_written_into_the_empty_folder_one_is_in(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert call("notebooks", ".") == 0
    assert (tmp_path / "notebooks" / "00_index.ipynb").is_file()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
