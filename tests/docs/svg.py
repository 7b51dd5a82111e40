"""Draws what a terminal showed as one animated SVG.

    svg.py FRAMES OUT

FRAMES is a folder of text files, each named by its time in milliseconds: the screen as it was then. All are drawn below each other, and
the one that is visible changes by CSS, which browsers also play in a picture of a page (as GitHub shows it). Where nothing moves, because
the reader does not want it or the program cannot, a frame of the first half is seen.
"""

import pathlib
import re
import sys
from xml.sax.saxutils import escape

ADVANCE, LINE, MARGIN, TOP = 7.85, 18, 14, 30
STYLE = """
.screen{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:#d4d4d4;white-space:pre}
.bar{fill:#7ec699}.done{fill:#7ec699}.typed{fill:#fff}
"""


def line(text: str, y: int) -> str:
    """One line; every run of it has its place, so that columns stay columns in whatever font there is."""
    spans = []
    kind = "typed" if text.startswith("$") else "done" if text.endswith(": durable") else None
    for run in re.finditer(r"\[[=> ]{20}\]|\S+(?: \S+)*?(?=  | \[[=> ]{20}\]|$)", text) if kind is None else [re.match(".*", text)]:
        found = run.group()
        of = kind or ("bar" if found.startswith("[") and found.endswith("]") and len(found) == 22 else None)
        mark = f' class="{of}"' if of else ""
        x = MARGIN + run.start() * ADVANCE
        width = len(found) * ADVANCE
        spans.append(f'<text{mark} x="{x:.1f}" y="{y}" textLength="{width:.1f}">{escape(found)}</text>')
    return "".join(spans)


def main(frames: pathlib.Path, out: pathlib.Path) -> None:
    shown = []
    for file in sorted(frames.iterdir()):
        screen = [text.rstrip() for text in file.read_text().split("\n")]
        if not shown or shown[-1][1] != screen:
            shown.append((int(file.name), screen))
    end = int(max(file.name for file in frames.iterdir()))
    rows = max(i + 1 for _, screen in shown for i, text in enumerate(screen) if text)
    columns = max(len(text) for _, screen in shown for text in screen)
    width, step = round(2 * MARGIN + columns * ADVANCE), rows * LINE + TOP
    began = shown[0][0]
    steps, drawn = [], []
    for i, (time, screen) in enumerate(shown):
        steps.append(f"{(time - began) / (end - began) * 100:.2f}%{{transform:translateY({-i * step}px)}}")
        drawn += [line(text, i * step + TOP + (row + 1) * LINE - 5) for row, text in enumerate(screen) if text]
    seconds = (end - began) / 1000
    middle = -(len(shown) // 3) * step
    out.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {step + 10}" width="{width}" role="img">'
        "<title>partfs status --watch while two files are copied into a bucket</title>"
        f"<style>{STYLE}.strip{{transform:translateY({middle}px);animation:play {seconds:.1f}s step-end infinite}}"
        f"@keyframes play{{{''.join(steps)}}}"
        "@media(prefers-reduced-motion:reduce){.strip{animation:none}}</style>"
        f'<rect width="{width}" height="{step + 10}" rx="7" fill="#1e1e1e"/>'
        '<circle cx="18" cy="15" r="5" fill="#555"/><circle cx="34" cy="15" r="5" fill="#555"/><circle cx="50" cy="15" r="5" fill="#555"/>'
        f'<svg y="{TOP - 4}" width="{width}" height="{step - TOP + 8}" viewBox="0 {TOP - 4} {width} {step - TOP + 8}">'
        f'<g class="screen strip" xml:space="preserve" transform="translate(0 {middle})">{"".join(drawn)}</g></svg></svg>\n'
    )


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
