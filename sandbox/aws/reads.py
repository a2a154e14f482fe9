"""Which operations write: a rule over operation names, tested on every operation of the served models."""

from __future__ import annotations

_READ_PREFIXES = ("Describe", "Get", "List", "Head", "BatchGet", "BatchCheck", "Search", "Simulate", "Lookup")

# Reads whose names say something else. STS hands out credentials and changes nothing that could be listed.
_OTHER_READS = frozenset(
    {
        ("ec2", "ConfirmProductInstance"),
        ("rds", "DownloadDBLogFilePortion"),
        ("route53", "TestDNSAnswer"),
        ("secretsmanager", "ValidateResourcePolicy"),
        ("sts", "AssumeRole"),
        ("sts", "AssumeRoleWithSAML"),
        ("sts", "AssumeRoleWithWebIdentity"),
        ("sts", "AssumeRoot"),
        ("sts", "DecodeAuthorizationMessage"),
    }
)


def is_write(service: str, operation: str) -> bool:
    """True unless `operation` of `service` (botocore names) only reads. An unknown verb counts as a write."""
    return not operation.startswith(_READ_PREFIXES) and (service, operation) not in _OTHER_READS
