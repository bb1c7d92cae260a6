"""`python -m tests.fuzz --minutes 20`: changed inputs of every kind, until the time is over."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # where the tests look for their makers

from fuzz.campaign import main

if __name__ == "__main__":
    sys.exit(main())
