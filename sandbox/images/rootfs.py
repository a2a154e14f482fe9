"""The root file system below all images: debootstrap's smallest set, without what a container never reads."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

SUITE = "bookworm"
PACKAGES = ("ca-certificates",)
# Left out of every package that is installed, now and in the images above.
NOT_INSTALLED = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*",
                 "/usr/share/lintian/*")
CLEAN_LAYER = """\
#!/bin/sh
# Removes what an installation leaves behind and what differs from build to build: the end of each RUN that installs.
set -e
apt-get clean
rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/cache/ldconfig/aux-cache /var/lib/dpkg/*-old
rm -f /etc/passwd- /etc/shadow- /etc/group- /etc/gshadow-
# The day on which an account was made.
sed -i -E 's/^([^:]*:[^:]*):[0-9]+:/\\1:1:/' /etc/shadow
find /var/log -type f -delete
find / -xdev -name __pycache__ -type d -prune -exec rm -rf {} +
"""


class RootfsError(Exception):
    """debootstrap failed; the message holds its last lines."""


def key() -> str:
    """What decides whether a root file system must be made anew: this recipe."""
    return hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]


def make(tar: Path) -> None:
    """Writes the root file system as `tar`, in one step. Half a minute; needs root and the Debian mirror."""
    tar.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".rootfs-", dir=tar.parent) as folder:
        root = Path(folder) / "root"
        _run(["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", SUITE, str(root),
              *_mirror()])
        _prune(root)
        partial = Path(folder) / "rootfs.tar"
        # Names in order and one time for all: the same packages give the same bytes.
        _run(["tar", "--directory", str(root), "--sort=name", "--mtime=@0", "--numeric-owner", "--create",
              f"--file={partial}", "."])
        partial.replace(tar)


def _mirror() -> list[str]:
    mirror = os.environ.get("CAPSTAN_DEBIAN_MIRROR")
    return [mirror] if mirror else []


def _prune(root: Path) -> None:
    excluded = "".join(f"path-exclude={pattern}\n" for pattern in NOT_INSTALLED)
    (root / "etc/dpkg/dpkg.cfg.d/container").write_text(excluded)
    for pattern in NOT_INSTALLED:
        for entry in root.glob(pattern.lstrip("/")):
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
    clean = root / "usr/local/sbin/clean-layer"
    clean.write_text(CLEAN_LAYER)
    clean.chmod(0o755)
    _run(["chroot", str(root), "/usr/local/sbin/clean-layer"])
    # Each machine's own; an empty file is filled at the first start of those that need one.
    (root / "etc/machine-id").write_text("")
    (root / "etc/resolv.conf").write_text("")
    (root / "etc/hostname").write_text("")
    # The place where builds see this machine's pip settings.
    (root / "etc/pip.conf").write_text("")


def _run(argv: list[str]) -> None:
    answer = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            text=True, check=False)
    if answer.returncode:
        last = "\n".join(answer.stdout.splitlines()[-15:])
        raise RootfsError(f"{argv[0]} failed:\n{last}")
