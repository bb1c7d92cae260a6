"""A page as one HTML file: no scripts, nothing from elsewhere, readable dark, light and printed."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape

import cv2
import numpy as np
from numpy.typing import NDArray

MARK = b"<!DOCTYPE html>"
THUMB = 320  # pixels wide


def page(title: str, body: str) -> str:
    """A whole page, of a body that is HTML already."""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>{body}</main></body></html>\n"
    )


def definitions(rows: Sequence[tuple[str, str]]) -> str:
    """What is called how, line by line."""
    return f"<dl>{''.join(f'<dt>{escape(k)}</dt><dd>{escape(v)}</dd>' for k, v in rows)}</dl>"


def bullets(items: Sequence[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(item)}</li>" for item in items) + "</ul>" if items else ""


def gallery(made: Sequence[tuple[str, bytes]]) -> str:
    cells = "".join(
        f'<div><img alt="{escape(title)}" src="data:image/jpeg;base64,{base64.b64encode(data).decode()}">{escape(title)}</div>'
        for title, data in made
    )
    return f'<div class="gallery">{cells}</div>'


def jpeg(image: NDArray[np.uint8], width: int = THUMB) -> bytes:
    """A picture (H, W, 3) uint8 RGB, so many pixels wide."""
    height = max(1, round(image.shape[0] * width / image.shape[1]))
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 72])
    return bytes(data.tobytes())


PALETTE = (
    "#e5484d", "#3d7fd9", "#17a2b8", "#8e5bd0", "#30a46c", "#d6861c",
    "#8a8f98", "#c2478d", "#6d7f1f", "#5b6ee1", "#b06a3b", "#0f9b8e",
)  # fmt: skip
STYLE = """
:root{--bg:#fff;--fg:#1c2024;--muted:#5c6570;--line:#d9dee3;--soft:#f4f6f8}
@media (prefers-color-scheme:dark){:root{--bg:#17191c;--fg:#e3e6ea;--muted:#98a1ab;--line:#363b42;--soft:#1f2226}}
@media print{:root{--bg:#fff;--fg:#000;--muted:#444;--line:#bbb;--soft:#fff}section,figure,tr{break-inside:avoid}}
body{background:var(--bg);color:var(--fg);font:15px/1.5 system-ui,sans-serif;margin:0;color-scheme:light dark}
main{max-width:1180px;margin:0 auto;padding:24px 20px 60px}
h1{font-size:28px;margin:0 0 8px}h2{font-size:21px;margin:40px 0 4px;border-top:1px solid var(--line);padding-top:18px}
h3{font-size:17px;margin:22px 0 4px}h4{font-size:14px;margin:16px 0 4px}
.lead{max-width:80ch}.note{color:var(--muted);font-size:13px;margin:4px 0;max-width:110ch}
dl{display:grid;grid-template-columns:max-content 1fr;gap:2px 14px;font-size:13px;background:var(--soft);padding:10px 14px;border-radius:6px}
dt{color:var(--muted)}dd{margin:0;overflow-wrap:anywhere}ul{padding-left:20px;margin:6px 0}li{margin:3px 0;max-width:110ch}
.scroll{overflow-x:auto}table{border-collapse:collapse;font-size:13px;font-variant-numeric:tabular-nums}
th,td{padding:3px 10px;border-bottom:1px solid var(--line);text-align:right}th:first-child{text-align:left;font-weight:500;white-space:nowrap}
thead th{color:var(--muted);font-weight:500;vertical-align:bottom;max-width:130px}
.gallery{display:grid;grid-template-columns:repeat(auto-fill,minmax(260px,1fr));gap:10px;font-size:12px;color:var(--muted)}
.gallery img{display:block;width:100%;border-radius:3px}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(440px,1fr));gap:14px;margin-top:10px}
figure{margin:0}svg{width:100%;height:auto;background:var(--soft);border-radius:6px}
svg text{font:11px system-ui,sans-serif;fill:var(--muted)}svg .title{font-size:13px;fill:var(--fg)}
.grid{stroke:var(--line);stroke-width:1}.line{fill:none;stroke-width:1.8;stroke-linejoin:round}
.line.aside{stroke:var(--muted);stroke-dasharray:5 4}figcaption{font-size:12px;display:flex;flex-wrap:wrap;gap:2px 12px;padding:4px 0}
.key i{display:inline-block;width:14px;height:3px;margin-right:5px;vertical-align:middle}.key i.aside{background:var(--muted)}
""" + "".join(
    f".line.c{k}{{stroke:{c}}}.dot.c{k}{{fill:{c}}}.key i.c{k}{{background:{c}}}"
    for k, c in enumerate(PALETTE)
)
