#!/usr/bin/env python3
"""links.py DIRECTORY

Follows the links between README.md and docs/*.md of DIRECTORY: each leads to a file that is there, and to a heading that this
file has. Links to other hosts are left alone.
"""
import pathlib
import re
import sys


def without_code(text):
    text = re.sub(r"^(`{3,}).*?^\1`*$", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]*`", lambda code: "x" * len(code[0]), text)


def anchors(path):
    """Of each heading, as those who show Markdown name it."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def main():
    root = pathlib.Path(sys.argv[1])
    pages = [root / "README.md", *sorted((root / "docs").glob("*.md"))]
    mistakes, followed = [], 0
    for page in pages:
        for link in re.finditer(r"\]\(([^)\s]+)\)", without_code(page.read_text())):
            file, _, anchor = link[1].partition("#")
            if ":" in file:
                continue
            followed += 1
            target = page.parent / file if file else page
            if not target.is_file():
                mistakes.append(f"{page}: {link[1]}: there is no such file")
            elif anchor and anchor not in anchors(target):
                mistakes.append(f"{page}: {link[1]}: there is no such heading")
    print("\n".join(mistakes + [f"{followed} links in {len(pages)} pages"]))
    sys.exit(1 if mistakes or not followed else 0)


if __name__ == "__main__":
    main()
