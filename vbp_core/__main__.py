"""`python -m vbp COMMAND`: the command line on a machine without Qt."""

import sys

from vbp import ends


def run() -> int:
    from vbp.cli import main  # here, where Ctrl-C has its answer already

    return main()


sys.exit(ends.run(run))
