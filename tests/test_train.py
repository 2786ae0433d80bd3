"""The trainer: it learns, it goes on bit for bit, it stops where it must, and it knows no method."""

import math
import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from conftest import tiny_batch
from torch import nn

import adautomix.train as trainer
from adautomix import checkpoint
from adautomix.checkpoint import load_method
from adautomix.config import EmaConfig, OptimConfig, TrainConfig
from adautomix.errors import UserError
from adautomix.guard import LAG, FiniteGuard
from adautomix.methods.base import Context, MixMethod, StepOutput
from adautomix.run import TASK_VARIABLE, TRAINED, Run, find_runs
from adautomix.train import Training, train


def tiny_config(**changes):
    base = {"data": "digits", "method": "mixup", "width": 4, "epochs": 3, "batch_size": 8, "device": "cpu"}
    return TrainConfig(**base | {"optim": {"student": OptimConfig(lr=0.05)}} | changes)


@pytest.fixture
def tiny(monkeypatch, tiny_dataset):
    """Make the trainer see the tiny data set."""
    monkeypatch.setattr(trainer, "dataset_for", lambda config: tiny_dataset)


def weights(run: Run) -> dict[str, torch.Tensor]:
    state = checkpoint.load(run.checkpoint)
    momenta = {f"momentum.{k}": v["momentum_buffer"] for k, v in state["optimizers"]["student"]["state"].items()}
    teacher = {f"teacher.{k}": v for k, v in state["context"]["teacher"].items()}
    return state["student"] | teacher | momenta


def assert_same_weights(first: Run, second: Run) -> None:
    a, b = weights(first), weights(second)
    assert a.keys() == b.keys()
    assert len(a) > 50
    for name in a:
        assert torch.equal(a[name], b[name]), name


@pytest.mark.usefixtures("tiny")
def test_a_run_that_was_cut_off_ends_with_the_same_weights_bit_for_bit(any_method, tmp_path, monkeypatch):
    whole = train(tiny_config(method=any_method), tmp_path / "whole", log=str)
    steps, original = [], Training.step

    def cut_off(self, batch):
        steps.append(1)
        if len(steps) == 8:  # in the middle of the second epoch
            raise KeyboardInterrupt
        return original(self, batch)

    monkeypatch.setattr(Training, "step", cut_off)
    with pytest.raises(KeyboardInterrupt):
        train(tiny_config(method=any_method), tmp_path / "cut", log=str)
    monkeypatch.setattr(Training, "step", original)
    (unfinished,) = find_runs(tmp_path / "cut", unfinished=True)
    assert not unfinished.done
    resumed = train(tiny_config(method=any_method), tmp_path / "cut", log=str)
    assert resumed.path == unfinished.path
    assert_same_weights(whole, resumed)
    columns = ["epoch", "lr", "student_top1", "student_loss", "teacher_top1", "teacher_loss"]
    assert whole.history[columns].equals(resumed.history[columns])
    assert [s["from_epoch"] for s in resumed.info["sessions"]] == [0, 1]


class Droppy(nn.Module):
    """A network with dropout and BatchNorm: it uses the global random numbers."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout2d(0.3))

    def forward(self, x):
        return self.body(x)


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("fast", [False, True])
def test_going_on_is_exact_with_dropout_bfloat16_channels_last_and_adamw(tmp_path, monkeypatch, optimizer, fast):
    monkeypatch.setattr(checkpoint, "build_backbone", lambda *args, **kwargs: (Droppy(), None))
    config = tiny_config(
        precision="bfloat16" if fast else "float32",
        channels_last=fast,
        optim={"student": OptimConfig(name=optimizer, lr=0.01)},
    )
    whole = train(config, tmp_path / "whole", log=str)
    original = Training.run_epoch

    def cut_off(self, run):
        if self.epoch == 2:
            raise KeyboardInterrupt
        return original(self, run)

    monkeypatch.setattr(Training, "run_epoch", cut_off)
    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "cut", log=str)
    monkeypatch.setattr(Training, "run_epoch", original)
    torch.randn(7)  # somebody else's random numbers must not matter
    resumed = train(config, tmp_path / "cut", log=str)
    a, b = checkpoint.load(whole.checkpoint), checkpoint.load(resumed.checkpoint)
    assert all(torch.equal(a["student"][k], b["student"][k]) for k in a["student"])
    assert str(a["optimizers"]) == str(b["optimizers"])


@pytest.mark.slow
def test_a_killed_process_goes_on_to_the_same_weights(tmp_path):
    code = (
        "import sys, torch; torch.set_num_threads(1)\n"
        "from adautomix import TrainConfig; from adautomix.train import train\n"
        "train(TrainConfig(method='cutmix', width=4, epochs=4, per_class=20, batch_size=20, device='cpu'), sys.argv[1])"
    )

    def start(folder):
        return subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.DEVNULL)

    assert start(tmp_path / "whole").wait(timeout=120) == 0
    process, deadline = start(tmp_path / "killed"), time.monotonic() + 120
    while not list((tmp_path / "killed").rglob("history.csv")) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert start(tmp_path / "killed").wait(timeout=120) == 0
    (whole,), (killed,) = find_runs(tmp_path / "whole"), find_runs(tmp_path / "killed")
    assert len(killed.info["sessions"]) == 2
    assert_same_weights(whole, killed)


@pytest.mark.usefixtures("tiny")
def test_the_same_seed_gives_the_same_run_and_another_seed_another(tmp_path):
    first, second = (train(tiny_config(), tmp_path / name, log=str) for name in "ab")
    assert_same_weights(first, second)
    other = train(tiny_config(seed=1), tmp_path / "a", log=str)
    assert other.path != first.path
    assert not torch.equal(weights(first)["net.conv1.weight"], weights(other)["net.conv1.weight"])


@pytest.mark.usefixtures("tiny")
def test_training_leaves_the_callers_random_state_alone(tmp_path):
    before = torch.get_rng_state()
    train(tiny_config(epochs=1), tmp_path, log=str)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.slow
def test_it_learns_to_read_digits(tmp_path):
    config = TrainConfig(method="vanilla", width=4, epochs=4, batch_size=25, per_class=50, device="cpu")
    run = train(config, tmp_path, log=str)
    assert run.history["student_top1"].iloc[-1] > 60  # chance is 10
    assert run.history["teacher_top1"].iloc[-1] > 60
    assert run.history["loss_ce"].iloc[-1] < run.history["loss_ce"].iloc[0]


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("method", ["automix", "adautomix"])
def test_the_released_teacher_with_batch_statistics_can_be_trained(tmp_path, method):
    config = tiny_config(method=method, epochs=1, ema=EmaConfig(teacher_bn="batch"))
    history = train(config, tmp_path, log=str).history
    assert history["teacher_loss"].between(0, 10).all()


@pytest.mark.usefixtures("tiny")
def test_the_history_follows_what_the_generator_makes(tmp_path):
    history = train(tiny_config(method="adautomix", epochs=2), tmp_path, log=str).history
    assert history["mask_entropy"].between(0.5, math.log(3) + 1e-6).all()  # the generator starts near even masks
    assert history["mask_area_gap"].between(0, 0.5).all()
    assert history["loss_cosine"].between(-1, 1).all()
    assert "loss_mask_entropy" not in history


@pytest.mark.usefixtures("tiny")
def test_a_runs_method_is_loaded_with_its_trained_generator(tmp_path):
    run = train(tiny_config(method="adautomix", epochs=1, options={"n_mix": 4}), tmp_path, log=str)
    method = load_method(run)
    assert method.n_mix == 4
    stored = checkpoint.load(run.checkpoint)["trainables"]["generator"]
    for name, parameter in method.generator.named_parameters():
        assert torch.equal(parameter, stored[name])
        assert not parameter.requires_grad
    (run.path / "DONE").unlink()
    with pytest.raises(UserError, match="not trained to its end"):
        load_method(run)
    assert load_method(run, unfinished=True).n_mix == 4


@pytest.mark.usefixtures("tiny")
def test_a_finished_run_is_not_trained_again(tmp_path, monkeypatch):
    run = train(tiny_config(epochs=1), tmp_path, log=str)
    monkeypatch.setattr(Training, "step", lambda *args: pytest.fail("trained again"))
    lines = []
    assert train(tiny_config(epochs=1), tmp_path, log=lines.append).path == run.path
    assert "already trained" in lines[0]


@pytest.mark.usefixtures("tiny")
def test_default_and_spelled_out_options_are_the_same_run(tmp_path):
    first = train(tiny_config(epochs=1), tmp_path, log=str)
    second = train(tiny_config(epochs=1, options={"alpha": 1}), tmp_path, log=str)
    assert first.path == second.path
    assert first.config.options == {"alpha": 1.0, "per_sample": False}


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize(
    "changes",
    [
        {"precision": "bfloat16"},
        {"channels_last": True},
        {"clip_grad": 0.1, "label_smoothing": 0.1},
        {"optim": {"student": OptimConfig(name="adamw", lr=1e-3, warmup_epochs=1.0)}},
        {"backbone": "convnext_atto", "width": None, "epochs": 1, "batch_size": 20},
    ],
)
def test_every_way_of_training_runs_and_records_finite_losses(tmp_path, changes):
    run = train(tiny_config(**{"epochs": 2} | changes), tmp_path, log=str)
    assert run.history.notna().all().all()
    assert len(run.history) == run.config.epochs


@pytest.mark.usefixtures("tiny")
def test_a_loss_that_is_not_finite_stops_with_all_one_needs(tmp_path, monkeypatch):
    original = MixMethod.step

    def broken(self, x, y, ctx, draws=None):
        out = original(self, x, y, ctx, draws)
        factor = float("nan") if ctx.step == 7 else 1.0
        return StepOutput({k: v * factor for k, v in out.losses.items()}, out.terms, out.mixed, out.draws)

    monkeypatch.setattr(MixMethod, "step", broken)
    with pytest.raises(FloatingPointError) as caught:
        train(tiny_config(), tmp_path, log=str)
    (run,) = find_runs(tmp_path, unfinished=True)
    message = str(caught.value)
    assert "mixup: loss not finite at step 8 (student nan; lam in [0." in message
    assert f"last good checkpoint: {run.checkpoint}" in message
    assert not run.done
    assert all(torch.isfinite(w).all() for w in weights(run).values())


@pytest.mark.usefixtures("tiny")
def test_weights_ruined_by_the_last_step_are_noticed_too(tmp_path):
    config = tiny_config(epochs=1, batch_size=40, optim={"student": OptimConfig(lr=1e30)})
    with pytest.raises(FloatingPointError, match=r"student_loss on the test images is nan after epoch 1; no"):
        train(config, tmp_path, log=str)
    (run,) = find_runs(tmp_path, unfinished=True)
    assert not run.done
    assert not run.checkpoint.exists()


def test_a_lagging_guard_names_the_step_that_went_wrong(tmp_path):
    guard = FiniteGuard("mine", tmp_path / "checkpoint.pt", lagging=True)
    for step in range(1, LAG):
        guard.watch(step, StepOutput({"student": torch.tensor(torch.nan if step >= 7 else 1.0)}, {}))
    with pytest.raises(FloatingPointError, match=r"mine: loss not finite at step 7 \(student nan\); no checkpoint yet"):
        guard.watch(LAG, StepOutput({"student": torch.tensor(1.0)}, {}))


@pytest.mark.usefixtures("tiny")
def test_going_on_with_another_number_of_threads_is_said(tmp_path):
    run = train(tiny_config(epochs=1), tmp_path, log=str)
    run.info["sessions"][0]["threads"] = 64
    lines = []
    trainer.note_other_threads(run, lines.append)
    assert "began with 64 threads, goes on with 1" in lines[0]


@pytest.mark.usefixtures("tiny")
def test_a_run_trained_for_the_runner_is_listed_with_its_task(tmp_path, monkeypatch):
    monkeypatch.setenv(TASK_VARIABLE, str(tmp_path))
    for _ in range(2):
        run = train(tiny_config(epochs=1), tmp_path / "runs", log=str)
    assert [(tmp_path / line).resolve() for line in (tmp_path / TRAINED).read_text().split()] == [run.path] * 2


class WithGenerator(MixMethod):
    """A method with a trainable of its own, stepped at every second step only."""

    def __init__(self) -> None:
        self.generator = nn.Linear(2, 1)

    def trainables(self):
        return {"generator": self.generator}

    def step(self, x, y, ctx, draws=None):
        out = super().step(x, y, ctx, draws)
        losses = dict(out.losses)
        if ctx.step % 2 == 0:
            losses["generator"] = self.generator(torch.ones(1, 2)).square().sum()
        return StepOutput(losses, out.terms, out.mixed, out.draws)


@pytest.fixture
def with_generator(monkeypatch):
    monkeypatch.setattr(trainer, "make_method", lambda name, student, options: WithGenerator())


@pytest.mark.usefixtures("with_generator")
def test_only_the_optimisers_named_in_losses_step(tiny_dataset):
    config = tiny_config(optim={"student": OptimConfig(lr=0.1), "generator": OptimConfig(lr=0.01, momentum=0.5)})
    training = Training.start(config, tiny_dataset, torch.device("cpu"))
    generator = training.method.generator
    for step, batch in enumerate(training.train_batches.epoch(0)):
        before, head = generator.weight.clone(), training.student.heads["one"].weight.clone()
        training.step(batch)
        assert torch.equal(before, generator.weight) == (step % 2 == 1)
        assert not torch.equal(head, training.student.heads["one"].weight)
    assert training.optimizers["generator"].param_groups[0]["momentum"] == 0.5


@pytest.mark.usefixtures("with_generator", "tiny")
def test_a_methods_own_weights_are_in_the_checkpoint(tmp_path):
    run = train(tiny_config(epochs=1), tmp_path, log=str)
    state = checkpoint.load(run.checkpoint)
    assert state["trainables"]["generator"]["weight"].shape == (1, 2)
    assert set(state["optimizers"]) == {"student", "generator"}


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "mixpu"}, "did you mean 'mixup'"),
        ({"device": "cuda:99"}, "device 'cuda:99' cannot be used here"),
        ({"device": "gpu"}, "device 'gpu' cannot be used here"),
        ({"ema": EmaConfig(teacher_bn="batch")}, "needs a method that runs the teacher; mixup does not"),
        ({"optim": {"student": OptimConfig(), "generator": OptimConfig()}}, r"optim names \['generator'\]"),
    ],
)
def test_configs_that_cannot_be_trained_are_refused(tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        train(tiny_config(**changes), tmp_path, log=str)


def test_two_processes_do_not_train_one_run(tmp_path):
    run = Run(tmp_path / "run")
    with run.lock(), pytest.raises(UserError, match="another process is training"), Run(run.path).lock(seconds=0.1):
        pytest.fail("the lock was given twice")


@pytest.mark.usefixtures("tiny")
def test_student_and_teacher_of_a_run_can_be_loaded_and_are_frozen(tmp_path):
    run = train(tiny_config(epochs=2), tmp_path, log=str)
    x, _ = tiny_batch()
    student, teacher = (checkpoint.load_classifier(run, role) for role in ("student", "teacher"))
    assert not student.training
    assert not any(p.requires_grad for p in student.parameters())
    assert not torch.equal(student(x).logits["one"], teacher(x).logits["one"])
    with pytest.raises(UserError, match="role must be student or teacher"):
        checkpoint.load_classifier(run, "best")
    (run.path / "DONE").unlink()
    with pytest.raises(UserError, match="not trained to its end"):
        checkpoint.load_classifier(run)


def test_ones_own_loop_and_the_trainer_share_the_context(student):
    """step, backward, after_step: all that a loop of one's own needs."""
    method, ctx = MixMethod(), Context.start(student, steps=5, seed=0)
    optimizer = torch.optim.SGD(student.parameters(), lr=0.1)
    x, y = tiny_batch()
    losses = []
    for _ in range(5):
        out = method.step(x, y, ctx)
        optimizer.zero_grad()
        out.losses["student"].backward()
        optimizer.step()
        ctx.after_step()
        losses.append(out.losses["student"].item())
    assert losses[-1] < losses[0]
    assert ctx.progress == 1.0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_training_on_a_gpu_learns_to_read_digits(tmp_path, precision):
    changes = {"method": "vanilla", "epochs": 4, "batch_size": 25, "per_class": 50, "precision": precision}
    run = train(tiny_config(**changes, device="cuda"), tmp_path, log=str)
    assert run.history["student_top1"].iloc[-1] > 60
    assert "cuda" in run.info["sessions"][0]["device"]


@pytest.mark.slow
def test_held_out_images_are_evaluated_every_epoch_and_not_trained_on(tmp_path):
    config = tiny_config(epochs=2, per_class=8, validation=0.25)
    run = train(config, tmp_path, log=str)
    assert (run.info["dataset"]["n_train"], run.info["dataset"]["n_validation"]) == (60, 20)
    for role in ("student", "teacher"):
        assert (run.history[f"{role}_val_top1"] % 5 == 0).all()  # of twenty images
        assert (run.history[f"{role}_val_loss"] > 0).all()
    assert run.id != train(tiny_config(epochs=2, per_class=8), tmp_path, log=str).id
