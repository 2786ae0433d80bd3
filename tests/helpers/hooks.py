"""Forward hooks that a pass has left behind; a Classifier's tap is a hook that stays."""

from torch import nn

from adautomix.models.maps import Kept


def strays(model: nn.Module) -> list:
    """Return every forward hook below a module but the tap's own."""
    hooks = [hook for module in model.modules() for hook in module._forward_hooks.values()]
    return [hook for hook in hooks if not isinstance(hook, Kept)]
