"""CUDA graphs: does all that changes from step to step reach a step that only looks at its buffers?

Without a GPU a recorded step is one that runs again with the Python values it was recorded with.
"""

from contextlib import nullcontext
from dataclasses import replace
from itertools import chain, count, islice

import pytest
import torch
from helpers.training import tiny_config

from adautomix.config import EmaConfig, OptimConfig
from adautomix.methods import METHODS, make_method, resolve_options
from adautomix.methods.base import MixMethod
from adautomix.methods.context import Context
from adautomix.training.graphs import WARM_UP, StepGraphs
from adautomix.training.steps import Training

CPU = torch.device("cpu")
OPTIONS = [(name, {}) for name in METHODS] + [
    ("adautomix", {"objective": "paper"}),
    ("adautomix", {"random_n": True, "margin": 0.2}),
    ("manifoldmix", {"per_sample": True}),
]


def trained(config, dataset, device=CPU, *, graphs: bool, steps: int = 14):
    """Return the numbers of some steps, what was trained, and the graphs."""
    training = Training.start(config, dataset, device)
    record = None if device.type == "cuda" else frozen(training)
    training.graphs = StepGraphs(device, record) if graphs else None
    numbers = []
    batches = chain.from_iterable(training.train_batches.epoch(number) for number in count())
    for batch in islice(batches, steps):
        out = training.step(batch)
        numbers.append({k: v.item() for k, v in (out.losses | out.terms | out.metrics).items()})
    state = training.state_dict()
    weights = state["student"] | {f"teacher.{k}": v for k, v in state["context"]["teacher"].items()}
    return numbers, weights, training.graphs


def frozen(training: Training):
    """Return what records a step on a CPU: it runs again as if it were the step of the recording."""

    def record(body):
        then = training.context.step

        def replay():
            now, training.context.step = training.context.step, then
            body()
            training.context.step = now

        return replay

    return record


def exact_config(**changes):
    """Return a config whose rates and momenta float32 holds exactly: buffers are float32."""
    optim = {"student": OptimConfig(lr=0.0625, momentum=0.5, schedule="constant")}
    return tiny_config(**{"optim": optim, "ema": EmaConfig(base=0.75, end=0.75, warmup=False)} | changes)


@pytest.mark.parametrize(("name", "options"), OPTIONS, ids=str)
def test_recorded_steps_give_what_steps_give(tiny_dataset, name, options):
    config = exact_config(method=name, options=resolve_options(name, options), channels_last=name == "cutmix")
    plain, weights, _ = trained(config, tiny_dataset, graphs=False)
    replayed, same, graphs = trained(config, tiny_dataset, graphs=True)
    assert [list(n) for n in replayed] == [list(n) for n in plain]
    for ours, theirs in zip(replayed, plain, strict=True):
        assert ours == pytest.approx(theirs, rel=2e-5, abs=1e-6)  # the teacher's lerp is rounded otherwise
    for key, value in weights.items():
        torch.testing.assert_close(same[key], value, atol=1e-5, rtol=1e-4, msg=key)
    assert sum(variant.replay is not None for variant in graphs.variants.values()) >= 1


def test_a_schedule_moves_what_was_recorded(tiny_dataset):
    config = tiny_config(method="adautomix", epochs=2, options=resolve_options("adautomix", {}))
    plain, weights, _ = trained(config, tiny_dataset, graphs=False)
    _, same, graphs = trained(config, tiny_dataset, graphs=True)
    assert len(plain) > 2 * WARM_UP
    assert len({key[-2:] for key in graphs.variants}) >= 2  # adversarial or not
    for key, value in weights.items():
        torch.testing.assert_close(same[key], value, atol=1e-4, rtol=1e-3, msg=key)


def test_a_variant_is_recorded_after_its_first_steps_only(tiny_dataset):
    config = exact_config(method="mixup", options=resolve_options("mixup", {}))
    for steps, recorded in ((WARM_UP, False), (WARM_UP + 1, True)):
        *_, graphs = trained(config, tiny_dataset, graphs=True, steps=steps)
        (variant,) = graphs.variants.values()
        assert variant.steps == steps
        assert (variant.replay is not None) == recorded


@pytest.mark.parametrize("name", METHODS)
def test_a_step_with_its_draws_decided_looks_at_no_tensor(student, name, monkeypatch):
    """Meta tensors hold nothing: a step that asks one for its value fails, as it would fail to be recorded."""
    method = make_method(name, student)
    if type(method).step is MixMethod.step:
        pytest.skip("mixes outside of the graph")
    monkeypatch.setattr(torch, "autocast", lambda *args, **options: nullcontext())  # there is none of meta tensors
    for module in (student, *method.trainable_modules().values()):
        module.to("meta")
    ctx = Context.start(student, steps=9)
    x, y = torch.rand(6, 3, 8, 8, device="meta"), torch.zeros(6, dtype=torch.long, device="meta")
    for _ in range(2):  # the second with what the first has left
        draws = method.decided(method.draw(6, ctx), ctx.step)
        draws = replace(draws, **{k: v.to("meta") for k, v in vars(draws).items() if isinstance(v, torch.Tensor)})
        out = method.step(x, y, ctx, draws)
        method.load_state_dict(out.state)
        torch.autograd.backward(list(out.losses.values()))
        assert all(loss.is_meta for loss in out.losses.values())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("name", ["vanilla", "mixup", "cutmix", "manifoldmix", "automix", "adautomix", "recursivemix"])
@pytest.mark.parametrize("graphs", [False, True])
def test_no_step_makes_the_cpu_wait_for_a_gpu(tiny_dataset, name, graphs):
    config = tiny_config(method=name, options=resolve_options(name, {}), cuda_graphs=graphs, device="cuda")
    training = Training.start(config, tiny_dataset, torch.device("cuda"))
    batches = list(training.train_batches.epoch(0))
    for batch in batches * (4 * WARM_UP):  # recording waits; replaying must not
        training.step(batch)
    torch.cuda.set_sync_debug_mode("error")
    try:
        for batch in batches:
            training.step(batch)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("name", ["vanilla", "cutmix", "automix", "adautomix", "recursivemix"])
def test_on_a_gpu_replayed_steps_equal_steps(tiny_dataset, name):
    config, device = exact_config(method=name, options=resolve_options(name, {})), torch.device("cuda")
    plain, weights, _ = trained(config, tiny_dataset, device, graphs=False)
    replayed, same, _ = trained(config, tiny_dataset, device, graphs=True)
    # Kernels that add in another order differ by a rounding, and training makes a thousand of that in 14 steps.
    assert all(a == pytest.approx(b, rel=1e-3) for a, b in zip(replayed, plain, strict=True))
    for key, value in weights.items():
        torch.testing.assert_close(same[key], value, atol=1e-3, rtol=1e-2, msg=key)


@pytest.mark.parametrize("name", ["mixup", "saliencymix", "puzzlemix"])
def test_recorded_steps_mix_in_the_precision_in_which_steps_mix(tiny_dataset, name):
    """Whether steps are recorded is no part of a run's identity."""
    config = exact_config(method=name, options=resolve_options(name, {}), precision="bfloat16")
    plain, _, _ = trained(config, tiny_dataset, graphs=False, steps=2)
    replayed, _, _ = trained(config, tiny_dataset, graphs=True, steps=2)
    assert replayed == plain  # later steps round otherwise: other memory
