"""The part of an address behind the question mark: `unit=deg&sign=right`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from urllib.parse import unquote

from vbp.errors import VbpError

SIDES = ("left", "right")
UNITS = ("rad", "deg")


def parse_options(address: str, query: str, known: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Options of an address by name. known: option -> the values that it takes, () for any text.

    %XX stands for a character; a plus is a plus, for files are called so. Raises VbpError for an
    option that is not known, is given twice, or has another value.
    """
    out: dict[str, str] = {}
    for part in query.split("&") if query else ():
        name, _, value = (unquote(word) for word in part.partition("="))
        if name not in known:
            raise VbpError(
                f"{address}: the option {name!r} is not known; accepted: {', '.join(known)}{near(name, known)}"
            )
        if name in out:
            raise VbpError(f"{address}: the option {name} is given twice; leave one of them out")
        if not value:
            raise VbpError(f"{address}: the option {name} has no value; write {name}=VALUE")
        if known[name] and value not in known[name]:
            raise VbpError(f"{address}: {name}={value} is not known; accepted: {', '.join(known[name])}")
        out[name] = value
    return out


def near(name: str, names: Iterable[str]) -> str:
    """ " (did you mean X or Y?)", or "" where no name is like `name`."""
    folded = {n.casefold(): n for n in names}
    found = get_close_matches(name.casefold(), folded, n=3, cutoff=0.6)
    return f" (did you mean {' or '.join(folded[f] for f in found)}?)" if found else ""
