"""All samples: one a kind."""

from __future__ import annotations

from . import samples_cluster, samples_database, samples_dns, samples_identity, samples_images, samples_network
from .contract import Sample

SAMPLES: list[Sample] = [
    *samples_network.SAMPLES,
    *samples_identity.SAMPLES,
    *samples_cluster.SAMPLES,
    *samples_database.SAMPLES,
    *samples_dns.SAMPLES,
    *samples_images.SAMPLES,
]
