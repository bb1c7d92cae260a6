"""Explanations: what in the input drives the prediction, from the activations of one forward pass.

The name `vbp.explain` stands for the function; what is in this package is had by `from vbp.explain import ...`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vbp.explain.registry import METHODS, Method, Parameter, explain
    from vbp.explain.target import Target, parse_target
else:

    def __getattr__(
        name: str,
    ) -> Any:  # when it is asked for: `import vbp` imports this package, and is to be quick
        if name not in __all__:
            raise AttributeError(f"module 'vbp.explain' has no attribute {name!r}")
        place = "target" if name in ("Target", "parse_target") else "registry"
        return getattr(import_module(f"vbp.explain.{place}"), name)


__all__ = ["METHODS", "Method", "Parameter", "Target", "explain", "parse_target"]
