"""RDS with real PostgreSQL servers behind it."""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest

from sandbox.aws.testing import Account, AwsSandbox

from .conftest import wait_for
from .network import make_network

ID: dict[str, Any] = {"DBInstanceIdentifier": "main"}


@pytest.fixture(scope="module")
def servers() -> Iterator[AwsSandbox]:
    with AwsSandbox(postgres_listen="127.0.0.1") as aws:
        aws.durations(read__lag=0)
        yield aws


@pytest.fixture
def real(servers: AwsSandbox) -> Account:
    """An empty account of a sandbox with real servers."""
    return servers.account()


def make(account: Account, **more: Any) -> dict[str, Any]:
    """An available instance; its description."""
    rds = account.client("rds")
    rds.create_db_subnet_group(
        DBSubnetGroupName="data", DBSubnetGroupDescription="d", SubnetIds=make_network(account)["subnets"]
    )
    rds.create_db_instance(
        **ID, DBInstanceClass="db.t3.micro", Engine="postgres", EngineVersion="15", MasterUsername="app",
        AllocatedStorage=20, DBSubnetGroupName="data", DBName="users", **more,
    )
    wait_for(lambda: rds.describe_db_instances(**ID)["DBInstances"][0]["DBInstanceStatus"] == "available", 30)
    found: dict[str, Any] = rds.describe_db_instances(**ID)["DBInstances"][0]
    return found


def connect(instance: dict[str, Any], password: str, **more: Any) -> Any:
    return psycopg2.connect(**{
        "host": instance["Endpoint"]["Address"], "port": instance["Endpoint"]["Port"], "user": "app",
        "password": password, "dbname": "users", "connect_timeout": 5, "sslmode": "require", **more,
    })


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_an_instance_is_a_real_postgres_with_tls_and_managed_password(real: Account) -> None:
    instance = make(real, ManageMasterUserPassword=True)
    secrets = real.client("secretsmanager")
    arn = instance["MasterUserSecret"]["SecretArn"]

    def password() -> str:
        return str(json.loads(secrets.get_secret_value(SecretId=arn)["SecretString"])["password"])

    authority = str(real.sandbox.state / "rds" / "ca.pem")
    connection = connect(instance, password(), sslmode="verify-full", sslrootcert=authority)
    with connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE t (a int); INSERT INTO t VALUES (7); SELECT a, version() FROM t")
        value, version = cursor.fetchone()
        cursor.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
        assert (value, version.split(".")[0], cursor.fetchone()) == (7, "PostgreSQL 15", (False,))
    with pytest.raises(psycopg2.OperationalError, match="no encryption"):
        connect(instance, password(), sslmode="disable")
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        connect(instance, "wrong-password")
    old = password()
    real.client("rds").modify_db_instance(**ID, RotateMasterUserPassword=True, ApplyImmediately=True)
    connect(instance, password()).close()
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        connect(instance, old)
    connection.close()


def test_a_given_password_is_honoured_and_changed_and_data_outlive_a_reboot(real: Account) -> None:
    rds, instance = real.client("rds"), make(real, MasterUserPassword="first-one-1")
    with connect(instance, "first-one-1") as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE t (a int)")
    connection.close()
    rds.modify_db_instance(**ID, MasterUserPassword="second-two-2")
    connect(instance, "second-two-2").close()
    with pytest.raises(psycopg2.OperationalError):
        connect(instance, "first-one-1")
    wait_for(lambda: rds.describe_db_instances(**ID)["DBInstances"][0]["DBInstanceStatus"] == "available")
    rds.reboot_db_instance(**ID)
    with connect(instance, "second-two-2") as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM t")
        assert cursor.fetchone() == (0,)
    connection.close()


def test_a_deleted_instance_stops_and_leaves_nothing(real: Account) -> None:
    rds, instance = real.client("rds"), make(real, MasterUserPassword="first-one-1")
    port = instance["Endpoint"]["Port"]
    assert listens(port)
    assert (real.sandbox.state / "rds" / instance["DbiResourceId"]).is_dir()
    rds.delete_db_instance(**ID, SkipFinalSnapshot=True)
    wait_for(lambda: rds.describe_db_instances()["DBInstances"] == [])
    wait_for(lambda: not listens(port))
    wait_for(lambda: not (real.sandbox.state / "rds" / instance["DbiResourceId"]).exists())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_servers_end_with_the_sandbox_however_it_ends(number: signal.Signals) -> None:
    aws = AwsSandbox(postgres_listen="127.0.0.1").start()
    try:
        aws.durations(read__lag=0)
        port = make(aws, MasterUserPassword="first-one-1")["Endpoint"]["Port"]
        assert listens(port)
        aws._process.send_signal(number)  # type: ignore[union-attr]
        wait_for(lambda: not listens(port), 2)
    finally:
        aws.stop()
