#!/usr/bin/env python3
"""signals.py DIRECTORY

Tests and benches of DIRECTORY send signals by tests/support/signals.h alone, which refuses the process numbers that mean "all of them".
"""
import pathlib
import re
import sys


def main():
    root = pathlib.Path(sys.argv[1])
    sender = root / "tests/support/signals.h"
    sources = [path for room in ("tests", "bench") for end in ("*.cc", "*.h") for path in (root / room).rglob(end) if path != sender]
    raw = [f"{path.relative_to(root)}:{number}: use send_signal()" for path in sources
           for number, line in enumerate(path.read_text().split("\n"), 1)
           if re.search(r"(?<![\w.>])(::)?(kill|killpg)\((?!\)|getpid)", line) and not line.lstrip().startswith("//")]
    print("\n".join(raw + [f"{len(sources)} files"]))
    sys.exit(1 if raw or not sources else 0)


if __name__ == "__main__":
    main()
