"""All samples: one a kind."""

from __future__ import annotations

from . import samples_network
from .contract import Sample

SAMPLES: list[Sample] = [*samples_network.SAMPLES]
