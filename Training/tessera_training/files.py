"""Writing and command-line habits that all scripts share: nothing half-written, one line for an error."""
from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import sys
from typing import Callable, Iterator


@contextlib.contextmanager
def written_together(folder: str) -> Iterator[str]:
    """A temporary folder whose files move into `folder` when all of them are written; after an exception none do."""
    temporary = folder.rstrip("/\\") + ".part"
    shutil.rmtree(temporary, ignore_errors=True)
    os.makedirs(temporary)
    try:
        yield temporary
        os.makedirs(folder, exist_ok=True)
        for name in sorted(os.listdir(temporary)):
            os.replace(os.path.join(temporary, name), os.path.join(folder, name))
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextlib.contextmanager
def replaced(folder: str) -> Iterator[str]:
    """A temporary folder that takes the place of `folder` when the block ends well; after an exception the old one stays as it was."""
    folder = os.path.normpath(folder)
    part, old = folder + ".part", folder + ".old"
    for leftover in (part, old):
        shutil.rmtree(leftover, ignore_errors=True)
    os.makedirs(part)
    try:
        yield part
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    if os.path.exists(folder):
        os.rename(folder, old)
    os.rename(part, folder)
    shutil.rmtree(old, ignore_errors=True)


def positive(kind: type) -> Callable[[str], int | float]:
    """An argparse type: a number of this kind above 0."""
    def read(text: str) -> int | float:
        value = kind(text)
        if not value > 0:
            raise argparse.ArgumentTypeError(f"{text} is not above 0")
        return value

    read.__name__ = kind.__name__  # argparse names it when the text is no number
    return read


def run(main: Callable[[], None]) -> None:
    """Runs a script; bad input ends it with one line that says what is wrong, and exit status 2."""
    try:
        main()
    except (ValueError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)
