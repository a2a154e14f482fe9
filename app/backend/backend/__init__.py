"""The user service: a small HTTP API over PostgreSQL with a Redis cache in front of single reads.

Layers, outermost first; each imports only what stands after it:
``web`` -> ``service`` -> ``repository``, ``cache`` -> ``entities``, ``errors``.
``config`` and ``observability`` stand beside them; ``__main__`` and ``server`` put everything together.
"""

__version__ = "0.1.0"
