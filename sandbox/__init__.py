"""A whole environment on one machine: an AWS API, a single-node Kubernetes, an image registry."""
