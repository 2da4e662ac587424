"""A folder that peft saved: an adapter, and the name of the model it belongs to."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

from tunesmith.core.errors import ModelError
from tunesmith.core.files import file_sha256, hash_of
from tunesmith.model.source import Alias, Request, SourceInfo, resolve

__all__ = ["Peft"]


@dataclass(frozen=True, kw_only=True)
class Peft:
    """`model: folder` with adapter_config.json and adapter_model.safetensors."""

    rank = 40

    def knows(self, source: str) -> bool:
        """A folder with an adapter_config.json."""
        return (Path(source).expanduser() / "adapter_config.json").is_file()

    def aliases(self) -> list[Alias]:
        """None."""
        return []

    def resolve(self, request: Request) -> SourceInfo:
        """The adapter and its base, which `revision` and `trust_remote_code` are about. Raises: ModelError, FetchError."""
        folder = Path(request.source).expanduser()
        config_file, weights = folder / "adapter_config.json", folder / "adapter_model.safetensors"
        try:
            config = json.loads(config_file.read_text(encoding="utf-8"))
            base_name, revision = config.get("base_model_name_or_path"), config.get("revision")
        except (OSError, ValueError, AttributeError) as error:
            raise ModelError(f"{config_file}: cannot be read ({error}). Save the adapter again.") from None
        if not weights.is_file():
            old = " (only adapter_model.bin, whose format can run code; load it with peft where you trust it and save it again)"
            raise ModelError(
                f"model.source: {folder}: adapter_model.safetensors is missing{old if (folder / 'adapter_model.bin').is_file() else ''}."
            )
        if not base_name:
            raise ModelError(
                f"{config_file}: base_model_name_or_path is empty, so its model is not known. Write the model's alias, hub id or folder there."
            )
        base = resolve(Request(str(base_name), request.revision or revision, request.trust_remote_code, request.progress))
        return replace(
            base,
            name=request.source,
            kind="peft",
            sha256=hash_of(base.sha256, file_sha256(weights), file_sha256(config_file)),
            origin=f"adapter {folder.resolve()}, on {base.origin}",
            adapters=(*base.adapters, folder),
            notes=(*base.notes, f"adapter on {base.name}"),
        )
