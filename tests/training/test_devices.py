"""Several devices: one Run, written once, that goes on where it stopped, and stops as a whole."""

import os
import signal
import time

import pytest
import torch
from helpers.ranks import as_ranks, on_ranks
from helpers.training import tiny_config, weights

from adautomix.data import eval_loader
from adautomix.evaluate.accuracy import evaluate
from adautomix.methods.base import MixMethod, StepOutput
from adautomix.runs import checkpoint
from adautomix.runs.networks import build_classifier, load_classifier
from adautomix.runs.run import ROLES, Run, find_runs
from adautomix.training.devices import require_devices
from adautomix.training.loop import train
from adautomix.training.ranks import Ranks, checksums
from adautomix.training.steps import Training
from adautomix.utils.errors import LostRank, RankError, UserError

pytestmark = pytest.mark.usefixtures("tiny")
ADAUTOMIX = {"method": "adautomix", "batch_size": 10, "epochs": 2}


def on_two(folder, **changes):
    """Train on two ranks; return what each said and returned."""

    def act():
        lines = []
        run = train(tiny_config(**ADAUTOMIX | changes), folder, log=lines.append)
        return run.path, lines

    return on_ranks(2, act)


def cut_off_after(monkeypatch, epoch):
    original = Training.run_epoch

    def run_epoch(self, run):
        if self.epoch == epoch:
            raise KeyboardInterrupt
        return original(self, run)

    monkeypatch.setattr(Training, "run_epoch", run_epoch)
    return lambda: monkeypatch.setattr(Training, "run_epoch", original)


def test_two_ranks_make_one_run_that_the_first_writes(tmp_path, tiny_dataset, monkeypatch):
    writers = []
    write = Run.write_history
    monkeypatch.setattr(Run, "write_history", lambda run, rows: writers.append(os.environ["RANK"]) or write(run, rows))

    def act():
        lines = []
        path = train(tiny_config(**ADAUTOMIX), tmp_path, log=lines.append).path
        return path, lines, writers

    (path, lines, first), (same, silence, second) = on_ranks(2, act)
    assert path == same
    assert (len(lines), silence) == (3, [])
    assert (set(first), second) == ({"0"}, [])
    run = Run(path)
    assert run.done
    assert run.info["sessions"][0]["devices"] == 2
    assert len(run.history) == 2
    assert run.history["mask_entropy"].between(0, 1.1).all()
    batches = eval_loader(tiny_dataset, device=torch.device("cpu"))
    for role in ROLES:  # each test image counted once, by networks that are those of the checkpoint
        stored, ours = run.metrics("accuracy", role), evaluate(load_classifier(run, role), batches)
        assert stored["n_images"] == 20
        assert stored["value"] == pytest.approx(ours["value"])


def test_a_run_goes_on_bit_for_bit_with_as_many_ranks_and_at_all_with_another_number(tmp_path, monkeypatch):
    on_two(tmp_path / "whole")
    restore = cut_off_after(monkeypatch, 1)
    on_two_interrupted(tmp_path / "cut")
    (cut,) = find_runs(tmp_path / "cut", unfinished=True)
    state = checkpoint.load(cut.checkpoint)
    assert state["epoch"] == 1
    restore()
    on_two(tmp_path / "cut")
    (whole,) = find_runs(tmp_path / "whole")
    (resumed,) = find_runs(tmp_path / "cut")
    a, b = weights(whole), weights(resumed)
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert [s["from_epoch"] for s in resumed.info["sessions"]] == [0, 1]

    (cut.path / "DONE").unlink()
    checkpoint.save(cut.checkpoint, state)
    lines = []
    alone = train(tiny_config(**ADAUTOMIX), tmp_path / "cut", log=lines.append)
    assert alone.path == cut.path
    assert "began with 2 devices, goes on with 1: not the same bit for bit" in lines[1]
    assert not torch.equal(weights(alone)["net.conv1.weight"], a["net.conv1.weight"])


def test_every_rank_goes_on_with_its_own_past(tmp_path, monkeypatch):
    """RecursiveMix keeps its last mixed batch; each rank has another one, of its own share."""
    past = {"method": "recursivemix"}
    on_two(tmp_path / "whole", **past)
    restore = cut_off_after(monkeypatch, 1)
    on_two_interrupted(tmp_path / "cut", **past)
    (cut,) = find_runs(tmp_path / "cut", unfinished=True)
    first, second = checkpoint.load(cut.checkpoint)["method_by_rank"]
    assert not torch.equal(first["x"], second["x"])
    restore()
    on_two(tmp_path / "cut", **past)
    (whole,), (resumed,) = (find_runs(tmp_path / name) for name in ("whole", "cut"))
    a, b = weights(whole), weights(resumed)
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_sync_bn_keeps_activations_inside_a_norm_and_a_tap_that_is_one():
    config = tiny_config(backbone="efficientnet_b0", width=None, tap="bn2")
    images = {"classes": list("abc"), "size": 32, "mean": (0.5,) * 3, "std": (0.2,) * 3}
    own, whole = (build_classifier(config, images, sync_bn=sync).eval() for sync in (False, True))
    assert any(isinstance(module, torch.nn.SyncBatchNorm) for module in whole.modules())
    whole.load_state_dict(own.state_dict())
    x = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        a, b = (network(x, tap=True) for network in (own, whole))
    assert torch.equal(a.tap, b.tap)
    assert torch.equal(a.logits["one"], b.logits["one"])


def test_ranks_that_would_train_something_else_say_so(tmp_path):
    def act():
        return train(tiny_config(**ADAUTOMIX, seed=int(os.environ["RANK"])), tmp_path, log=str)

    _, second = on_ranks(2, act)
    assert isinstance(second, UserError)
    assert "rank 0 trains adautomix-" in str(second)


def on_two_interrupted(folder, **changes):
    def act():
        with pytest.raises(KeyboardInterrupt):
            train(tiny_config(**ADAUTOMIX | changes), folder, log=str)

    assert on_ranks(2, act) == [None, None]


def test_a_nan_on_one_rank_stops_all_with_one_message_that_names_it(tmp_path, monkeypatch):
    original = MixMethod.step

    def broken(self, x, y, ctx, draws=None):
        out = original(self, x, y, ctx, draws)
        factor = float("nan") if ctx.step == 3 and os.environ["RANK"] == "1" else 1.0
        return StepOutput({k: v * factor for k, v in out.losses.items()}, out.terms, out.mixed, out.draws)

    monkeypatch.setattr(MixMethod, "step", broken)
    first, second = on_two(tmp_path, method="mixup")
    assert isinstance(first, FloatingPointError)
    assert str(first) == str(second)
    assert "mixup: loss not finite at step 4 on rank 1 (student nan; lam in [0." in str(first)


def test_a_rank_that_is_killed_ends_the_others_at_once(tmp_path, monkeypatch):
    step = Training.step

    def killed(self, batch):
        if self.context.step == 2 and self.ranks.rank == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return step(self, batch)

    monkeypatch.setattr(Training, "step", killed)
    began = time.monotonic()
    survivor, dead = on_two(tmp_path)
    assert dead is None
    assert isinstance(survivor, LostRank)
    assert "rank 0: the connection to another rank broke" in str(survivor)
    assert time.monotonic() - began < 30  # the issue here is a hang, which would be an hour


def test_networks_that_differ_stop_the_run_before_its_checkpoint(tmp_path, monkeypatch):
    step = Training.step

    def flipped(self, batch):
        out = step(self, batch)
        if self.context.step == 4 and self.ranks.rank == 1:
            bits = self.method.generator.state_dict()["value.weight"].view(torch.int32)
            bits.view(-1)[0] ^= 1  # the last bit of one number
        return out

    monkeypatch.setattr(Training, "step", flipped)
    for error in on_two(tmp_path):
        assert type(error) is RankError
        assert "rank 1 no longer has the networks of rank 0 after epoch 1: generator.value.weight differs" in str(error)
    (run,) = find_runs(tmp_path, unfinished=True)
    assert not run.checkpoint.exists()


def test_batch_norms_statistics_are_the_mean_of_all_ranks(student):
    def act(ranks):
        student.net.body[1].running_mean.fill_(ranks.rank)
        ranks.average_statistics([student])
        return student.net.body[1].running_mean.unique().tolist(), student.mean.flatten().tolist()

    assert as_ranks(3, act) == [([1.0], student.mean.flatten().tolist())] * 3


def test_dropout_and_partners_differ_between_ranks_and_epochs_and_do_not_depend_on_what_came_before(tiny_dataset):
    config = tiny_config(batch_size=12)

    def draws(rank, epoch, count=2):
        training = Training.start(config, tiny_dataset, torch.device("cpu"), Ranks(rank, count))
        training.epoch = epoch
        torch.rand(3)
        training.seed_epoch()
        return torch.rand(4).tolist(), torch.randperm(9, generator=training.context.image_rng).tolist()

    assert draws(0, 1) == draws(0, 1)
    assert len({str(draws(*where)) for where in [(0, 0), (1, 0), (0, 1), (1, 1), (1, 1, 3)]}) == 5
    alone = Training.start(config, tiny_dataset, torch.device("cpu"))
    assert alone.context.image_rng is alone.context.rng


def test_a_checksum_sees_a_bit_and_takes_every_kind_of_number():
    tensors = [torch.rand(3), torch.tensor(2.0), torch.arange(3), torch.tensor([True]), torch.rand(2).bfloat16()]
    before = checksums(tensors)
    tensors[0].view(torch.int32)[1] ^= 1
    assert (checksums(tensors) != before).tolist() == [True, False, False, False, False]


@pytest.mark.parametrize(
    ("changes", "there", "message"),
    [
        ({"device": "cuda:1"}, 2, "device 'cuda:1' is one GPU, and the run has 2 devices"),
        ({"device": "auto"}, 1, r"2 devices were asked for, this machine has 1 GPU\(s\)"),
        ({"device": "cuda", "cuda_graphs": True}, 2, "cuda_graphs is for one device"),
        ({"device": "meta"}, 2, "device 'meta' cannot be used here"),
        ({"device": "cuda"}, 0, "device 'cuda' cannot be used here"),
        ({"sync_bn": True}, 2, "sync_bn is torch's SyncBatchNorm, which needs GPUs"),
    ],
)
def test_what_several_devices_cannot_do_is_refused(changes, there, message, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: there)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there > 0)
    with pytest.raises(UserError, match=message):
        require_devices(tiny_config(**changes), 2, 2)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"devices": 0}, "devices must be 1 or more"),
        ({"devices": 2, "max_restarts": -1}, "max_restarts 0 or more"),
        ({"devices": 3}, "a batch of 8 images cannot be shared equally by 3 devices: give --batch-size 6 or 9"),
    ],
)
def test_a_number_of_devices_that_does_not_do_is_refused_before_anything_starts(tmp_path, asked, message, monkeypatch):
    monkeypatch.setattr("adautomix.training.loop.launch", lambda *a, **k: pytest.fail("started"))
    with pytest.raises(UserError, match=message):
        train(tiny_config(), tmp_path, log=str, **asked)


def test_a_run_that_is_done_starts_nothing(tmp_path, monkeypatch):
    done = train(tiny_config(epochs=1), tmp_path, log=str)
    monkeypatch.setattr("adautomix.training.loop.launch", lambda *a, **k: pytest.fail("started"))
    assert train(tiny_config(epochs=1), tmp_path, log=str, devices=2).path == done.path
