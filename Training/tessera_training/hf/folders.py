"""Folders that are either complete or absent: written beside their place and renamed."""
from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from typing import Iterator


@contextmanager
def complete(folder: str) -> Iterator[str]:
    """A temporary folder that takes the place of `folder` when the block ends well; it is removed when it does not."""
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
