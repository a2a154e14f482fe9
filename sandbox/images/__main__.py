"""``python -m sandbox.images``: builds what changed of the application's images and links them in the state."""

from __future__ import annotations

import sys

from sandbox.console import Console
from sandbox.images.build import ImageError, build_images
from sandbox.images.catalogue import APPLICATIONS
from sandbox.images.rootfs import RootfsError
from sandbox.paths import paths_from


def main() -> int:
    """Exit status 1, with one message, when an image cannot be built."""
    console, paths = Console(), paths_from()
    try:
        layouts = build_images(paths, console, APPLICATIONS)
    except (ImageError, RootfsError) as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return 1
    digests = ", ".join(f"{name}@{layout.digest[7:19]}" for name, layout in layouts.items())
    console.line(f"           images of the application: {digests}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
