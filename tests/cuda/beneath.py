"""beneath.py PYTHON: that environment finds what the Python that runs this has, also where this one is an environment itself."""

import subprocess
import sys
import sysconfig
from pathlib import Path

ask = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
site = subprocess.run([sys.argv[1], "-c", ask], check=True, capture_output=True, text=True).stdout.strip()
paths = sysconfig.get_paths()
beneath = dict.fromkeys(
    [paths["purelib"], paths["platlib"], *(p for p in sys.path if p.endswith("-packages"))]
)
Path(site, "beneath.pth").write_text("\n".join(beneath) + "\n")
