"""The options of how masks are laid over pictures, called as they are in the window."""

from __future__ import annotations

import argparse
from collections.abc import Collection

from vbp.cli.common import number
from vbp.overlay import DIALS, GROUNDS, STYLES, Overlay


def add_overlay(
    parser: argparse.ArgumentParser | argparse._ArgumentGroup,
    opacity: float = Overlay().opacity,
    clip: bool = True,
    without: Collection[str] = (),
) -> None:
    """opacity: the default. clip: frames in a row are drawn, so that masks can be averaged over time. without: names of DIALS that a
    command calls something else."""
    parser.add_argument(
        "--style",
        default=STYLES[0],
        metavar="S",
        help=f"of the mask: {', '.join(STYLES)} (default: {STYLES[0]})",
    )
    parser.set_defaults(smooth=1)
    for name, dial in DIALS.items():
        default = opacity if name == "opacity" else getattr(Overlay(), name)
        if name in without or (name == "smooth" and not clip):
            continue
        parser.add_argument(
            f"--{name}",
            type=int if dial.whole else number,
            default=default,
            metavar=name[0].upper(),
            help=f"{dial.tip}; {dial.low:g} to {dial.high:g} ({default:g})",
        )
    parser.add_argument(
        "--ground",
        default="picture",
        metavar="G",
        help=f"what the mask lies on; {'; '.join(f'{k}: {v}' for k, v in GROUNDS.items())}",
    )
    parser.add_argument(
        "--outline", action="store_true", help="a thin line around what is marked, which shows on any colour"
    )
    parser.add_argument(
        "--no-fade", action="store_true", help="show masks that are weak in their drive as any other"
    )
    parser.add_argument(
        "--fixed-scale",
        action="store_true",
        help="VisualBackProp on one scale, so that frames can be compared: 1 is the drive's median",
    )


def overlay_of(args: argparse.Namespace, without: Collection[str] = ()) -> Overlay:
    """What the options say. without: as for `add_overlay`. Raises VbpError for what cannot be."""
    overlay = Overlay(
        style=args.style,
        ground=args.ground,
        outline=args.outline,
        fade=not args.no_fade,
        fixed=args.fixed_scale,
        **{name: getattr(args, name) for name in DIALS if name not in without},
    )
    overlay.check()
    return overlay
