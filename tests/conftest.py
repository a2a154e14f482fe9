"""The collection is imported the way ansible imports it, in every test: its finder has to be there before the first
`import ansible_collections`, or ansible would not see the collection's plugins in this process."""

from __future__ import annotations

from pathlib import Path

from ansible.plugins.loader import init_plugin_loader

init_plugin_loader([str(Path(__file__).resolve().parents[1] / "collections")])
