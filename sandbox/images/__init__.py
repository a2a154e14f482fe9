"""Container images made on this machine alone: a root file system by debootstrap, the rest by buildah."""
