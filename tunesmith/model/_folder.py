"""What can be said of a model folder by looking at its files, before anything of it is loaded."""

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

from tunesmith.core.errors import ModelError
from tunesmith.core.files import cache_folder, file_sha256, hash_of, write_json

__all__ = ["SINGLE", "check_code", "check_complete", "folder_licence", "folder_sha256", "read_config", "refuse_pickles", "weights_sha256"]

SINGLE, _INDEX = "model.safetensors", "model.safetensors.index.json"
_PICKLES = re.compile(r"(pytorch_model.*\.bin|.*\.(pt|pth|ckpt)|tf_model\.h5|flax_model\.msgpack)(\.index\.json)?")
_TOKENIZERS = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
    "sentencepiece.model",
    "source.spm",
)


def read_config(folder: Path) -> dict[str, Any]:
    """config.json of a model folder. Raises: ModelError, where it is missing or broken."""
    file = folder / "config.json"
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(
            f"{folder}: is no model folder: config.json is missing. Save one with `save_pretrained`, or name an alias or a hub id."
        ) from None
    except (ValueError, OSError) as error:
        raise ModelError(f"{file}: cannot be read ({error}). Save the model again.") from None
    if not isinstance(config, dict):
        raise ModelError(f"{file}: is {type(config).__name__}, not the settings of a model. Save the model again.")
    return config


def refuse_pickles(name: str, files: list[str]) -> None:
    """Raises: ModelError, where `files` have weights, but none as safetensors."""
    found = sorted(file for file in files if _PICKLES.fullmatch(file))
    if found:
        raise ModelError(
            f"model.source: {name}: has its weights only as {found[0]}, a format that can run code or that is not read here; safetensors is wanted. "
            "Name a revision with safetensors (on the hub often refs/pr/1), or convert it on a machine that you trust it with: "
            "load it with transformers and `save_pretrained(folder)`."
        )


def check_complete(name: str, folder: Path) -> None:
    """Raises: ModelError, saying what a local model folder lacks."""
    read_config(folder)
    files = [path.name for path in folder.iterdir()]
    missing: list[str] = []
    if SINGLE not in files and _INDEX not in files:
        refuse_pickles(name, files)
        missing.append(SINGLE)
    elif SINGLE not in files:
        try:
            shards = set(json.loads((folder / _INDEX).read_text(encoding="utf-8"))["weight_map"].values())
        except (ValueError, KeyError, AttributeError) as error:
            raise ModelError(f"{folder / _INDEX}: cannot be read ({error}). Copy the folder again.") from None
        missing += sorted(shards - set(files))
    if not any(file in _TOKENIZERS for file in files):
        missing.append("tokenizer.json")
    if missing:
        raise ModelError(
            f"model.source: {folder}: the folder is incomplete: {', '.join(missing)} missing. Copy or download the whole folder again."
        )


def check_code(name: str, config: dict[str, Any], trust: bool) -> bool:
    """Whether the model runs Python files of its own.

    Raises: ModelError, where it does and `trust` is false.
    """
    from transformers import CONFIG_MAPPING, __version__

    from tunesmith.model.networks import register

    register()
    model_type = str(config.get("model_type", ""))
    if model_type in CONFIG_MAPPING:
        return False
    if not config.get("auto_map"):
        described = f'model_type "{model_type}"' if model_type else "no model_type"
        raise ModelError(
            f"model.source: {name}: its config.json has {described}, which transformers {__version__} does not know. Use a newer transformers, or another model."
        )
    if not trust:
        raise ModelError(
            f"model.source: {name}: needs Python files of its own, which would run on this machine with your rights. "
            "Read them; then set model.trust_remote_code: true and model.revision to the commit (40 hex digits) that you read."
        )
    return True


def folder_sha256(folder: Path) -> str:
    """Hash of a model folder's config, weights, tokenizer and code. A file is hashed again only where its size or time has changed."""
    suffixes = (".safetensors", ".json", ".txt", ".model", ".jinja", ".py")
    return hash_of(_hashes(path for path in sorted(folder.iterdir()) if path.suffix in suffixes and path.is_file()))


def weights_sha256(folder: Path, adapters: Sequence[Path] = ()) -> str:
    """Hash of a model's weights alone, with those of the adapters that are folded into it: the same wherever the folder lies and whatever it is called."""
    folders = (folder, *adapters)
    return hash_of(*([sha for _, sha in sorted(_hashes(one.glob("*.safetensors")).items())] for one in folders))


def _hashes(paths: Iterable[Path]) -> dict[str, str]:
    """Name -> SHA-256."""
    record = cache_folder("hashes") / "models.json"
    try:
        known: dict[str, str] = json.loads(record.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        known = {}
    found, is_new = dict[str, str](), False
    for path in paths:
        target = path.resolve()
        if re.fullmatch(r"[0-9a-f]{64}", target.name):  # the hub's cache names large files by their hash
            found[path.name] = target.name
            continue
        stat = target.stat()
        key = f"{target}:{stat.st_size}:{stat.st_mtime_ns}"
        if key not in known:
            known[key], is_new = file_sha256(target), True
        found[path.name] = known[key]
    if is_new:
        write_json(record, known)
    return found


def folder_licence(folder: Path) -> str | None:
    """The licence that a model card (README.md) states at its head."""
    try:
        card = (folder / "README.md").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    front = re.match(r"---\s*\n(.*?)\n---", card, re.DOTALL)
    try:
        stated = yaml.safe_load(front[1]).get("license") if front else None
    except (yaml.YAMLError, AttributeError):
        return None
    return ", ".join(stated) if isinstance(stated, list) else str(stated) if stated else None
