"""What the fork server imports once for all kernels: see `forked_kernels`."""

import ipykernel.ipkernel
import ipykernel.kernelapp  # noqa: F401
import IPython.display  # noqa: F401
import pandas  # noqa: F401
import scipy.stats  # noqa: F401
import sklearn.datasets  # noqa: F401
import timm  # noqa: F401
import torch  # noqa: F401
import torchvision  # noqa: F401
