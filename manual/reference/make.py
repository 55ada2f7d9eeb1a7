#!/usr/bin/env python3
"""Makes the reference of libtask's public headers by Doxygen: HTML, and manual pages of section 3, compressed as packages have them.

Usage: make.py DOXYFILE DIRECTORY. Exit status: 0 made, 1 Doxygen warned, 77 Doxygen is not installed."""
import gzip
import pathlib
import shutil
import subprocess
import sys


def compress(pages, directory):
    for page in sorted(pages.glob("libtask*.3")):
        if " " in page.name:  # specialisations of templates, which nobody looks for
            continue
        with open(directory / (page.name + ".gz"), "wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as file:
            file.write(page.read_bytes())


def main(doxyfile, directory):
    if shutil.which("doxygen") is None:
        print("skipped: doxygen is not installed")
        return 77
    shutil.rmtree(directory, ignore_errors=True)
    (directory / "man3").mkdir(parents=True)
    if subprocess.run(["doxygen", doxyfile], check=False).returncode != 0:
        return 1
    compress(directory / "man" / "man3", directory / "man3")
    print(f"{directory}/html/index.html, {len(list((directory / 'man3').iterdir()))} manual pages")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], pathlib.Path(sys.argv[2])))
