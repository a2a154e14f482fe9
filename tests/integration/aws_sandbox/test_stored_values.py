"""Parameters and secrets."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from sandbox.aws.testing import Account, AwsSandbox

from .conftest import code_of


@pytest.fixture
def ssm(account: Account) -> Any:
    return account.client("ssm")


def test_of_many_conditional_creations_one_wins(ssm: Any) -> None:
    for round_ in range(5):
        codes: list[str] = []
        begin = threading.Barrier(16)

        def create(
            number: int, name: str = f"/lock/{round_}", begin: threading.Barrier = begin, codes: list[str] = codes
        ) -> None:
            begin.wait()
            codes.append(code_of(ssm.put_parameter, Name=name, Value=str(number), Type="String", Overwrite=False))

        threads = [threading.Thread(target=create, args=(n,)) for n in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(codes) == ["", *["ParameterAlreadyExists"] * 15]


def test_a_standard_parameter_holds_four_kilobytes(aws: AwsSandbox, ssm: Any) -> None:
    big = {"Name": "/a", "Value": "x" * 4097, "Type": "String"}
    assert code_of(ssm.put_parameter, **big) == "ValidationException"
    assert code_of(ssm.put_parameter, **big, Tier="Advanced") == ""
    aws.quirks(off=["ssm-standard-tier-size"])
    assert code_of(ssm.put_parameter, **{**big, "Name": "/b"}) == ""


def test_parameters_by_path_come_ten_a_page(ssm: Any) -> None:
    for number in range(12):
        ssm.put_parameter(Name=f"/p/{number:02}", Value="v", Type="String")
    assert code_of(ssm.get_parameters_by_path, Path="/p", MaxResults=11) == "ValidationException"
    first = ssm.get_parameters_by_path(Path="/p")
    rest = ssm.get_parameters_by_path(Path="/p", NextToken=first["NextToken"])
    assert (len(first["Parameters"]), len(rest["Parameters"]), "NextToken" in rest) == (10, 2, False)


def test_the_name_of_a_deleted_secret_stays_taken(aws: AwsSandbox, account: Account) -> None:
    secrets = account.client("secretsmanager")
    new = {"Name": "s", "SecretString": "x"}
    secrets.create_secret(**new)
    assert code_of(secrets.create_secret, **new) == "ResourceExistsException"
    secrets.delete_secret(SecretId="s", RecoveryWindowInDays=7)
    assert code_of(secrets.create_secret, **new) == "InvalidRequestException"
    assert code_of(secrets.get_secret_value, SecretId="s") == "InvalidRequestException"
    aws.quirks(off=["secrets-pending-deletion"])
    assert code_of(secrets.create_secret, **new) == "ResourceExistsException"
    secrets.delete_secret(SecretId="s", ForceDeleteWithoutRecovery=True)
    assert code_of(secrets.create_secret, **new) == ""
