"""Container images, pushed to a repository as part of the graph."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from ..engine.errors import Category, InvalidDescription
from ..engine.fields import attr
from ..engine.resource import Live, Mark, Resource, Scope
from ..engine.values import UNSET, Secret, Unknown, Unset, references_in
from .api import Api
from .ecr_repository import EcrRepository
from .image_source import Source, open_source
from .oci import Manifest, read_in_parts
from .registry import Registry
from .rules import rules
from .shapes import given

_RULES = rules(Category.ABSENT, "RepositoryNotFoundException", "ImageNotFoundException")
_IMAGES_A_CALL = 100


@dataclass(frozen=True, kw_only=True)
class Image(Resource):
    """An image in a repository, by digest: pushed from an OCI image layout, or copied from another registry.

    What its source holds is known before anything exists, so plans show the digest. Layers that are there already are
    not sent again. A new digest is a new image; older ones are left alone, they go with their repository. Cost of
    reading: that of the repositories + 1 for every 100 images of a repository (BatchGetImage). Source: ECR
    BatchGetImage, OCI distribution-spec. Actions: those of reading aws.ecr_repository, and ecr:BatchGetImage,
    GetAuthorizationToken, BatchCheckLayerAvailability, InitiateLayerUpload, UploadLayerPart, CompleteLayerUpload,
    PutImage, BatchDeleteImage; to copy from ECR also GetDownloadUrlForLayer.
    """

    kind = "aws.image"
    owned_by = "parent"
    creates_whole = True
    outputs: ClassVar[Mapping[str, str]] = {
        "reference": "what a container runs: repository@digest",
        "digest": "its digest, sha256:…",
    }

    repository: str = attr("where it goes", refers_to="aws.ecr_repository", output="uri", create_only=True)
    source: str = attr("path of an OCI image layout, or registry/repository@sha256:… to copy from")
    digest: str | Unset = attr("digest that the source has to have; unset: whatever it has", default=UNSET)
    tag: str | Unset = attr("tag that points to it", default=UNSET)

    @classmethod
    def read(cls, api: Api, scope: Scope) -> list[Live]:
        wanted = [resource for resource in scope.wanted.values() if isinstance(resource, Image)]
        by_repository: dict[str, list[Image]] = {}
        repositories = _repositories(api, scope, wanted)
        for image in wanted:
            if (repository := repositories.get(_repository_address(image))) is not None:
                by_repository.setdefault(repository.id, []).append(image)
        lives = {live.id: live for live in repositories.values()}
        found = api.each(lambda one: _images(api, lives[one[0]], one[1]), list(by_repository.items()))
        return [live for group in found for live in group]

    def propose(self, api: Api | None, live: Live | None) -> Mapping[str, Any]:
        values = {name: value for name, value in self.values().items() if name != "source"}
        digest = open_source(self.source).digest
        if given(self.digest, digest) != digest:
            raise InvalidDescription(f"{self.address}: its source has the digest {digest}, not {self.digest}.")
        return values | {"digest": digest}

    def create(self, api: Api, mark: Mark) -> str:
        host, _sep, name = self.repository.partition("/")
        login = _login(api)
        target = Registry(api.calls, host, name, api.user_agent, login)
        source = open_source(self.source, api, login if "." in host else None)
        manifest = source.manifest()
        _push(api, source, manifest, target)
        if given(self.tag):
            target.put_manifest(str(self.tag), manifest)
        return f"{self.repository}@{manifest.digest}"

    def update(self, api: Api, live: Live, change: Any) -> None:
        if change.fields.get("tag", (None, None))[1]:
            host, _sep, name = live.fields["repository"].partition("/")
            registry = Registry(api.calls, host, name, api.user_agent, _login(api))
            registry.put_manifest(change.fields["tag"][1], registry.manifest(live.fields["digest"]))

    @classmethod
    def delete(cls, api: Api, live: Live) -> None:
        name = live.fields["repository"].partition("/")[2]
        images = [{"imageDigest": live.fields["digest"]}]
        api.call("ecr", "BatchDeleteImage", repositoryName=name, imageIds=images, rules=_RULES, done=Category.ABSENT)

    def predict(self, mark: Mark) -> Mapping[str, Any]:
        digest = open_source(self.source).digest
        if isinstance(self.repository, Unknown):
            return {"digest": digest}
        reference = f"{self.repository}@{digest}"
        return {"id": reference, "reference": reference, "digest": digest}

    def problems(self) -> Iterable[str]:
        tag = given(self.tag)
        if isinstance(tag, str) and "capstan-ref(" not in tag and not re.fullmatch(r"[A-Za-z0-9_][\w.-]{0,127}", tag):
            yield f'tag is "{tag}"; letters, digits, _ . - are allowed, 128 at most.'


def _repository_address(image: Image) -> str:
    """The address of the repository that a description (its references not resolved yet) names."""
    return next((reference.address for reference in references_in(image.repository)), "")


def _repositories(api: Api, scope: Scope, images: list[Image]) -> dict[str, Live]:
    """The live repositories that `images` name, by address."""
    wanted = {_repository_address(image) for image in images}
    found: dict[str, Live] = {}
    if not wanted:
        return found
    described = {address: scope.described[address] for address in wanted if address in scope.described}
    for live in EcrRepository.read(api, replace(scope, wanted=described, names={})):
        owner = described[live.address].meta.owner if live.address in described else live.owner
        if live.address in wanted and live.owner == owner:
            found[live.address] = live
    for address, resource in described.items():
        if resource.meta.existing and (live_one := resource.find(api)) is not None:
            found[address] = live_one
    return found


def _images(api: Api, repository: Live, images: list[Image]) -> list[Live]:
    """Those of `images` that are in `repository`."""
    digests = {image.address: digest for image in images if (digest := _digest(image))}
    tags = {tag for image in images if isinstance(tag := given(image.tag), str)}
    ids = [{"imageDigest": digest} for digest in sorted(set(digests.values()))]
    ids += [{"imageTag": tag} for tag in sorted(tags)]
    there: set[str] = set()
    tagged: dict[str, str] = {}
    for start in range(0, len(ids), _IMAGES_A_CALL):
        answer = api.call(
            "ecr",
            "BatchGetImage",
            repositoryName=repository.outputs["name"],
            imageIds=ids[start : start + _IMAGES_A_CALL],
            rules=_RULES,
            done=Category.ABSENT,
        )
        for item in answer.get("images", ()):
            there.add(item["imageId"]["imageDigest"])
            if tag := item["imageId"].get("imageTag"):
                tagged[tag] = item["imageId"]["imageDigest"]
    present = [image for image in images if digests.get(image.address) in there]
    return [_live(image, repository, digests[image.address], tagged) for image in present]


def _digest(image: Image) -> str:
    """ "" where the source is not there (any more): then nothing says which image it was."""
    try:
        return open_source(image.source).digest
    except InvalidDescription:
        return ""


def _live(image: Image, repository: Live, digest: str, tagged: Mapping[str, str]) -> Live:
    uri, tag = repository.outputs["uri"], given(image.tag)
    reference = f"{uri}@{digest}"
    return Live(
        id=reference,
        address=image.address,
        owner=image.meta.owner,
        component=image.meta.component,
        fields={"repository": uri, "digest": digest, "tag": tag if tagged.get(tag) == digest else None},
        outputs={"reference": reference, "digest": digest},
        refs=frozenset({repository.id}),
    )


def _login(api: Api) -> Secret:
    answer = api.call("ecr", "GetAuthorizationToken")
    return Secret("Basic " + answer["authorizationData"][0]["authorizationToken"])


def _push(api: Api, source: Source, manifest: Manifest, target: Registry) -> None:
    """Everything that `manifest` needs, then `manifest` itself, so that no half image is ever there."""
    for descriptor in manifest.manifests:
        _push(api, source, source.manifest(descriptor), target)

    def send(descriptor: Mapping[str, Any]) -> None:
        digest, size = descriptor["digest"], descriptor["size"]
        if target.has_blob(digest):
            return
        with source.blob(digest) as file:
            target.upload(digest, lambda: read_in_parts(file), size)  # a fresh reader for every try

    blobs = {descriptor["digest"]: descriptor for descriptor in manifest.blobs}
    api.each(send, list(blobs.values()))
    target.put_manifest(manifest.digest, manifest)
