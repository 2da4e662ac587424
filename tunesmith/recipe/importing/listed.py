"""Data sets as axolotl lists them: `datasets: [{path: ..., type: ...}]`.

Source: axolotl, the documentation of its dataset formats.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.recipe.importing.draft import Draft, local_path

__all__ = ["Listed", "carry_format", "source_of"]

_ALPACA = {"instruction": "instruction", "input": "input", "output": "output"}
_TYPES: dict[str, tuple[str, dict[str, str]]] = {
    "alpaca": ("alpaca", _ALPACA),
    "alpaca_chat": ("alpaca", {**_ALPACA, "output": "response"}),
    "gpteacher": ("alpaca", {**_ALPACA, "output": "response"}),
    "alpaca_w_system.load_open_orca": ("alpaca", {"instruction": "question", "output": "response", "system": "system_prompt"}),
    "alpaca_chat.load_qa": ("pairs", {"source": "question", "target": "answer"}),
    "jeopardy": ("pairs", {"source": "question", "target": "answer"}),
    "oasst": ("pairs", {"source": "INSTRUCTION", "target": "RESPONSE"}),
    "summarizetldr": ("pairs", {"source": "article", "target": "summary"}),
    "metharme": ("pairs", {"source": "prompt", "target": "generation"}),
    "alpaca_chat.load_camel_ai": ("pairs", {"source": "message_1", "target": "message_2"}),
    "sharegpt": ("sharegpt", {"conversations": "conversations"}),
    "input_output": ("segments", {}),
}
"""type -> the format here, and role -> column."""
_USUAL_ROLES = {"user": {"human", "user"}, "assistant": {"gpt", "assistant", "model"}, "system": {"system"}, "tool": {"tool"}}
_READ = ("path", "type", "name", "split", "data_files", "ds_type")
_CONVERSATION = (
    "field_messages",
    "message_property_mappings",
    "message_field_role",
    "message_field_content",
    "field_system",
    "roles",
    "roles_to_train",
)
_FIELDS: dict[str, tuple[str, str]] = {
    "conversation": ("conversations are written in the tokenizer's own chat template", ""),
    "chat_template": ("conversations are written in the tokenizer's own chat template", ""),
    "revision": ("a data set of the hub is read as it is now", "download the files of that revision, and name them"),
    "train_on_eos": ("the end of each learned turn is learned", ""),
    "train_on_eot": ("the end of each learned turn is learned", ""),
    "shards": ("the whole set is read", "set data.limit.train"),
    "trust_remote_code": ("code that comes with data never runs", "use a version of it in parquet, or a file"),
    "message_field_training": (
        "what is learned of a conversation is said otherwise",
        'give messages that are only read `"weight": 0` in the format messages',
    ),
    "message_field_training_detail": (
        "a turn is learned whole, or not",
        'give messages that are only read `"weight": 0` in the format messages',
    ),
}


@dataclass(frozen=True, slots=True)
class Listed:
    """One entry of a list of data sets."""

    key: str
    place: int
    entry: Mapping[str, Any]

    @property
    def name(self) -> str:
        """How a message names it."""
        return f"{self.key}[{self.place}]"


def source_of(draft: Draft, one: Listed) -> str:
    """Where the data is, as a recipe names it. Raises: RecipeError, where it cannot be read from there."""
    path, files = str(one.entry["path"]), one.entry.get("data_files")
    chosen = files if isinstance(files, list) else [files] if files else []
    if chosen:
        path = str(chosen[0])
        if len(chosen) > 1:
            draft.leave(
                f"{one.name}.data_files",
                f"of {len(chosen)} files the first is carried over",
                "name them by a pattern, such as data/*.jsonl",
                value=", ".join(map(str, chosen[1:])),
            )
    if "://" in path:
        raise draft.refusal(
            f"{one.key}.path",
            f"{path}: a file at an address is read by its hash. Download it and name the file, or write data.train: {{url: ..., sha256: ...}}.",
        )
    for local in (Path(path).expanduser(), Path(draft.where).parent / path):
        if local.is_dir():
            endings = sorted({file.suffix for file in local.iterdir() if file.suffix in (".json", ".jsonl", ".csv", ".parquet", ".txt")})
            return f"{local_path(local)}/*{endings[0]}" if len(endings) == 1 else local_path(local)
        if local.is_file():
            return local_path(local)
    if chosen or path.startswith((".", "/", "~")) or Path(path).suffix in (".json", ".jsonl", ".csv", ".parquet", ".txt"):
        return path  # a file that is not here now
    config, split = one.entry.get("name"), one.entry.get("split") or "train"
    return path + (f"/{config}" if config else "") + (f":{split}" if split != "train" else "")


def carry_format(draft: Draft, one: Listed) -> None:
    """How a row is read: `data.format` and `data.columns`."""
    kind = one.entry.get("type")
    read = set(_READ)
    if isinstance(kind, Mapping):
        _carry_own_prompt(draft, one, kind)
    elif kind is None:
        draft.put("data.format", "pretokenized", "No type there: rows that are tokens already.")
    elif str(kind) == "chat_template":
        read |= _carry_conversations(draft, one)
    elif str(kind) in ("completion", "pretrain"):
        column = str(one.entry.get("field") or one.entry.get("text_column") or "text")
        read |= {"field", "text_column"}
        draft.put("data.format", "text")
        if column != "text":
            draft.put("data.columns", {"text": column})
    else:
        _carry_type(draft, one, str(kind))
    for key, value in one.entry.items():
        if key in read or value is None or value is False:
            continue
        reason, cure = _FIELDS.get(key, ("not known here, or without a counterpart", "look up what it does there"))
        draft.leave(f"{one.name}.{key}", reason, cure, value=value)


def _carry_type(draft: Draft, one: Listed, kind: str) -> None:
    known = _TYPES.get(kind) or _TYPES.get(kind.partition(":")[0])
    if known is None:
        draft.leave(
            f"{one.name}.type", "this form of rows is not known here", "set data.format and data.columns: see docs/data.md", value=kind
        )
        return
    form, roles = known
    why = (
        f"{kind} there writes prompts of its own around the columns; here the tokenizer's chat template does."
        if form in ("alpaca", "pairs")
        else ""
    )
    draft.put("data.format", form, why)
    columns = {role: column for role, column in roles.items() if role != column}
    if columns:
        draft.put("data.columns", columns)


def _carry_own_prompt(draft: Draft, one: Listed, kind: Mapping[str, Any]) -> None:
    """A type with columns and a prompt of its own."""
    draft.put("data.format", "alpaca")
    roles = {"instruction": "field_instruction", "input": "field_input", "output": "field_output", "system": "field_system"}
    columns = {role: str(kind[key]) for role, key in roles.items() if kind.get(key) and kind[key] != role}
    if columns:
        draft.put("data.columns", columns)
    if kind.get("system_prompt"):
        draft.put("data.system", str(kind["system_prompt"]))
    for key, value in kind.items():
        if key in roles.values() or key == "system_prompt" or not value:
            continue
        prompt = key in ("format", "no_input_format", "system_format")
        reason = "the tokenizer's own chat template writes the turns" if prompt else "not known here, or without a counterpart"
        draft.leave(
            f"{one.name}.type.{key}",
            reason,
            "compare with `tunesmith data preview FILE`" if prompt else "look up what it does there",
            value=value,
        )


def _carry_conversations(draft: Draft, one: Listed) -> set[str]:
    """Conversations as the tokenizer's chat template takes them. Returns: the keys that were read."""
    entry = one.entry
    column = str(entry.get("field_messages") or "messages")
    mapped = entry.get("message_property_mappings")
    mapped = mapped if isinstance(mapped, Mapping) else {}
    role = str(mapped.get("role") or entry.get("message_field_role") or "role")
    content = str(mapped.get("content") or entry.get("message_field_content") or "content")
    if (role, content) == ("from", "value"):
        draft.put("data.format", "sharegpt")
        if column != "conversations":
            draft.put("data.columns", {"conversations": column})
        if entry.get("field_system") not in (None, "system"):
            draft.put("data.columns.system", str(entry["field_system"]))
    else:
        draft.put("data.format", "messages")
        if column != "messages":
            draft.put("data.columns", {"messages": column})
        if entry.get("field_system"):
            draft.leave(
                f"{one.name}.field_system",
                "the format messages has its system message among the messages",
                "put it first in each conversation, or set data.system for all",
                value=entry["field_system"],
            )
    if (role, content) not in (("from", "value"), ("role", "content")):
        draft.leave(
            f"{one.name}.message_property_mappings",
            "messages are read as {role, content}, or as {from, value}",
            "rename the keys in the file",
            value=f"{role}, {content}",
        )
    _leave_roles(draft, one)
    return set(_CONVERSATION)


def _leave_roles(draft: Draft, one: Listed) -> None:
    """Roles that are called otherwise, or others than the assistant's that are learned."""
    roles, strange = one.entry.get("roles"), list[str]()
    for target, names in roles.items() if isinstance(roles, Mapping) else ():
        given = names if isinstance(names, list) else [names]
        strange += [str(name) for name in given if name is not None and str(name) not in _USUAL_ROLES.get(str(target), set())]
    if strange:
        reason, cure = "roles are user, human, assistant, gpt and system", "rename them in the file"
        draft.leave(f"{one.name}.roles", reason, cure, value=", ".join(strange))
    trained = one.entry.get("roles_to_train")
    trained = [trained] if isinstance(trained, str) else trained
    if isinstance(trained, list) and trained not in (["assistant"], ["gpt"]):
        reason, cure = "the assistant's turns are learned, all of them", "leave it out there too when you compare"
        draft.leave(f"{one.name}.roles_to_train", reason, cure, value=", ".join(map(str, trained)) or "none")
