"""A model of the Hugging Face hub, by its id, or a local folder in the same format. Safetensors only."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.core.errors import FetchError, Interrupted, ModelError, did_you_mean, one_line
from tunesmith.model._folder import SINGLE, check_code, check_complete, folder_licence, folder_sha256, read_config, refuse_pickles
from tunesmith.model.source import Alias, Request, SourceInfo, alias_names, require_hub_id
from tunesmith.model.sources._packed import is_packed, unpacked

__all__ = ["Hub"]

_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, kw_only=True)
class Hub:
    """Model folders: on this machine, or fetched from the hub into its own cache (`HF_HOME`, `HF_TOKEN`, `HF_HUB_OFFLINE`, `HF_ENDPOINT`)."""

    rank = 90

    def knows(self, source: str) -> bool:
        """Anything may be a folder or a hub id: it is asked last."""
        return True

    def aliases(self) -> list[Alias]:
        """None: the hub has more names than can be listed."""
        return []

    def resolve(self, request: Request) -> SourceInfo:
        """Check a local folder, or fetch a hub model. Raises: ModelError, FetchError."""
        path = Path(request.source).expanduser()
        if path.is_dir():
            return _local(request, path)
        require_hub_id(request.source)
        return _fetched(request)


def _local(request: Request, folder: Path) -> SourceInfo:
    if request.revision and not request.trust_remote_code:
        raise ModelError(f"model.revision: {request.source} is a folder on this machine, which has no revisions. Leave it out.")
    check_complete(request.source, folder)
    has_code = check_code(request.source, read_config(folder), request.trust_remote_code)
    plain, notes = _plain(request.source, folder, has_code)
    return SourceInfo(
        name=request.source,
        kind="hub",
        folder=plain,
        sha256=folder_sha256(folder),
        licence=folder_licence(folder),
        origin=f"folder {folder.resolve()}",
        heads=_heads(folder),
        trust_remote_code=has_code,
        notes=notes,
    )


def _heads(folder: Path) -> Path | None:
    """Of a run that was merged or quantized into the folder."""
    file = folder / "heads.safetensors"
    return file if file.is_file() and file.with_name("heads.json").is_file() else None


def _plain(name: str, folder: Path, has_code: bool) -> tuple[Path, tuple[str, ...]]:
    """The folder to load, in which no weight is packed, and what to say of the model."""
    notes = ("runs Python code of the model's own",) if has_code else ()
    found = is_packed(read_config(folder))
    if found is None:
        return folder, notes
    form, layout = found
    return unpacked(name, folder, trust_remote_code=has_code), (*notes, f"made from {form} ({layout}) to float32")


def _fetched(request: Request) -> SourceInfo:
    name, revision = request.source, request.revision
    if request.trust_remote_code and not _COMMIT.fullmatch(revision or ""):
        raise ModelError(
            f"model.revision: {revision!r}: with trust_remote_code it must be a commit (40 hex digits) of {name}, so that the code stays what you read."
        )
    from huggingface_hub.utils.tqdm import disable_progress_bars, enable_progress_bars

    disable_progress_bars()
    try:
        folder, commit, licence = _download(name, revision, request.trust_remote_code)
    finally:
        enable_progress_bars()
    has_code = check_code(name, read_config(folder), request.trust_remote_code)
    check_complete(name, folder)
    plain, notes = _plain(name, folder, has_code)
    return SourceInfo(
        name=name,
        kind="hub",
        folder=plain,
        sha256=folder_sha256(folder),
        licence=licence or folder_licence(folder),
        revision=commit,
        origin=f"hub {name}@{commit[:12]}",
        trust_remote_code=has_code,
        notes=notes,
    )


def _download(name: str, revision: str | None, with_code: bool) -> tuple[Path, str, str | None]:
    """(folder, commit, licence) of a hub model; from the hub's cache where the hub cannot be reached."""
    from huggingface_hub import HfApi, snapshot_download

    try:
        info = HfApi().model_info(name, revision=revision, timeout=30)
    except Interrupted:
        raise
    except Exception as error:
        _refused(name, revision, error)
        try:
            folder = Path(snapshot_download(name, revision=revision, local_files_only=True))
        except Exception:
            raise _unreachable(name, error) from None
        return folder, folder.name, None
    files = [file.rfilename for file in info.siblings or []]
    if not any(file.endswith(".safetensors") and "/" not in file for file in files):
        refuse_pickles(name, files)
    wanted = [file for file in files if _is_wanted(file, files, with_code)]
    try:
        folder = Path(snapshot_download(name, revision=info.sha, allow_patterns=wanted))
    except Interrupted:
        raise
    except Exception as error:
        _refused(name, revision, error)
        raise _unreachable(name, error) from None
    return folder, str(info.sha), _stated_licence(info)


def _is_wanted(file: str, files: list[str], with_code: bool) -> bool:
    if file in ("1_Pooling/config.json", "README.md"):
        return True
    if "/" in file:  # other formats (onnx, openvino, original) lie in folders
        return with_code and file.endswith(".py")
    if file.endswith(".safetensors"):
        return file == SINGLE or (SINGLE not in files and re.fullmatch(r"model-\d+-of-\d+\.safetensors", file) is not None)
    return file.endswith((".json", ".txt", ".model", ".spm", ".jinja")) or (with_code and file.endswith(".py"))


def _stated_licence(info: Any) -> str | None:
    stated = getattr(info.card_data, "license", None) if info.card_data else None
    return ", ".join(stated) if isinstance(stated, list) else stated


def _refused(name: str, revision: str | None, error: Exception) -> None:
    """Raises: ModelError, where the hub answered, and the answer was no."""
    from huggingface_hub import errors

    if isinstance(error, errors.RevisionNotFoundError):
        raise ModelError(f"model.revision: {revision!r}: {name} has no such commit, tag or branch.") from None
    if isinstance(error, errors.GatedRepoError):
        raise ModelError(
            f"model.source: {name}: is gated. Ask for access on its page at the hub, then set HF_TOKEN to a token of that account."
        ) from None
    if isinstance(error, errors.RepositoryNotFoundError):
        raise ModelError(
            f"model.source: {name}: the hub has no such model, or it is private (then set HF_TOKEN).{did_you_mean(name, alias_names())}"
        ) from None
    if isinstance(error, errors.HFValidationError):
        raise ModelError(f"model.source: {name}: is no hub id (OWNER/NAME).{did_you_mean(name, alias_names())}") from None


def _unreachable(name: str, error: Exception) -> FetchError:
    from huggingface_hub import constants

    reason = one_line(error, 160)
    embedded = ", ".join(alias_names())
    return FetchError(
        f"model.source: {name}: is no alias and no folder here, and the hub {constants.ENDPOINT} cannot be reached ({reason}). "
        f"Check the network, the proxy and HF_ENDPOINT, give a folder that holds the model, or use one that needs no hub: {embedded}."
    )
