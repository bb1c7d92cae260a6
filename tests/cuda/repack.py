"""repack.py WHEEL...: the same wheels in fewer bytes; pip reads them as before."""

import sys
import zipfile
from pathlib import Path

for path in map(Path, sys.argv[1:]):
    smaller = path.with_suffix(".part")
    with zipfile.ZipFile(path) as wheel, zipfile.ZipFile(smaller, "w", zipfile.ZIP_LZMA) as made:
        for entry in wheel.infolist():
            made.writestr(entry.filename, wheel.read(entry))
    smaller.replace(path)
