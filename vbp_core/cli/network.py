"""The options that say which network; imported by the window before it stands, so nothing heavy is here."""

from __future__ import annotations

import argparse

from vbp.models.source import NetworkSource


def add_network(parser: argparse.ArgumentParser, default: str | None = "NetSVF", device: bool = True) -> None:
    """--model, --weights and --spec, which together are args.model, as NetworkSource writes it; and --device where it is run."""
    parser.add_argument(
        "--model",
        default=default,
        action=_NetworkPart,
        metavar="M",
        help="a network's name, a .safetensors, .onnx, .pt2 or Keras file (.h5, .keras, model.json), or package.module:factory, your own code, which is run",
    )
    parser.add_argument(
        "--weights",
        action=_NetworkPart,
        default=argparse.SUPPRESS,
        metavar="FILE",
        help="weights for a factory's network (.safetensors, or any checkpoint by torch.save; FILE#NAME of several in it) or for a Keras model.json (.h5)",
    )
    parser.add_argument(
        "--spec",
        action=_NetworkPart,
        default=argparse.SUPPRESS,
        metavar="FILE.toml",
        help="the specification of input and output for an .onnx, .pt2 or Keras file or a factory's network",
    )
    if device:
        parser.add_argument("--device", default="auto", metavar="D", help="auto, cpu, cuda, cuda:1, mps")


def chosen_network(args: argparse.Namespace) -> str:
    """What was named by its place, args.network, or by --model; with --weights and --spec."""
    if args.network is None:
        return str(args.model or "NetSVF")
    rest = str(args.model or "")  # ?weights=FILE&spec=FILE, or another model
    return str(args.network) + (rest if rest.startswith("?") else "")


class _NetworkPart(argparse.Action):
    """Puts the parts of a network's source together, in whatever order they come."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        parts = {**getattr(namespace, "network_parts", {}), self.dest: str(values)}
        namespace.network_parts = parts
        model = parts.get("model")
        if model is None:
            model = parser.get_default("model") or ""
        if len(parts) == 1 and "model" in parts:
            namespace.model = model
        else:
            namespace.model = str(NetworkSource(model, parts.get("weights", ""), parts.get("spec", "")))
