"""The page "In your own training code": every snippet is executed as it stands."""

import os
import re
import subprocess
import sys
import tomllib
import warnings

import pytest
import torch
from helpers import ROOT
from helpers.your_code import PAGE, SNIPPETS, Small, batches, execute, moved, names
from torch import nn

from adautomix import UserError
from adautomix.utils.lazy import LazyTable


def test_the_page_has_a_snippet_in_every_section():
    assert len(SNIPPETS) == 15
    assert all(len(snippets) == 1 for snippets in SNIPPETS.values())
    assert max(len(line) for line in PAGE.splitlines() if not line.startswith("|")) <= 125


@pytest.mark.parametrize("method", ["adautomix", "recursivemix", "manifoldmix"])
def test_the_loop(method):
    values = names()
    start = {k: v.clone() for k, v in values["net"].state_dict().items()}
    execute("The loop", values, lambda text: text.replace('"adautomix", student, {"n_mix": 3}', f'"{method}", student'))
    assert values["ctx"].step == 8
    assert moved(values["student"].net, start)
    assert moved(values["ctx"].teacher.net, start)
    assert len(values["out"].mixed[0].index) == (3 if method == "adautomix" else 2)


def test_which_network(capsys):
    execute("Which network", names())
    assert capsys.readouterr().out == "(48, 8, 12)\n"


def test_with_accumulation_all_batches_of_an_update_are_one_step():
    values, seen = names(), []
    original = values["method"].step
    values["method"].step = lambda x, y, ctx: seen.append((ctx.step, out := original(x, y, ctx))) or out
    execute("Gradient accumulation", values)
    assert [step for step, _ in seen] == [0, 0, 1, 1, 2, 2, 3, 3]
    assert ["cosine" in out.terms for _, out in seen] == [True, True, False, False] * 2
    assert values["ctx"].steps == values["ctx"].step == 4


def test_with_a_scaler_the_update_is_that_without():
    values = names()
    before = execute("Mixed precision", values)
    assert moved(values["student"], before)
    assert values["ctx"].step == 4
    assert all(torch.isfinite(p).all() for p in values["student"].parameters())


COMPILED = """
import torch
from adautomix import Classifier, Context, make_method
from helpers.tiny import tiny_batch, tiny_classifier
from helpers.your_code import Small, batches, execute, names
losses = []
for compiled in (False, True):
    values = names()
    values["ctx"] = Context.start(values["student"], steps=20)
    if compiled:
        execute("torch.compile", values, lambda text: text.replace("fullgraph=True", "fullgraph=True, backend='eager'"))
    losses.append([values["method"].step(x, y, values["ctx"]).terms for x, y in batches(2)])
for plain, graph in zip(*losses, strict=True):
    assert plain.keys() == graph.keys()
    for name in plain:
        torch.testing.assert_close(plain[name], graph[name])
student = Classifier(Small(), 10, tap="layer3", heads=("one", "mix"))
wrapped = torch.compile(student, fullgraph=True, backend="eager")
method, ctx = make_method("adautomix", wrapped), Context.start(wrapped, steps=2)
assert ctx.teacher.state_dict().keys() == student.state_dict().keys()
sum(method.step(*batches(1)[0], ctx).losses.values()).backward()
ctx.after_step()
assert all(p.grad is not None for p in student.parameters())
student, x = tiny_classifier().eval(), tiny_batch()[0]
edits = [{}, *({"at": at, "edit": lambda hidden: 2 * hidden + 1} for at in ("body", "last", "body")), {}]
expected = [student(x, **edit).logits["one"] for edit in edits]
student.compile(backend="eager")
for edit, logits in zip(edits, expected, strict=True):
    torch.testing.assert_close(student(x, **edit).logits["one"], logits)
assert not torch.allclose(expected[0], expected[1])
print("compiled")
"""


@pytest.mark.slow
def test_student_and_teacher_are_one_graph_each_with_the_losses_of_plain_passes():
    """With a tap, and with a student that comes compiled; a hook that edits is seen by a graph that knew of none."""
    done = elsewhere("-c", COMPILED)
    assert done.stdout.strip() == "compiled", done.stderr[-3000:]


def elsewhere(*call):
    """Run Python in another process, which sees the package and the helpers."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *call], capture_output=True, text=True, check=False, timeout=300, env=environment
    )


DISTRIBUTED = """
import warnings
warnings.filterwarnings("ignore")
import torch
torch.set_num_threads(1)
torch.distributed.init_process_group("gloo")
from helpers.your_code import SNIPPETS, names
LOOP = SNIPPETS["The loop"][0].split("trained =")[1]
for title in ("DistributedDataParallel", "FSDP2"):
    values = names()
    exec(SNIPPETS["DistributedDataParallel"][0].split("rank =")[0], values)
    values["rank"] = torch.distributed.get_rank()
    exec(SNIPPETS[title][0].replace('"adautomix", student', '"adautomix", student, {"switch_off": 0.5}'), values)
    rng = torch.Generator().manual_seed(100 + values["rank"])
    values["loader"] = [(torch.rand(4, 3, 16, 16, generator=rng), torch.arange(4)) for _ in range(3)]
    exec("trained =" + LOOP, values)
    full = lambda p: (p.full_tensor() if hasattr(p, "full_tensor") else p).detach()
    for what in ("student", "teacher", "generator"):
        module = values["method"].generator if what == "generator" else getattr(values["ctx"], what)
        mine = torch.cat([full(p).flatten() for p in module.parameters()])
        theirs = [torch.empty_like(mine) for _ in range(2)]
        torch.distributed.all_gather(theirs, mine)
        assert torch.equal(*theirs), (title, what)
        assert mine.isfinite().all()
    assert values["ctx"].step == 6
print("alike")
torch.distributed.destroy_process_group()
"""


@pytest.mark.slow
def test_two_processes_end_with_the_same_student_teacher_and_generator(tmp_path):
    """Each with mixes and images of its own; DistributedDataParallel and FSDP2."""
    script = tmp_path / "two.py"
    script.write_text(DISTRIBUTED)
    done = elsewhere("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script))
    assert done.stdout.count("alike") == 2, done.stdout + done.stderr[-3000:]


def test_lightning(tmp_path):
    """With accumulation, and a run that was cut in two is the run in one."""
    lightning = pytest.importorskip("lightning")
    values = names()
    execute("Lightning", values)
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}

    def fit(method, epochs, checkpoint=None, **more):
        torch.manual_seed(0)
        module = values["Mixing"](Small(), 10, method=method)
        trainer = lightning.Trainer(max_epochs=epochs, default_root_dir=tmp_path, **quiet | more)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            trainer.fit(module, torch.utils.data.DataLoader(batches(), batch_size=None), ckpt_path=checkpoint)
        return module, trainer

    module, _ = fit("adautomix", 2, accumulate_grad_batches=2)
    assert module.ctx.step == module.ctx.steps == 4
    for method in ("recursivemix", "adautomix"):
        whole, _ = fit(method, 2)
        assert whole.ctx.step == 8
        _, cut = fit(method, 2, limit_train_batches=4, max_steps=4)
        cut.save_checkpoint(tmp_path / "last.ckpt")
        resumed, _ = fit(method, 2, checkpoint=tmp_path / "last.ckpt")
        assert resumed.ctx.step == 8
        assert not moved(resumed.ctx.teacher, whole.ctx.teacher.state_dict())
        assert not moved(resumed, whole.state_dict())


def test_accelerate():
    pytest.importorskip("accelerate")
    values = names()
    values["loader"] = torch.utils.data.DataLoader([(x[0], y[0]) for x, y in batches(16)], batch_size=4)
    execute("Hugging Face Accelerate", values)
    assert values["ctx"].step == values["ctx"].steps == 4
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in values["method"].generator.parameters())


def test_hugging_faces_trainer(tmp_path):
    pytest.importorskip("transformers")
    pytest.importorskip("accelerate")
    images = [{"x": x[i], "labels": int(y[i])} for x, y in batches() for i in range(4)]
    values = names(folder=str(tmp_path), dataset=images)
    before = execute("Hugging Face Trainer", values)
    assert values["ctx"].step == 4
    assert moved(values["student"], before)


def test_a_method_and_a_data_set_of_an_installed_package(tmp_path):
    """As pip leaves it: the files, and their entry points in the package's metadata. Trained, evaluated, tabled."""
    (toml,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    project = tomllib.loads(toml)
    (tmp_path / "my_mixing.py").write_text(SNIPPETS["A method of your own"][0])
    (tmp_path / "my_data.py").write_text(SNIPPETS["A data set of your own"][0])
    (point,) = re.findall(r'`(\w+) = "(my_data:\w+)"`', PAGE)
    project["project"]["entry-points"]["adautomix.data"] = dict([point])
    held = tmp_path / "my_mixing-0.1.dist-info"
    held.mkdir()
    (held / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['project']['name']}\nVersion: 0.1\n")
    groups = project["project"]["entry-points"].items()
    lines = [f"[{name}]\n" + "".join(f"{k} = {v}\n" for k, v in points.items()) for name, points in groups]
    (held / "entry_points.txt").write_text("".join(lines))

    def run(*arguments):
        answer = subprocess.run(
            [sys.executable, "-m", "adautomix", *arguments],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(tmp_path)},
            capture_output=True,
            text=True,
        )
        assert answer.returncode == 0, answer.stderr
        return answer.stdout

    few = ("--width", "4", "--epochs", "1", "--per-class", "5", "--batch-size", "10", "--device", "cpu")
    assert "student" in run("train", "--method", "mine", "--option", "alpha=0.5", "--runs", "runs", *few)
    run("evaluate", "runs", "--evaluators", "calibration")
    assert "mine" in run("table", "runs", "--evaluator", "calibration")
    assert "mine" in run("train", "--help")
    few = ("--width", "4", "--epochs", "2", "--batch-size", "20", "--device", "cpu")
    stripes = run("train", "--data", "stripes", "--method", "mixup", "--runs", "runs", *few)
    assert float(re.search(r"student (\S+) %", stripes.splitlines()[-1])[1]) >= 50
    assert "stripes" in run("table", "runs")


def test_a_package_that_is_broken_or_takes_our_name_is_told(tmp_path, monkeypatch):
    held = tmp_path / "theirs-1.dist-info"
    held.mkdir()
    (held / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1\n")
    (held / "entry_points.txt").write_text(
        "[adautomix.methods]\nmixup = theirs:MixUp\ngone = no_such_module:Gone\nodd = math:pi\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    table = LazyTable("method", "adautomix.methods", {"mixup": "mixup:MixUp"})
    with pytest.warns(UserWarning, match="theirs has a method 'mixup', which is one of ours"):
        assert table["mixup"].__module__ == "adautomix.methods.mixup"
    with pytest.raises(UserError, match="method 'gone' of the package theirs cannot be imported from no_such_module"):
        table["gone"]
    with pytest.raises(UserError, match="method 'odd' of the package theirs is no method: math:pi has no"):
        table["odd"]


def test_timms_training_script():
    from timm.loss import SoftTargetCrossEntropy

    x, y = batches(1)[0]
    model = nn.Sequential(Small(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10))
    values = names(x=x, y=y, model=model, SoftTargetCrossEntropy=SoftTargetCrossEntropy)
    execute("timm's train.py", values)
    assert values["targets"].shape == (4, 10)
    values["loss"].backward()
    assert model[-1].weight.grad.abs().sum() > 0
