"""The user's own network: code of theirs, imported by name because they ask for it."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from vbp.errors import ModelError
from vbp.models.network import Network
from vbp.models.source import NetworkSource
from vbp.models.spec_file import HINT, read_spec
from vbp.models.weights import file_and_name, load_weights

SEED = 0  # of the weights that a factory draws


def load_factory(source: NetworkSource) -> Network:
    """The network that package.module:factory makes: a function without arguments, a class, or a module that is there.

    The package is looked for where Python finds packages, and in the folder that the program was started in. What the
    factory gives is a module, which needs `source.spec`, or a Network with its own. Without weights the
    network counts as untrained, and those that it draws from torch are the same each time. Raises ModelError.
    """
    made = _call(source.model)
    if isinstance(made, Network):
        module, spec, trained = made.module, made.spec, made.trained
    elif isinstance(made, nn.Module):
        module, spec, trained = made, None, False
    else:
        raise ModelError(f"{source.model} gives a {type(made).__name__}, and a torch.nn.Module is wanted")
    if source.spec:
        spec = read_spec(source.spec, name=source.model.rpartition(":")[2])
    if spec is None:
        raise ModelError(
            f"{source.model} needs a specification of what goes in and comes out: --spec FILE.toml, {HINT}"
        )
    path, unused = None, ""
    if source.weights:
        path, _ = file_and_name(source.weights)
        unused = load_weights(module, source.weights, source.model)
        trained = True
    return Network(spec, module.eval(), path, trained, unused=unused)


def _call(name: str) -> Any:
    package, _, attribute = name.partition(":")
    here = os.getcwd()
    try:
        with _looked_for_first(here):
            found: Any = importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name and (package == error.name or package.startswith(f"{error.name}.")):
            raise ModelError(
                f"there is no Python package {error.name}, in {here} or among those installed"
            ) from error
        raise ModelError(f"{package} cannot be imported: {error}") from error
    except (Exception, SystemExit) as error:  # whatever the user's own code raises
        raise ModelError(f"{package} cannot be imported: {type(error).__name__}: {error}") from error
    for part in attribute.split("."):
        try:
            found = getattr(found, part)
        except AttributeError as error:
            raise ModelError(f"{package} has no {attribute}") from error
    if isinstance(found, nn.Module | Network):
        return found
    if not callable(found):
        raise ModelError(f"{name} is a {type(found).__name__}, which cannot be called to make a network")
    try:
        # One's random weights are the same each time: the window, an export and the command line open it anew.
        with torch.random.fork_rng(devices=[]), _looked_for_first(here):
            torch.manual_seed(SEED)
            return found()
    except (Exception, SystemExit) as error:
        raise ModelError(
            f"{name}() failed with {type(error).__name__}: {error}; it is called without arguments"
        ) from error


@contextmanager
def _looked_for_first(folder: str) -> Iterator[None]:
    """Packages are looked for in `folder` first; afterwards last, so that it replaces nothing that the program needs."""
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
        if folder not in sys.path:
            sys.path.append(folder)
