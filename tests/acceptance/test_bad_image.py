"""An image that does not exist: the run fails soon and says why, while the old pods go on serving."""

from __future__ import annotations

import threading

import pytest

from .world import World

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

# The sandbox's repositories hold images by digest alone: no tag of this name was ever pushed.
ABSENT = "127.0.0.1:5000/pause:no-such-tag"


class Visitor:
    """Asks the backend's health through its Service, again and again; `failures` holds what went wrong."""

    def __init__(self, world: World) -> None:
        self._path = f"/api/v1/namespaces/{world.stack}/services/backend:http/proxy/actuator/health"
        self._world = world
        self._over = threading.Event()
        self.asked = 0
        self.failures: list[str] = []

    def __enter__(self) -> Visitor:
        self._thread = threading.Thread(target=self._visit)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _visit(self) -> None:
        while not self._over.wait(0.5):
            self.asked += 1
            answer = self._world.kubectl("get", "--raw", self._path)
            if '"UP"' not in answer:
                self.failures.append(answer)


def test_a_bad_image_fails_within_a_minute_with_its_reason_while_the_old_pods_serve(world: World) -> None:
    before = world.pods("backend")
    assert len(before) >= 2 and all(before.values())
    with Visitor(world) as visitor:
        ran = world.play(backend_image=ABSENT)
    assert ran.code == 2, ran.out
    assert ran.seconds < 60
    assert ran.changes == {f"kube.Deployment/{world.stack}/backend": "update"}

    after = world.pods("backend")
    (new,) = after.keys() - before.keys()
    assert (after[new], {name: after[name] for name in before}) == (False, before)
    assert visitor.asked > 3 and visitor.failures == []
    for said in (f"pod {new}", "ImagePullBackOff" if "ImagePullBackOff" in ran.out else "ErrImagePull", "last event:"):
        assert said in ran.out.partition("[ERROR]: Task failed")[2]
    assert f"{ABSENT}: not found" in ran.out

    mended = world.play()
    assert (mended.code, mended.changes) == (0, {f"kube.Deployment/{world.stack}/backend": "update"}), mended.out
    assert before.keys() <= world.pods("backend").keys()
