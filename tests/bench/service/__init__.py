"""The user service beside its peers: see `__main__`."""

import sys
from pathlib import Path

# The service is no part of the collection: `backend` is found in its own folder, as in the container.
sys.path.append(str(Path(__file__).parents[3] / "app" / "backend"))
