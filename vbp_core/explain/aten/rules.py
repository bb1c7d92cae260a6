"""What each ATen operation is in a graph. A rule that returns None leaves the operation to be run as it is."""

from __future__ import annotations

from vbp.explain.aten import linear, pointwise, pooling, shapes
from vbp.explain.aten.common import Rule

RULES: dict[str, Rule] = {
    **linear.RULES,
    **pointwise.RULES,
    **pooling.RULES,
    **shapes.RULES,
}

# Operations whose result may lie in the memory of what they took.
VIEWS = frozenset({
    *("view", "reshape", "flatten", "squeeze", "unsqueeze", "view_as", "reshape_as", "unflatten", "expand"),
    *("slice", "narrow", "select", "diagonal", "unfold", "as_strided", "alias", "detach", "expand_as"),
    *("transpose", "permute", "t", "swapaxes", "movedim", "numpy_T", "mT"),
})  # fmt: skip
