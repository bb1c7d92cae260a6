"""`python -m vbp_core COMMAND`: the command line on a machine without Qt."""

import sys

from vbp_core.cli import main

sys.exit(main())
