"""What is stored of one person, for that person."""

from __future__ import annotations

from backend.entities import Origin, UserExport
from backend.errors import NotFound
from backend.observability.tracing import about_user, traced
from backend.repository.exports import ExportRepository
from backend.service.audit import AuditService


class ExportService:
    """Methods raise DatabaseUnavailable."""

    def __init__(self, repository: ExportRepository, audit: AuditService) -> None:
        self._repository = repository
        self._audit = audit

    @traced("ExportService.export")
    def export(self, user_id: int, origin: Origin) -> UserExport:
        """Everything. Raises NotFound."""
        about_user(user_id)
        found = self._repository.export(user_id)
        if found is None:
            raise NotFound(f"There is no user {user_id}.")
        self._audit.user_exported(origin, user_id)
        return found
