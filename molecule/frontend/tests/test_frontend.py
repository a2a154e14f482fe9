"""The page from inside its pod, and from outside."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
from testinfra.host import Host

NAMESPACE = "molecule-frontend"


@pytest.fixture(scope="module")
def page(pod: Callable[..., Host]) -> Host:
    return pod(NAMESPACE, "frontend")


@pytest.fixture(scope="module")
def url(live: Any) -> str:
    (port,) = live("service", "frontend", NAMESPACE)["spec"]["ports"]
    assert (port["port"], port["targetPort"]) == (80, "http")
    return f"http://127.0.0.1:{port['nodePort']}"


def test_nginx_runs_without_being_root(page: Host, processes: Any) -> None:
    first = next(one for one in processes(page) if one["pid"] == 1)
    assert first["uid"] == 101
    assert first["command"].startswith("nginx")


def test_it_listens_on_80(page: Host, listening: Any) -> None:
    assert 80 in listening(page)


def test_it_passes_requests_on_to_the_backend_of_its_namespace(page: Host) -> None:
    rendered = page.file("/tmp/nginx/proxy.conf").content_string
    assert 'set $backend "http://backend.molecule-frontend.svc.cluster.local:80"' in rendered


def test_the_bundle_is_in_the_image(page: Host) -> None:
    assert page.file("/usr/share/capstan/html/index.html").is_file
    assert page.run("ls /usr/share/capstan/html/assets/*.js").rc == 0


def test_the_root_file_system_cannot_be_written(page: Host) -> None:
    assert "Read-only file system" in page.run("touch /usr/share/capstan/html/changed").stderr


def test_the_page_is_reached_through_its_service(url: str) -> None:
    with urllib.request.urlopen(url, timeout=10) as answer:
        assert '<div id="root">' in answer.read().decode()
        assert "default-src 'self'" in answer.headers["Content-Security-Policy"]


def test_without_a_backend_the_api_says_so(url: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{url}/api/users", timeout=20)
    assert refused.value.code == 502


def test_it_asks_for_and_gets_what_was_described(live: Any) -> None:
    (container,) = live("deployment", "frontend", NAMESPACE)["spec"]["template"]["spec"]["containers"]
    assert container["resources"] == {
        "requests": {"cpu": "50m", "memory": "64Mi"},
        "limits": {"cpu": "500m", "memory": "256Mi"},
    }
    assert "/molecule-frontend-platform-frontend@sha256:" in container["image"]


def test_it_scales_as_described(live: Any) -> None:
    spec = live("hpa", "frontend", NAMESPACE)["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (1, 2)
    assert [one["resource"]["target"]["averageUtilization"] for one in spec["metrics"]] == [70]


def test_it_reaches_only_the_backend(live: Any) -> None:
    spec = live("networkpolicy", "frontend", NAMESPACE)["spec"]
    assert spec["ingress"] == [{"ports": [{"port": 80, "protocol": "TCP"}]}]
    (way,) = spec["egress"]
    assert way["to"] == [{"podSelector": {"matchLabels": {"app.kubernetes.io/name": "backend"}}}]
    assert way["ports"] == [{"port": 8080, "protocol": "TCP"}]
