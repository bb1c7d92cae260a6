"""Which network: a name, a file, or the user's own code, with its weights and its specification."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote

FACTORY = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
PLAIN = "/:\\ "  # of what is in names of files; ? & = % + and the rest are written as %XX


@dataclass(frozen=True)
class NetworkSource:
    """What names a network. model: a known name, a .safetensors, .onnx, .pt2 or Keras file, or package.module:factory.

    weights: a file with the weights of what a factory makes, or of a Keras architecture. spec: a TOML file that says what goes in and comes out.
    As text, wherever a network is named by one: MODEL?weights=FILE&spec=FILE, with % before odd characters.
    """

    model: str
    weights: str = ""
    spec: str = ""

    @property
    def is_factory(self) -> bool:
        """Names code of the user's own, which is run."""
        return FACTORY.fullmatch(self.model) is not None and not Path(self.model).exists()

    @property
    def title(self) -> str:
        """What a person calls it: of a training run's checkpoint, with the run."""
        if self.is_factory:
            return self.model
        path = Path(self.model)
        epoch = path.stem.startswith("epoch-")
        run = path.parent.parent.name if epoch else path.parent.name if path.stem in ("last", "best") else ""
        return f"{run}, {path.stem.replace('-', ' ') if epoch else path.stem}" if run else path.stem

    def __str__(self) -> str:
        files = (("weights", self.weights), ("spec", self.spec))
        rest = "&".join(f"{name}={quote(file, safe=PLAIN)}" for name, file in files if file)
        return f"{quote(self.model, safe=PLAIN)}?{rest}" if rest else self.model

    @classmethod
    def parse(cls, text: str | Path) -> NetworkSource:
        """The text of a source; a file of that very name is that file, and what is no such text is a name."""
        text = str(text)
        model, question, rest = text.partition("?")
        given = dict(parse_qsl(rest.replace("+", "%2B"), keep_blank_values=True))
        if not question or _exists(text) or not given or set(given) - {"weights", "spec"}:
            return cls(text)
        return cls(unquote(model), **given)

    def absolute(self) -> NetworkSource:
        """The same from any folder."""
        model = str(Path(self.model).expanduser().absolute()) if _exists(self.model) else self.model
        files = {
            k: str(Path(v).expanduser().absolute())
            for k, v in (("weights", self.weights), ("spec", self.spec))
            if v
        }
        return replace(self, model=model, **files)


def _exists(text: str) -> bool:
    try:
        return Path(text).expanduser().is_file()
    except (OSError, ValueError, RuntimeError):  # a name that no file can have
        return False
