"""The largest values of a drive, one for each moment: those beside a large one are of the same."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

APART_NS = 10**9
MOST = 200


def largest_apart(
    values: NDArray[np.float64], timestamps_ns: NDArray[np.int64], apart_ns: int = APART_NS, most: int = MOST
) -> list[int]:
    """The frames with the largest |values| (N,), the largest first, each `apart_ns` or more from those before it.

    timestamps_ns: (N,) int64, in order. NaN is not known, and 0 is no difference; neither is among them.
    """
    left = np.nan_to_num(np.abs(values))
    found: list[int] = []
    while len(found) < most and len(left) and left[at := int(left.argmax())] > 0:
        found.append(at)
        first, last = timestamps_ns[at] - apart_ns, timestamps_ns[at] + apart_ns
        left[np.searchsorted(timestamps_ns, first, "right") : np.searchsorted(timestamps_ns, last)] = 0
    return found
