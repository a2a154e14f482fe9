"""The AWS API's way from HTTP to operations, asked by many at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]

# A process of its own: what is looked for happens only the first time that an operation is named.
MANY_AT_ONCE = """
import sys, threading
sys.setswitchinterval(1e-6)
from sandbox.aws.protocol import operation_of, service_model
from sandbox.aws.signing import HttpRequest
names = list(service_model("ec2").operation_names)[:300]
wrong, together = [], threading.Barrier(6)
def ask():
    for name in names:
        together.wait()
        body = f"Action={name}&Version=2016-11-15".encode()
        headers = {"host": "x", "content-type": "application/x-www-form-urlencoded"}
        try:
            operation_of("ec2", HttpRequest("POST", "/", "", headers, body)).model.http_trait
        except Exception as error:
            wrong.append(f"{name}: {error!r}")
askers = [threading.Thread(target=ask) for _ in range(6)]
[asker.start() for asker in askers], [asker.join() for asker in askers]
print(len(wrong), wrong[:1])
"""


def test_operations_that_many_name_at_once_for_the_first_time_are_known_to_all_of_them() -> None:
    done = subprocess.run([sys.executable, "-c", MANY_AT_ONCE], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == "0 []\n", done.stdout + done.stderr
