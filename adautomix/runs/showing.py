"""What every method makes of a few pictures: the learned ones with the reference networks, the others as they are."""

from torch import Tensor

from adautomix.methods import METHODS, Context, Mixed, draws_near, make_method, mix_as_seen, paired
from adautomix.methods.base import MixMethod
from adautomix.methods.learned import GeneratorMethod
from adautomix.runs.networks import load_classifier, load_method
from adautomix.runs.publishing import reference_run


def mixes_pictures(name: str) -> bool:
    """Return whether a method makes mixed images of a batch alone.

    Vanilla mixes nothing, ManifoldMix hidden features, RecursiveMix with the batch before.
    """
    method = METHODS[name]
    return is_learned(name) or (method.step is MixMethod.step and method.mix is not MixMethod.mix)


def is_learned(name: str) -> bool:
    """Return whether a method has a generator."""
    return issubclass(METHODS[name], GeneratorMethod)


def reference_mixes(x: Tensor, seen: Tensor, *, share: float = 0.6, seed: int = 0) -> dict[str, Mixed]:
    """Return pictures mixed by every method that mixes images, by its name.

    Picture b meets b + 1, and b + 2 where three are mixed.

    Args:
        x: pictures [B,3,H,W] in [0,1], to be mixed.
        seen: the same at 32 px, which the reference networks see; labels are what AdAutoMix's teacher takes them for.
        share: of the first image in every mix, about.
    """
    y = load_classifier(reference_run(), "teacher")(seen).logits["one"].argmax(dim=1)
    return {name: _mixed(name, x, seen, y, share, seed) for name in METHODS if mixes_pictures(name)}


def _mixed(name: str, x: Tensor, seen: Tensor, y: Tensor, share: float, seed: int) -> Mixed:
    run = reference_run(name if is_learned(name) else "adautomix")
    teacher = load_classifier(run, "teacher")
    method = load_method(run) if is_learned(name) else make_method(name, teacher)
    context = Context.start(teacher, steps=1, seed=seed)
    draws = draws_near(method, len(x), context, tries=300, share=share)
    return mix_as_seen(method, x, seen, y, context, paired(draws, len(x)))
