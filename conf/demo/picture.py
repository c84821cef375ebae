#!/usr/bin/python3
"""Draws what a terminal showed: a recording with its colour codes becomes an SVG picture in monospace.

    script -qec 'make demo-pair ONCE=1' docs/demo-pair.txt && conf/demo/picture.py docs/demo-pair.txt docs/demo-pair.svg
"""

import re
import sys
from pathlib import Path
from xml.sax.saxutils import escape

COLUMN, LINE, MARGIN = 7.8, 18, 18  # of a 13 px monospace font, in px
STYLES = {"1": "font-weight:bold", "2": "fill:#8b949e", "31": "fill:#ff7b72", "32": "fill:#7ee787", "33": "fill:#e3b341", "34": "fill:#79c0ff", "35": "fill:#d2a8ff", "36": "fill:#76e3ea"}
CODE = re.compile(r"\x1b\[([0-9;]*)m")
FONT = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace"


def lines_of(recording: str) -> list[str]:
    """The demo's own lines: from its title to its end, without what `make` and `script` said around it."""
    lines = [line.rstrip() for line in recording.replace("\r", "").splitlines()]
    first = next(n for n, line in enumerate(lines) if "Tandem MUC" in CODE.sub("", line))
    last = max(n for n, line in enumerate(lines) if CODE.sub("", line).startswith("     "))
    return lines[first : last + 1]


def spans(line: str) -> str:
    """One line as coloured pieces."""
    drawn, style = [], ""
    for n, piece in enumerate(CODE.split(line)):
        if n % 2:
            style = ";".join(STYLES[code] for code in piece.split(";") if code in STYLES)
        elif piece:
            drawn.append(f'<tspan style="{style}">{escape(piece)}</tspan>' if style else escape(piece))
    return "".join(drawn)


def picture(lines: list[str]) -> str:
    width = round(max(len(CODE.sub("", line)) for line in lines) * COLUMN + 2 * MARGIN)
    height = len(lines) * LINE + 2 * MARGIN
    rows = "\n".join(
        f'<text x="{MARGIN}" y="{MARGIN + LINE * n + 13}" xml:space="preserve">{spans(line)}</text>' for n, line in enumerate(lines) if line
    )
    return f"""<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img">
<title>make demo-pair: what it prints</title>
<rect width="100%" height="100%" rx="8" fill="#0d1117"/>
<g font-family="{FONT}" font-size="13" fill="#e6edf3">
{rows}
</g>
</svg>
"""


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:3])
    target.write_text(picture(lines_of(source.read_text())))
