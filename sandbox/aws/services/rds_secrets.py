"""The master password that RDS keeps in Secrets Manager.

Source: RDS User Guide, "Password management with Amazon RDS and AWS Secrets Manager".
"""

from __future__ import annotations

import json
import secrets
import string
import uuid
from typing import Any

from ..bridge import ask
from ..errors import AwsError
from ..world import Call, World
from .rds_store import Described, Instance

_ALPHABET = string.ascii_letters + string.digits + "!#$%&*()-_=+[]{}<>:?"


def new_password() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(28))


def make(world: World, call: Call, instance: Instance, key: str | None) -> Described:
    """Stores the instance's password as a secret; the MasterUserSecret member, "creating" at first."""
    described = instance.described
    made = ask(
        call, "secretsmanager", "CreateSecret", Name=f"rds!db-{uuid.uuid4()}", ClientRequestToken=str(uuid.uuid4()),
        SecretString=_value(instance),
        Description=f"Secret associated with primary RDS DB instance: {described['DBInstanceArn']}",
        Tags=[{"Key": "aws:secretsmanager:owningService", "Value": "rds"},
              {"Key": "aws:rds:primaryDBInstanceArn", "Value": described["DBInstanceArn"]}],
    )
    kms = key or f"arn:aws:kms:{call.region}:{call.account}:key/aws-secretsmanager"
    member = {"SecretArn": made["ARN"], "SecretStatus": "creating", "KmsKeyId": kms}
    world.clock.after("rds.instance.backing-up", lambda: member.update(SecretStatus="active"))
    return member


def renew(place: tuple[str, str], instance: Instance) -> None:
    """Writes the instance's present password into its secret, as a new version."""
    arn = instance.described["MasterUserSecret"]["SecretArn"]
    ask(place, "secretsmanager", "PutSecretValue", SecretId=arn, SecretString=_value(instance),
        ClientRequestToken=str(uuid.uuid4()))


def drop(place: tuple[str, str], described: dict[str, Any]) -> None:
    """Removes the secret of an instance, if it has one, at once and for good."""
    member = described.pop("MasterUserSecret", None)
    if member is None:
        return
    try:
        ask(place, "secretsmanager", "DeleteSecret", SecretId=member["SecretArn"], ForceDeleteWithoutRecovery=True)
    except AwsError as error:
        if error.code != "ResourceNotFoundException":
            raise


def _value(instance: Instance) -> str:
    return json.dumps({"username": instance.described["MasterUsername"], "password": instance.password})
