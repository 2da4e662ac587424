"""A GGUF file on this machine: dequantized once into a model folder in the cache."""

from dataclasses import dataclass

from tunesmith.core.files import cache_folder, file_sha256
from tunesmith.model.source import Alias, Request, SourceInfo
from tunesmith.model.sources._files import file_of
from tunesmith.model.sources._gguf import convert

__all__ = ["Gguf"]


@dataclass(frozen=True, kw_only=True)
class Gguf:
    """`model: folder/file.gguf`."""

    rank = 20

    def knows(self, source: str) -> bool:
        """A path that ends in .gguf."""
        return source.lower().endswith(".gguf")

    def aliases(self) -> list[Alias]:
        """None."""
        return []

    def resolve(self, request: Request) -> SourceInfo:
        """Convert the file, where that was not done before. Raises: ModelError."""
        file = file_of(request)
        sha256 = file_sha256(file)
        folder = cache_folder("models") / f"{file.stem}-{sha256[:8]}"
        licence = convert(file, folder)
        return SourceInfo(
            request.source, "gguf", folder, sha256, licence, origin=f"file {file.resolve()}", notes=("dequantized from GGUF to float32",)
        )
