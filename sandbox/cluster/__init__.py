"""A real single-node Kubernetes, without a container engine's or an init system's help."""
