"""Mistakes in a plan: is every kind refused before anything starts, by a message that names the fix?"""

import pytest
from helpers.plans import plan_of, two_notebooks, write_plan

from adautomix.plans.tasks import load_plan
from adautomix.utils.errors import UserError


@pytest.fixture
def workbook(tmp_path, monkeypatch):
    monkeypatch.chdir(two_notebooks(tmp_path))
    return tmp_path


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
        ({"notebook": "train", "grid": {"epochs": 3}}, r"grid must be dict\[str, list\], got {'epochs': 3}"),
        ({"notebook": "train", "grid": {"epochs": []}}, r"grid of epochs must be a list of values, got \[\]"),
        ({"notebook": "train", "grid": {"epochs": [1, 1]}}, "grid of epochs has two values with the same name"),
        ({"notebook": "train", "grid": {"epochs": [1]}, "parameters": {"epochs": 2}}, "epochs is both in the grid"),
        ({"notebook": "train", "neds": ["a"]}, "unknown key 'neds'; did you mean 'needs'"),
        ({"notebook": "train", "needs": 3}, r"needs must be str or list\[str\], got 3"),
        ({"notebook": "train", "needs": ["tarin"]}, "unknown step 'tarin'; did you mean 'train'"),
        ({"notebook": "train", "needs": ["one"]}, "`needs` go in a circle: one -> one; remove one of them"),
        ({"notebook": "train", "timeout_minutes": 0}, r"timeout_minutes must be above 0 and below 1e\+07, got 0"),
        ({"notebook": "train", "timeout_minutes": float("nan")}, "timeout_minutes must be above 0 .* got nan"),
        ({"notebook": "train", "timeout_minutes": float("inf")}, "timeout_minutes must be above 0 .* got inf"),
        ({"notebook": "train", "gpu": "yes"}, "gpu must be bool, got 'yes'"),
        ({"grid": {}}, "must be a mapping with a `notebook`"),
    ],
)
def test_every_kind_of_mistake_is_refused(workbook, step, message):
    with pytest.raises(UserError, match=message):
        plan_of(workbook, {"train": {"notebook": "train"}, "one": step})
    assert not (workbook / "outputs").exists()


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


def test_outputs_cannot_be_set_but_named(workbook):
    with pytest.raises(UserError, match="choose one with --name"):
        plan_of(workbook, {"a": {"notebook": "train"}}, settings={"outputs": "elsewhere"})


def test_a_plan_in_another_encoding_is_one_message(workbook):
    path = workbook / "latin.yaml"
    path.write_bytes("description: Größe\nsteps: {}\n".encode("latin-1"))
    with pytest.raises(UserError, match=r"latin.yaml cannot be read as YAML in UTF-8"):
        load_plan(path)
