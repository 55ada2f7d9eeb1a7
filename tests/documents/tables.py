#!/usr/bin/env python3
"""tables.py DIRECTORY

Looks at README.md and docs/*.md of DIRECTORY as a reader does who sees their source: a table's cell has at most 160 characters, since
what needs more is prose; every row has as many cells as its head; and every picture in docs/pictures stands in a page. (That a
picture which a page names is there, links.py sees to.)
"""
import pathlib
import re
import sys

MOST = 160


def tables_of(text):
    """[[(line number, [cells])]], a list for each table. Fenced blocks have none."""
    tables, fence = [[]], None
    for number, line in enumerate(text.split("\n"), 1):
        opened = re.match(r" *(`{3,})", line)
        if opened and fence in (None, opened[1]):
            fence = opened[1] if fence is None else None
        if fence is None and re.match(r" *\|", line):
            inner = re.sub(r"`[^`]*`", lambda code: code[0].replace("\\|", "\0"), line.strip()).replace("\\|", "\0")
            tables[-1].append((number, [cell.replace("\0", "|").strip() for cell in inner.strip("|").split("|")]))
        elif tables[-1]:
            tables.append([])
    return [table for table in tables if table]


def mistakes_of(name, text):
    for table in tables_of(text):
        for number, cells in table:
            if len(cells) != len(table[0][1]):
                yield f"{name}:{number}: {len(cells)} cells, the head of the table has {len(table[0][1])}"
            for cell in cells:
                if len(cell) > MOST:
                    yield f"{name}:{number}: a cell of {len(cell)} characters, more than {MOST}: {cell[:60]}…"


def main():
    root = pathlib.Path(sys.argv[1])
    pages = {page: page.read_text() for page in [root / "README.md", *sorted((root / "docs").glob("*.md"))]}
    mistakes = [mistake for page, text in pages.items() for mistake in mistakes_of(page.relative_to(root), text)]
    tables = sum(len(tables_of(text)) for text in pages.values())
    for picture in sorted((root / "docs/pictures").glob("*.svg")):
        if not any(re.search(rf"!\[[^\]]+\]\([^)]*{re.escape(picture.name)}\)", text) for text in pages.values()):
            mistakes.append(f"{picture.relative_to(root)}: no page shows it")
    print("\n".join(mistakes + [f"{tables} tables in {len(pages)} pages"]))
    sys.exit(1 if mistakes or not tables else 0)


if __name__ == "__main__":
    main()
