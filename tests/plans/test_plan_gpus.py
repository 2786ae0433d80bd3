"""GPUs: who gets how many, and which? The cards of these tests need not exist: nothing computes on them."""

import os

import pytest
from helpers.plans import OUTPUTS, RECORD, command, plan_of, two_notebooks, write_notebook, write_plan

from adautomix.plans.cards import VISIBLE, Cards, worker_free
from adautomix.plans.execute import _environment
from adautomix.plans.orchestrate import default_workers
from adautomix.plans.slurm_options import GPUS
from adautomix.utils.errors import UserError


@pytest.fixture
def workbook(tmp_path, monkeypatch):
    monkeypatch.chdir(two_notebooks(tmp_path))
    return tmp_path


@pytest.fixture
def tasks(workbook):
    """Return one task for each number of GPUs: `gpu: true` is `one`, `gpus: n` is a number, no word of it `none`."""
    numbers = {f"ask{n}": {"notebook": "train", "gpus": n} for n in (1, 2, 3)}
    more = {
        "one": {"notebook": "train", "gpu": True, "grid": {"seeds": [[1], [2], [3]]}},
        "none": {"notebook": "train"},
    }
    return plan_of(workbook, numbers | more).tasks


def test_two_tasks_never_hold_one_card_and_what_ended_gives_it_back(tasks):
    cards = Cards(["4", "5", "6"])
    assert cards.take(tasks["ask2"]) == ["4", "5"]
    assert cards.choose(tasks["ask2"]) is None
    assert cards.take(tasks["one.seeds=_1_"]) == ["6"]
    assert cards.choose(tasks["one.seeds=_2_"]) is None
    assert cards.choose(tasks["none"]) == []  # every card is another's: it computes on the CPU
    cards.give_back(tasks["ask2"])
    assert cards.choose(tasks["ask3"]) is None
    cards.give_back(tasks["one.seeds=_1_"])
    assert cards.choose(tasks["ask3"]) == ["4", "5", "6"]


def test_small_runs_share_a_card_and_those_that_want_whole_ones_do_not(tasks, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    assert (default_workers(), default_workers(3)) == (1, 3)
    cards = Cards(["0", "1"], share=2)
    assert [cards.take(tasks[f"one.seeds=_{i}_"]) for i in (1, 2, 3)] == [["0"], ["1"], ["0"]]
    assert cards.choose(tasks["ask1"]) is None
    cards.give_back(tasks["one.seeds=_2_"])
    assert cards.take(tasks["ask1"]) == ["1"]
    assert cards.choose(tasks["none"]) == []


def test_tasks_that_ask_for_no_card_are_spread_over_those_with_room(tasks):
    cards = Cards(["0", "1"])
    assert cards.take(tasks["none"]) == ["0"]
    assert cards.choose(tasks["none"]) == ["1"]
    assert cards.choose(tasks["ask2"]) == ["1", "0"]  # it holds none of them
    assert Cards([]).choose(tasks["one.seeds=_1_"]) == []  # none anywhere: it runs without


def test_a_worker_elsewhere_is_free_for_a_task_only_if_it_surely_has_its_cards(tasks):
    workers = [4, 2, 0]
    one = tasks["one.seeds=_1_"]
    assert worker_free(tasks["ask3"], [], workers)
    assert not worker_free(tasks["ask3"], [tasks["ask3"]], workers)
    assert worker_free(tasks["ask2"], [tasks["ask3"]], workers)
    assert not worker_free(tasks["ask2"], [tasks["ask3"], one], workers)
    assert worker_free(tasks["none"], [tasks["ask3"], one], workers)
    assert not worker_free(tasks["none"], [tasks["ask3"], one, tasks["none"]], workers)


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"gpus": 0}, "gpus must be 1 or more, got 0"),
        ({"gpus": True}, "gpus must be"),
        ({"gpus": 2, "gpu": True}, "not both"),
    ],
)
def test_a_step_that_asks_for_gpus_wrongly_is_told(workbook, step, message):
    with pytest.raises(UserError, match=message):
        plan_of(workbook, {"a": {"notebook": "train"} | step})


@pytest.mark.parametrize(
    ("directive", "gpus"),
    [
        ("--gres=gpu:4", "4"),
        ("--gres=gpu:a100:2", "2"),
        ("--gpus=h100-80c:8", "8"),
        ("--gpus-per-node 3", "3"),
        ("--gres gpu:2", "2"),
        ("-G 2", "2"),
        ("-Ga100:2", "2"),
        ("--gres=shard:1,gpu:2", "2"),
        *((other, None) for other in ("--mem=10G", "--account=ML-GROUP", "--constraint=A-GPU", "--exclude=node-G01")),
        *((other, None) for other in ("--gres=gpumem:40G", "--gpus-per-socket=2", "--comment=needs --gpus=1 -G 1")),
    ],
)
def test_the_gpus_of_a_job_are_read_from_its_directives(directive, gpus):
    found = GPUS.match(directive)
    assert (found and found[1]) == gpus


def test_a_directive_without_a_number_asks_for_one_gpu():
    assert GPUS.match("--gres=gpu")[1] is None


def test_what_a_task_sees_is_over_with_it(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    with _environment(VISIBLE, "3,4"):
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "3,4"
        with _environment(VISIBLE, None):  # no cards of its own
            assert os.environ["CUDA_VISIBLE_DEVICES"] == "3,4"
    assert "CUDA_VISIBLE_DEVICES" not in os.environ


@pytest.mark.slow
def test_a_plan_hands_out_the_cards_of_this_machine_and_refuses_to_start_with_too_few(tmp_path):
    code = (
        RECORD
        + "import os\nopen(pathlib.Path(outputs, 'seen', f'{name}'), 'w').write(os.environ['CUDA_VISIBLE_DEVICES'])"
    )
    # Both wait until the other one is there too: they hold their cards at the same time.
    meet = "while len(list(pathlib.Path(outputs, 'seen').iterdir())) < 2:\n    time.sleep(0.1)"
    write_notebook(tmp_path, "look", OUTPUTS + 'name: str = "a"  # whose', code, meet)
    steps = {
        "two": {"notebook": "look", "gpus": 2, "parameters": {"name": "two"}},
        "one": {"notebook": "look", "gpus": 1, "parameters": {"name": "one"}},
    }
    write_plan(tmp_path, steps)
    few = command(tmp_path, "run", "tiny", CUDA_VISIBLE_DEVICES="7")
    assert few.returncode == 2
    assert "GPUs asked for: two for 2; this machine has 1. Nothing was started" in few.stderr
    assert not (tmp_path / "outputs").exists()
    enough = command(tmp_path, "run", "tiny", "--workers", "2", CUDA_VISIBLE_DEVICES="7,8,9")
    assert enough.returncode == 0, enough.stdout + enough.stderr
    seen = {p.name: p.read_text() for p in (tmp_path / "outputs" / "tiny" / "seen").iterdir()}
    assert seen == {"two": "7,8", "one": "9"}
