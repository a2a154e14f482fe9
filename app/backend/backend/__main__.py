"""``python -m backend``: serves. Exit status 0 after SIGTERM, 1 where the server failed, 2 where it was told wrong."""

from __future__ import annotations

import os
import sys

from backend.environment import ConfigError, take_settings
from backend.observability.logs import configure
from backend.server import serve


def main() -> int:
    """Reads the environment, then serves."""
    try:
        # Granian puts the environment into that of every request, where secrets have no business, and each variable
        # takes its time.
        settings = take_settings(os.environ)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    configure(settings.log_level, settings.secrets())
    serve(settings)
    return 0


if __name__ == "__main__":
    sys.exit(main())
