"""What each ATen operation is in a graph. A rule that returns None leaves the operation to be run as it is."""

from __future__ import annotations

from vbp.explain import aten_linear, aten_pointwise, aten_pooling, aten_shapes
from vbp.explain.aten_common import Rule

RULES: dict[str, Rule] = {
    **aten_linear.RULES,
    **aten_pointwise.RULES,
    **aten_pooling.RULES,
    **aten_shapes.RULES,
}

# Operations whose result may lie in the memory of what they took.
VIEWS = frozenset({
    *("view", "reshape", "flatten", "squeeze", "unsqueeze", "view_as", "reshape_as", "unflatten", "expand"),
    *("slice", "narrow", "select", "diagonal", "unfold", "as_strided", "alias", "detach", "expand_as"),
    *("transpose", "permute", "t", "swapaxes", "movedim", "numpy_T", "mT"),
})  # fmt: skip
