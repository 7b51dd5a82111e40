"""Says whether a command printed what its document says.

    compare.py EXPECTED PRINTED

Every line of EXPECTED must be in PRINTED, in this order; others may be between them. Which number stands somewhere does not count,
but whether it is 0 does; nor do times and the width of blanks, and `…` stands for anything.
"""

import pathlib
import re
import sys


def plain(line: str) -> str:
    def number(found: re.Match[str]) -> str:
        return "0" if float(found[0]) == 0 else "7"

    return re.sub(r"\d+(\.\d+)?", number, " ".join(line.split()))


def pattern(line: str) -> re.Pattern[str]:
    line = plain(line)
    return re.compile(".*".join(re.escape(piece) for piece in line.split("…")))


def main(expected: str, printed: str) -> int:
    lines = [plain(line) for line in pathlib.Path(printed).read_text().splitlines()]
    rest = iter(lines)
    for wanted in pathlib.Path(expected).read_text().splitlines():
        if wanted.strip() and not any(pattern(wanted).fullmatch(line) for line in rest):
            print(f"not printed: {wanted}\nbut:")
            print(*(f"    {line}" for line in pathlib.Path(printed).read_text().splitlines()), sep="\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
