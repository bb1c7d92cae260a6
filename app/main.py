"""The command `vbp`: one of the commands without a window, or the window."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from vbp import ends


def main(argv: Sequence[str] | None = None) -> int:
    """0, 2 for a user's error (one line on stderr), 130 for Ctrl-C, 143 for SIGTERM, 129 for SIGHUP."""

    def program() -> int:
        from vbp.app.command import run  # here, where Ctrl-C has its answer already

        return run(sys.argv[1:] if argv is None else list(argv))

    return ends.run(program)


if __name__ == "__main__":
    sys.exit(main())
