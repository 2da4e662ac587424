"""Models behind endpoints: they can be asked, and nothing of them is on this machine."""

from dataclasses import dataclass

from tunesmith.core.addresses import is_endpoint
from tunesmith.core.errors import ModelError
from tunesmith.model.source import Alias, Request, SourceInfo

__all__ = ["EndpointSource"]


@dataclass(frozen=True, kw_only=True)
class EndpointSource:
    """`openai:NAME@URL`, where weights are needed."""

    rank = 0

    def knows(self, source: str) -> bool:
        """By its prefix."""
        return is_endpoint(source)

    def resolve(self, request: Request) -> SourceInfo:
        """Raises: ModelError, always."""
        raise ModelError(
            f"{request.source}: is behind an endpoint: its weights are not here, and this needs them. Name a model of this machine; a model behind an "
            "endpoint can be asked by tune, compare and predict with method=none, and by ask --endpoint (docs/endpoints.md)."
        )

    def aliases(self) -> list[Alias]:
        """None."""
        return []
