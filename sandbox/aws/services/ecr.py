"""ECR over a real registry: repositories are moto's, images are what the registry holds.

The registry cannot list images without a tag; such an image is found by its digest. It also takes pushes to
repositories that were not created, and moves tags of immutable repositories.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from ..bridge import ask
from ..errors import AwsError
from ..hooks import after, before, operation
from ..paging import page
from ..registry import Manifest, Registry, RegistryError
from ..world import Call, World

Image = tuple[Manifest, list[str]]  # with its tags
_NOT_FOUND = {"failureCode": "ImageNotFound", "failureReason": "Requested image not found"}


class PushTimes:
    """When an image was seen first; the registry does not say when it was pushed."""

    def __init__(self, world: World) -> None:
        self.seen: dict[tuple[str, str], datetime] = {}


def _registry(world: World) -> Registry | None:
    return Registry(world.settings.registry) if world.settings.registry else None


def _uri(world: World, name: str, repository: dict[str, Any]) -> str:
    return f"{world.settings.registry}/{name}" if world.settings.registry else str(repository["repositoryUri"])


def _localise(world: World, repository: dict[str, Any]) -> dict[str, Any]:
    return {**repository, "repositoryUri": _uri(world, repository["repositoryName"], repository)}


@after("ecr", "CreateRepository", "DeleteRepository")
def local_uri(world: World, call: Call, result: dict[str, Any]) -> dict[str, Any]:
    return {**result, "repository": _localise(world, result["repository"])}


@after("ecr", "DescribeRepositories")
def local_uris(world: World, call: Call, result: dict[str, Any]) -> dict[str, Any]:
    return {**result, "repositories": [_localise(world, repository) for repository in result["repositories"]]}


@operation("ecr", "GetAuthorizationToken")
def get_authorization_token(world: World, call: Call) -> dict[str, Any]:
    token = base64.b64encode(f"AWS:{secrets.token_urlsafe(40)}".encode()).decode()
    endpoint = world.settings.registry
    host = f"http://{endpoint}" if endpoint else f"https://{call.account}.dkr.ecr.{call.region}.amazonaws.com"
    return {"authorizationData": [
        {"authorizationToken": token, "expiresAt": datetime.now(UTC) + timedelta(hours=12), "proxyEndpoint": host}
    ]}


@before("ecr", "DeleteRepository")
def only_empty_or_by_force(world: World, call: Call) -> None:
    registry, name = _registry(world), call.params["repositoryName"]
    if registry is None:
        return
    _require_repository(call)
    images = _asked(lambda: registry.images(name))
    if images and not call.params.get("force"):
        raise AwsError(
            "RepositoryNotEmptyException", f"The repository with name '{name}' in registry with id '{call.account}' "
            "cannot be deleted because it still contains images", 400,
        )
    for digest in images:
        _asked(partial(registry.delete, name, digest))


def _require_repository(call: Call) -> None:
    ask(call, "ecr", "DescribeRepositories", repositoryNames=[call.params["repositoryName"]])


def _asked(question: Callable[[], Any]) -> Any:
    try:
        return question()
    except RegistryError as error:
        raise AwsError("ServerException", str(error), 500) from error


def _images(world: World, call: Call) -> tuple[Registry, dict[str, Image]] | None:
    """The registry and the repository's images; None when there is no registry and moto answers."""
    registry = _registry(world)
    if registry is None:
        return None
    _require_repository(call)
    images = _asked(lambda: registry.images(call.params["repositoryName"]))
    for wanted in call.params.get("imageIds") or []:
        digest = wanted.get("imageDigest")
        if digest and digest not in images:
            manifest = _asked(partial(registry.manifest, call.params["repositoryName"], digest))
            if manifest:
                images[digest] = (manifest, [])
    return registry, images


def _matching(images: dict[str, Image], wanted: dict[str, str]) -> Image | None:
    for digest, (manifest, tags) in images.items():
        if wanted.get("imageDigest", digest) == digest and ("imageTag" not in wanted or wanted["imageTag"] in tags):
            return manifest, tags
    return None


def _tag_filter(call: Call) -> Callable[[list[str]], bool]:
    wanted = (call.params.get("filter") or {}).get("tagStatus", "ANY")
    return lambda tags: wanted == "ANY" or (wanted == "TAGGED") == bool(tags)


@operation("ecr", "DescribeImages")
def describe_images(world: World, call: Call) -> dict[str, Any]:
    found = _images(world, call)
    if found is None:
        return ask(call, "ecr", "DescribeImages", **call.params)
    images, asked = found[1], call.params.get("imageIds") or []
    chosen = list(images.values())
    if asked:
        chosen = []
        for wanted in asked:
            match = _matching(images, wanted)
            if match is None:
                raise AwsError(
                    "ImageNotFoundException", f"The image with imageId {wanted} does not exist within the repository "
                    f"with name '{call.params['repositoryName']}' in the registry with id '{call.account}'", 400,
                )
            if match not in chosen:
                chosen.append(match)
    details = [_detail(world, call, *image) for image in chosen if _tag_filter(call)(image[1])]
    shown, token = page(
        details, lambda detail: str(detail["imageDigest"]), int(call.params.get("maxResults") or 100),
        call.params.get("nextToken"), "InvalidParameterException",
    )
    return {"imageDetails": shown, **({"nextToken": token} if token else {})}


def _detail(world: World, call: Call, manifest: Manifest, tags: list[str]) -> dict[str, Any]:
    name = call.params["repositoryName"]
    pushed = world.store(PushTimes).seen.setdefault((name, manifest.digest), datetime.now(UTC))
    return {
        "registryId": call.account,
        "repositoryName": name,
        "imageDigest": manifest.digest,
        **({"imageTags": tags} if tags else {}),
        "imageSizeInBytes": manifest.size_bytes,
        "imagePushedAt": pushed,
        "imageManifestMediaType": manifest.media_type,
        "artifactMediaType": manifest.document.get("config", {}).get("mediaType", ""),
    }


@operation("ecr", "ListImages")
def list_images(world: World, call: Call) -> dict[str, Any]:
    found = _images(world, call)
    if found is None:
        return ask(call, "ecr", "ListImages", **call.params)
    ids = [
        {"imageDigest": digest, **({"imageTag": tag} if tag else {})}
        for digest, (_, tags) in found[1].items() if _tag_filter(call)(tags) for tag in tags or [""]
    ]
    shown, token = page(
        ids, lambda i: f"{i['imageDigest']} {i.get('imageTag', '')}", int(call.params.get("maxResults") or 100),
        call.params.get("nextToken"), "InvalidParameterException",
    )
    return {"imageIds": shown, **({"nextToken": token} if token else {})}


@operation("ecr", "BatchGetImage")
def batch_get_image(world: World, call: Call) -> dict[str, Any]:
    found = _images(world, call)
    if found is None:
        return ask(call, "ecr", "BatchGetImage", **call.params)
    images, failures = [], []
    for wanted in call.params["imageIds"]:
        match = _matching(found[1], wanted)
        if match is None:
            failures.append({"imageId": wanted, **_NOT_FOUND})
            continue
        images.append({
            "registryId": call.account, "repositoryName": call.params["repositoryName"],
            "imageId": {"imageDigest": match[0].digest, **({"imageTag": wanted["imageTag"]} if "imageTag" in wanted
                                                          else {})},
            "imageManifest": match[0].body.decode(), "imageManifestMediaType": match[0].media_type,
        })
    return {"images": images, "failures": failures}


@operation("ecr", "BatchDeleteImage")
def batch_delete_image(world: World, call: Call) -> dict[str, Any]:
    """By tag: the tag goes, and the image with its last tag; by digest: the image and all its tags."""
    found = _images(world, call)
    if found is None:
        return ask(call, "ecr", "BatchDeleteImage", **call.params)
    registry, name, deleted, failures = found[0], call.params["repositoryName"], list[dict[str, str]](), []
    for wanted in call.params["imageIds"]:
        match = _matching(found[1], wanted)
        if match is None:
            failures.append({"imageId": wanted, **_NOT_FOUND})
        elif "imageDigest" in wanted:
            _asked(partial(registry.delete, name, match[0].digest))
            deleted += [{"imageDigest": match[0].digest, "imageTag": tag} for tag in match[1]] or [wanted]
        else:
            _asked(partial(registry.delete_tag, name, wanted["imageTag"]))
            deleted.append({"imageDigest": match[0].digest, "imageTag": wanted["imageTag"]})
    return {"imageIds": deleted, "failures": failures}


@operation("ecr", "PutImage")
def put_image(world: World, call: Call) -> dict[str, Any]:
    """Puts a manifest, as a way to add a tag; its parts must be in the registry."""
    registry, params = _registry(world), call.params
    if registry is None:
        return ask(call, "ecr", "PutImage", **params)
    _require_repository(call)
    name, body, tag = params["repositoryName"], params["imageManifest"].encode(), params.get("imageTag")
    media_type = params.get("imageManifestMediaType") or Manifest("", "", body).document.get("mediaType", "")
    known = _asked(lambda: registry.manifest(name, tag or params.get("imageDigest", "latest")))
    if tag and known and known.body == body:
        raise AwsError("ImageAlreadyExistsException", f"Image with digest '{known.digest}' and tag '{tag}' already "
                       f"exists in the repository with name '{name}' in registry with id '{call.account}'", 400)
    try:
        digest = registry.put_manifest(name, tag or params["imageDigest"], media_type, body)
    except RegistryError as error:
        raise AwsError("LayersNotFoundException", str(error), 400) from error
    return {"image": {
        "registryId": call.account, "repositoryName": name, "imageManifest": params["imageManifest"],
        "imageId": {"imageDigest": digest, **({"imageTag": tag} if tag else {})},
    }}
