"""Ways into a cluster: kubeconfigs of several kinds, and what is wrong with others."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.capstan.fullstack.plugins.module_utils.engine.errors import InvalidDescription, Unreadable
from ansible_collections.capstan.fullstack.plugins.module_utils.kube.access import Access, from_cluster, from_kubeconfig

NOW = 1_000_000.0


def kubeconfig(folder: Path, user: dict[str, Any], **cluster: Any) -> Path:
    content = {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://10.0.0.1:6443/", **cluster}}],
        "users": [{"name": "u", "user": user}],
    }
    path = folder / "config"
    path.write_text(yaml.safe_dump(content))
    return path


def access(path: Path) -> Access:
    return from_kubeconfig(path, lambda: NOW)


def test_a_token_is_sent_as_it_is(tmp_path: Path) -> None:
    found = access(kubeconfig(tmp_path, {"token": "abc"}))
    assert found.headers() == {"Authorization": "Bearer abc"}
    assert found.server == "https://10.0.0.1:6443"


def test_a_token_file_is_read_again_when_its_token_may_be_old(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("first\n")
    now = [NOW]
    found = from_kubeconfig(kubeconfig(tmp_path, {"tokenFile": "token"}), lambda: now[0])
    assert found.headers() == {"Authorization": "Bearer first"}
    (tmp_path / "token").write_text("second\n")
    assert found.headers() == {"Authorization": "Bearer first"}
    now[0] += 10 * 60
    assert found.headers() == {"Authorization": "Bearer second"}


def test_a_name_and_password_are_sent_as_basic_authorization(tmp_path: Path) -> None:
    found = access(kubeconfig(tmp_path, {"username": "a", "password": "b"}))
    assert found.headers() == {"Authorization": "Basic YTpi"}


def command(folder: Path, output: str, code: int = 0) -> dict[str, Any]:
    script = folder / "credentials"
    script.write_text(f"#!/bin/sh\ncat <<'END'\n{output}\nEND\nexit {code}\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return {"exec": {"command": str(script), "args": ["get-token"], "env": [{"name": "A", "value": "b"}]}}


def test_a_command_gives_a_token_until_it_expires(tmp_path: Path) -> None:
    status = {"token": "minted", "expirationTimestamp": "2001-09-09T01:46:40Z"}
    found = access(kubeconfig(tmp_path, command(tmp_path, json.dumps({"status": status}))))
    assert found.headers() == {"Authorization": "Bearer minted"}
    assert found._token == ("minted", 1_000_000_000.0)


@pytest.mark.parametrize(("output", "code"), [("no json", 0), ("{}", 0), ('{"status": {"token": "s3cret"}}', 1)])
def test_a_command_that_fails_is_named_without_what_it_said(tmp_path: Path, output: Any, code: Any) -> None:
    found = access(kubeconfig(tmp_path, command(tmp_path, output, code)))
    with pytest.raises(Unreadable, match="credentials gave no credentials") as caught:
        found.headers()
    assert "s3cret" not in str(caught.value)


def test_a_kubeconfig_that_is_not_there_is_unreadable(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="No such file"):
        access(tmp_path / "none")


def test_a_context_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, {})
    with pytest.raises(InvalidDescription, match='has no "there" among its contexts'):
        from_kubeconfig(path, lambda: NOW, context="there")


def test_a_cluster_without_an_endpoint_yet_is_unreadable() -> None:
    with pytest.raises(Unreadable, match="no endpoint and CA yet"):
        from_cluster({"name": "main"}, lambda connection: ("t", NOW), lambda: NOW)


def test_a_ca_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidDescription, match="neither PEM nor base64"):
        from_cluster({"endpoint": "https://a", "ca": "%%%"}, lambda connection: ("t", NOW), lambda: NOW)
