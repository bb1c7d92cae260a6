"""What the package takes from others that `pip install vbp` alone does not bring."""

from __future__ import annotations

from importlib.util import find_spec

from vbp.errors import VbpError

EXTRAS = {"pyarrow": "fleet", "duckdb": "fleet", "sklearn": "clusters", "ray": "ray"}


def need(*names: str) -> None:
    """Raises VbpError that says how to install the first that is missing."""
    for name in names:
        if find_spec(name) is None:
            raise VbpError(f"this needs {name}: pip install 'vbp[{EXTRAS[name]}]'")
