"""Makes scripts of documents, and looks at their links.

    blocks.py FOLDER DOCUMENT…

For each DOCUMENT with blocks that can run FOLDER/DOCUMENT.sh is made. It has the lines of the document at their numbers, so that what bash
says of a line is true of the document. What a block must print is beside it. FOLDER/../not-run tells which blocks are left out.
tests/docs/run says what counts.
"""

import pathlib
import re
import sys

FENCE = re.compile(r"^( *)```(\S*)\s*$")
LINK = re.compile(r"\]\(([^)\s]+)\)|<img [^>]*src=\"([^\"]+)\"")

# Before the first line of the document, and on it: what the fences call.
PRELUDE = (
    "set -eE; docs_failed() { echo \"$0:$1: failed with exit code $2: $3\" >&9; sed 's/^/    /' /tmp/.docs-out >&9; exit 1; }; "
    "trap 'docs_failed $LINENO $? \"$BASH_COMMAND\"' ERR; "
    "docs_end() { :; }; "
    "docs_must_fail() { [[ $2 != 0 ]] || docs_failed $1 0 'the block should fail'; trap 'docs_failed $LINENO $? \"$BASH_COMMAND\"' ERR; set -e; }; "
    "docs_compare() { python3 -B /run/checkout/tests/docs/compare.py $1 /tmp/.docs-out >&9 || { echo \"$0:$2: prints something else\" >&9; exit 1; }; }; "
)
# What a block left running goes on writing behind what the next block writes.
OPEN = ">/tmp/.docs-out; "


def blocks(lines: list[str]):
    """(first line, last line, language, indentation) of each fenced block; the lines are those of the fences, from 0."""
    start = None
    for number, text in enumerate(lines):
        found = FENCE.match(text)
        if found and start is None:
            start = (number, found.group(2), len(found.group(1)))
        elif found and not found.group(2):
            yield start[0], number, start[1], start[2]
            start = None


def above(lines: list[str], number: int) -> str:
    return lines[number - 1].strip() if number else ""


def script(document: str, folder: pathlib.Path, left_out: list[str]) -> None:
    lines = pathlib.Path(document).read_text().splitlines()
    made = [""] * (len(lines) + 1)
    last = None  # the end of the last block that runs
    # What readers do not see brings about what the next block is about.
    for number, text in enumerate(lines):
        if text == "<!-- setup":
            end = lines.index("-->", number)
            made[number], made[end] = OPEN + "{", "} >>/tmp/.docs-out 2>&1 </dev/null"
            made[number + 1 : end] = lines[number + 1 : end]
    for first, end, language, indent in blocks(lines):
        if language == "text" and last is not None and not any(lines[last + 1 : first]):
            expected = folder / f"{document}.{first + 1}"
            expected.write_text("".join(text[indent:] + "\n" for text in lines[first + 1 : end]))
            made[end] = f"docs_compare /run/docs/scripts/{document}.{first + 1} {first + 1}"
        last = None
        if language != "sh":
            continue
        comment = above(lines, first)
        if why := re.fullmatch(r"<!-- not run: (.+) -->", comment):
            left_out.append(f"  {document}:{first + 1}: {why.group(1)}")
            continue
        fails = comment == "<!-- fails -->"
        made[first] = OPEN + ("set +e; trap - ERR; {" if fails else "{")
        made[first + 1 : end] = [text[indent:] for text in lines[first + 1 : end]]
        made[end] = "} >>/tmp/.docs-out 2>&1 </dev/null; " + (f"docs_must_fail {end} $?" if fails else "docs_end")
        last = end
    if any(made):
        made[0] = PRELUDE + made[0]
        target = folder / f"{document}.sh"
        target.parent.mkdir(parents=True, exist_ok=True)
        # Otherwise a block with `exit` would leave out what comes behind it, and nobody would notice.
        target.write_text("\n".join([*made, "touch /run/docs/at-its-end"]) + "\n")


def anchors(document: pathlib.Path) -> set[str]:
    """As GitHub makes them of headings."""
    found: set[str] = set()
    fenced = False
    for text in document.read_text().splitlines():
        if FENCE.match(text):
            fenced = not fenced
        if fenced or not (heading := re.match(r"#+ +(.*)", text)):
            continue
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading.group(1)).strip().lower()
        slug = "".join(c if c.isalnum() or c in "_-" else "-" if c == " " else "" for c in words)
        while slug in found:
            slug += "-1"
        found.add(slug)
    return found


def broken_links(document: str):
    path = pathlib.Path(document)
    fenced = False
    for number, text in enumerate(path.read_text().splitlines(), 1):
        if FENCE.match(text):
            fenced = not fenced
        if fenced:
            continue
        for link in LINK.finditer(re.sub(r"`[^`]*`", "", text)):
            address = link.group(1) or link.group(2)
            if re.match(r"[a-z]+:", address):
                continue
            file, _, anchor = address.partition("#")
            target = path.parent / file if file else path
            if not target.exists():
                yield f"{document}:{number}: {address}: there is no such file"
            elif anchor and anchor not in anchors(target):
                yield f"{document}:{number}: {address}: there is no such heading"


def main(folder: pathlib.Path, documents: list[str]) -> int:
    left_out: list[str] = []
    (folder / "docs").mkdir(exist_ok=True)
    broken = [problem for document in documents for problem in broken_links(document)]
    for document in documents:
        script(document, folder, left_out)
    said = f"blocks not run: {len(left_out)}\n" + "".join(text + "\n" for text in left_out)
    (folder.parent / "not-run").write_text(said)
    print(*broken, sep="\n", end="\n" if broken else "")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]), sys.argv[2:]))
