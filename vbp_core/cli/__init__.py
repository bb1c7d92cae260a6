"""The command line, apart from the window. A new command is one file and one line in COMMANDS."""

from vbp.cli.main import COMMANDS, main

__all__ = ["COMMANDS", "main"]
