"""Whole training steps as CUDA graphs: a step of hundreds of kernels is launched by one call.

A graph replays the same kernels on the same memory. So what changes from step to step (the batch, the draws, learning
rates, the teacher's momentum) lies in buffers that are filled before each replay, what the CPU has drawn by one copy.
What a step's Python decides (AdAutoMix: adversarial or not, constant masks or not, how many images) makes a variant
with a graph of its own. A variant's first steps run as always, on the same buffers: a rare one is never recorded. A
method whose `step` is the common one mixes outside of the graph, since mixing may look at pixels (SaliencyMix,
PuzzleMix).
"""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from adautomix.methods.base import Draws, MixMethod, StepOutput
from adautomix.methods.context import Context
from adautomix.methods.ops.losses import soft_cross_entropy

if TYPE_CHECKING:
    from adautomix.training.steps import Training

WARM_UP = 3
"""Steps of a variant before it is recorded: cuDNN and cuBLAS choose kernels and take their memory in them."""
ALIGNMENT = 16

STATE = "state."
"""Before the names of the method's state among a step's inputs."""

Record = Callable[[Callable[[], None]], Callable[[], None]]
"""Takes what a step does, and returns what does it again."""


class StepGraphs:
    """Makes the steps of one Training.

    Args:
        device: a GPU; a CPU in tests, which give a `record` of their own.
    """

    def __init__(self, device: torch.device, record: Record | None = None) -> None:
        self.device, self.variants = device, {}
        if device.type == "cuda":
            self.stream, self.pool = torch.cuda.Stream(device), torch.cuda.graph_pool_handle()
        self.record = record or self.record_graph

    def record_graph(self, body: Callable[[], None]) -> Callable[[], None]:
        """Record the kernels that `body` launches, without running them, and return their replay."""
        graph = torch.cuda.CUDAGraph()
        # thread_local: a loader's thread may pin memory meanwhile.
        with torch.cuda.graph(graph, pool=self.pool, stream=self.stream, capture_error_mode="thread_local"):
            body()
        return graph.replay

    def step(self, training: "Training", x: Tensor, y: Tensor, rates: dict[str, float]) -> StepOutput:
        """Make a step and return its losses, terms, metrics and draws; images and masks stay in the graph's memory."""
        if self.device.type != "cuda":
            return self._step(training, x, y, rates)
        # All steps on one stream, recorded or not: autograd remembers on which stream a parameter was used.
        outside = torch.cuda.current_stream(self.device)
        self.stream.wait_stream(outside)
        with torch.cuda.stream(self.stream):
            out = self._step(training, x, y, rates)
        outside.wait_stream(self.stream)
        return out

    def _step(self, training: "Training", x: Tensor, y: Tensor, rates: dict[str, float]) -> StepOutput:
        method, context = training.method, training.context
        drawn = method.draw(len(x), context)
        if type(method).step is MixMethod.step:
            with training.precision():
                mixed = method.mix(x, y, context, drawn)
            inputs, draws, method = {"x": mixed.x, "y": mixed.y}, Draws(), MixedBefore()
        else:
            inputs, draws = {"x": x, "y": y}, method.decided(drawn, context.step)
            inputs |= {f"{STATE}{name}": value.to(x.device) for name, value in method.state_dict().items()}
        numbers = torch.tensor([*rates.values(), 1 - context.momentum()], dtype=torch.float32)
        host = {k: v for k, v in vars(draws).items() if isinstance(v, Tensor)} | {"numbers": numbers}
        decisions = tuple((k, v) for k, v in vars(draws).items() if not isinstance(v, Tensor))
        key = (*((k, t.dtype, t.shape) for k, t in (inputs | host).items()), *decisions)
        if key not in self.variants:
            self.variants[key] = Variant(training, method, Buffers(inputs, host, self.device), draws, list(rates))
        values = self.variants[key].run(inputs, host, self.record)
        training.method.load_state_dict(values.state)
        context.step += 1
        return replace(values, draws=drawn)


class Buffers:
    """Memory on the device that a graph reads: `inputs` are copied on the device, `host` tensors come from the CPU."""

    def __init__(self, inputs: dict[str, Tensor], host: dict[str, Tensor], device: torch.device) -> None:
        self.inputs = {name: torch.empty_like(tensor) for name, tensor in inputs.items()}
        self.starts, self.size = {}, 0
        for name, tensor in host.items():
            self.starts[name] = self.size
            self.size += -(-tensor.numel() * tensor.itemsize // ALIGNMENT) * ALIGNMENT
        self.bytes = torch.empty(self.size, dtype=torch.uint8, device=device)
        self.host = self._views(self.bytes, host)

    def _views(self, memory: Tensor, like: dict[str, Tensor]) -> dict[str, Tensor]:
        parts = {name: memory[self.starts[name] :][: t.numel() * t.itemsize] for name, t in like.items()}
        return {name: part.view(like[name].dtype).view(like[name].shape) for name, part in parts.items()}

    def fill(self, inputs: dict[str, Tensor], host: dict[str, Tensor]) -> None:
        """Copy a step's values in; from the CPU in one piece, which the CPU does not wait for."""
        for name, tensor in inputs.items():
            self.inputs[name].copy_(tensor)
        packed = torch.empty(self.size, dtype=torch.uint8, pin_memory=self.bytes.is_cuda)
        for name, view in self._views(packed, host).items():
            view.copy_(host[name])
        self.bytes.copy_(packed, non_blocking=True)


class Variant:
    """The steps that make the same calls: first run as they are, then recorded once and replayed."""

    def __init__(
        self, training: "Training", method: MixMethod, buffers: Buffers, draws: Draws, optimizers: list[str]
    ) -> None:
        self.training, self.method, self.buffers = training, method, buffers
        host = dict(buffers.host)
        *rates, self.weight = host.pop("numbers").unbind()
        self.rates = dict(zip(optimizers, rates, strict=True))
        self.draws = replace(draws, **host)
        self.steps = 0
        self.replay: Callable[[], None] | None = None
        self.names: dict[str, list[str]] = {}
        self.values = torch.empty(0)
        self.state: dict[str, Tensor] = {}

    def run(self, inputs: dict[str, Tensor], host: dict[str, Tensor], record: Record) -> StepOutput:
        """Make one step of this variant and return its numbers, copied out of the graph's memory."""
        self.buffers.fill(inputs, host)
        self.steps += 1
        if self.replay is None and self.steps > WARM_UP:
            self.replay = record(self._body)
        (self.replay or self._body)()
        values = iter(self.values.clone().unbind())
        losses, terms, metrics = (
            {k: next(values) for k in self.names[kind]} for kind in ("losses", "terms", "metrics")
        )
        return StepOutput(losses, terms, metrics=metrics, state={k: v.clone() for k, v in self.state.items()})

    def _body(self) -> None:
        x, y = self.buffers.inputs["x"], self.buffers.inputs["y"]
        state = {k.removeprefix(STATE): v for k, v in self.buffers.inputs.items() if k.startswith(STATE)}
        self.method.load_state_dict(state)
        out = self.training.update(self.method, x, y, self.draws, self.rates, self.weight)
        kinds = {"losses": out.losses, "terms": out.terms, "metrics": out.metrics}
        values = torch.stack([v.detach().float() for kind in kinds.values() for v in kind.values()])
        if not self.names:
            self.names = {kind: list(v) for kind, v in kinds.items()}
            self.values = torch.empty_like(values)
            self.state = {name: torch.empty_like(value) for name, value in out.state.items()}
        self.values.copy_(values)
        for name, value in self.state.items():
            value.copy_(out.state[name])


class MixedBefore(MixMethod):
    """The common step without the mixing: `x` is mixed already, `y` are its targets."""

    def step(self, x: Tensor, y: Tensor, ctx: Context, draws: Draws | None = None) -> StepOutput:
        """Return the loss of a batch that was mixed before."""
        loss = soft_cross_entropy(ctx.student(x).logits["one"], y)
        return StepOutput({"student": loss}, {"ce": loss})
