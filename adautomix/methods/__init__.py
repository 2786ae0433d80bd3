"""The mixup methods. A new one is a file here and a line in METHODS, or an entry point of a package of your own."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from adautomix.utils.lazy import LazyTable, lazy_exports

if TYPE_CHECKING:
    from adautomix.methods.base import MixMethod
    from adautomix.models.classifier import Classifier

METHODS = LazyTable(
    "method",
    "adautomix.methods",
    {
        "vanilla": "vanilla:Vanilla",
        "mixup": "mixup:MixUp",
        "cutmix": "cutmix:CutMix",
        "manifoldmix": "manifoldmix:ManifoldMix",
        "saliencymix": "saliencymix:SaliencyMix",
        "fmix": "fmix:FMix",
        "resizemix": "resizemix:ResizeMix",
        "puzzlemix": "puzzlemix.method:PuzzleMix",
        "automix": "automix:AutoMix",
        "adautomix": "adautomix:AdAutoMix",
        "gridmix": "gridmix:GridMix",
        "smoothmix": "smoothmix:SmoothMix",
        "recursivemix": "recursivemix:RecursiveMix",
    },
    needs="resolve",
)


def resolve_options(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return every option of a method, the given ones checked and the others at their default.

    Raises: UserError for an unknown method or option, naming the closest one, or a value of the wrong type.
    """
    return METHODS[name].resolve(options)


def make_method(name: str, student: "Classifier", options: Mapping[str, Any] | None = None) -> "MixMethod":
    """Return a method ready to train `student` (which it does not keep)."""
    return METHODS[name].build(student, **options or {})


__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "adautomix": "AdAutoMix ReverseGradient",
        "automix": "AutoMix",
        "batch_mixer": "BatchMixer",
        "learned": "GeneratorDraws mix_as_seen within_margin",
        "base": "Draws MixMethod StepOutput draws_near paired",
        "context": "Context",
        "cutmix": "CutMixDraws",
        "fmix": "FMixDraws",
        "gridmix": "GridMixDraws",
        "manifoldmix": "ManifoldMixDraws",
        "ops.losses": "cosine_agreement mask_penalty soft_cross_entropy",
        "ops.mixing": "Mixed Outside blend draw_index mask_area_gap mask_entropy mask_statistics mixed_from_lam "
        "mixed_from_mask sample_lam",
        "ops.saliency": "gradient_saliency most_salient spectral_residual",
        "puzzlemix.method": "PuzzleDraws",
        "puzzlemix.solver": "LabelProblem label_energy solve_labels",
        "recursivemix": "RecursiveMixDraws",
        "resizemix": "ResizeMixDraws",
        "smoothmix": "SmoothMixDraws",
    },
)
