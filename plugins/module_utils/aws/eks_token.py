"""Tokens for the API servers of EKS clusters: a signed request to STS that the cluster sends on to learn who asks.

Source: "Amazon EKS cluster authentication"; the same form as aws-iam-authenticator's.
"""

from __future__ import annotations

import base64
from typing import Any

SIGNED_FOR_S = 60  # how long the signature itself is accepted
VALID_FOR_S = 14 * 60  # the server takes a token for 15 minutes from its signing
_PREFIX = "k8s-aws-v1."


def eks_token(sts: Any, cluster: str) -> str:
    """A token for `cluster` (its name), signed with the credentials of the STS client `sts`: no call is made."""
    from botocore.signers import RequestSigner

    meta = sts.meta
    signer = RequestSigner(
        meta.service_model.service_id,
        meta.region_name,
        "sts",
        "v4",
        sts._request_signer._credentials,  # a client's own, refreshing ones: there is no public way to them
        meta.events,
    )
    request = {
        "method": "GET",
        "url": f"{meta.endpoint_url.rstrip('/')}/?Action=GetCallerIdentity&Version=2011-06-15",
        "body": {},
        "headers": {"x-k8s-aws-id": cluster},
        "context": {},
    }
    url = signer.generate_presigned_url(
        request, region_name=meta.region_name, expires_in=SIGNED_FOR_S, operation_name=""
    )
    return _PREFIX + base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")
