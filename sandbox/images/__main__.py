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
        with console.step("images of the application") as step:
            layouts = build_images(paths, console, APPLICATIONS)
            step.done_as("images ready: " + ", ".join(f"{name}@{layout.digest[7:19]}"
                                                      for name, layout in layouts.items()))
    except (ImageError, RootfsError) as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
