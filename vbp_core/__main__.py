"""`python -m vbp COMMAND`: the command line on a machine without Qt."""

import sys

from vbp.cli import main

sys.exit(main())
