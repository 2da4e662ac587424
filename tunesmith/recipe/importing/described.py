"""Data as LLaMA-Factory's `dataset_info.json` describes it.

Source: LLaMA-Factory, data/README.md.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunesmith.core.errors import RecipeError, did_you_mean
from tunesmith.recipe.importing.draft import Draft, local_path

__all__ = ["Described", "carry_format", "find_described", "source_of"]

_FILE = "dataset_info.json"
_ALPACA = {"instruction": "prompt", "input": "query", "output": "response", "system": "system", "history": "history"}
"""Role here -> key of `columns` there. Where that is not given, the column is called as the role is."""
_TAGS = {"role_tag": "from", "content_tag": "value", "user_tag": "human", "assistant_tag": "gpt", "system_tag": "system"}
_OPENAI = ("role", "content", "user", "assistant")
_PICTURES = ("images", "videos", "audios")
_READ = (
    "hf_hub_url",
    "ms_hub_url",
    "om_hub_url",
    "script_url",
    "cloud_file_name",
    "file_name",
    "formatting",
    "ranking",
    "subset",
    "split",
    "folder",
    "num_samples",
    "columns",
    "tags",
)


class Described:
    """One entry of `dataset_info.json`."""

    def __init__(self, name: str, entry: Mapping[str, Any], folder: Path, where: str) -> None:
        self.name, self.entry, self.folder, self.where = name, entry, folder, where
        self.columns: Mapping[str, Any] = self._mapping("columns")
        self.tags: Mapping[str, Any] = {**_TAGS, **self._mapping("tags")}

    def _mapping(self, key: str) -> Mapping[str, Any]:
        value = self.entry.get(key) or {}
        if not isinstance(value, Mapping):
            raise self.refusal(key, "expected keys and values")
        return value

    def refusal(self, key: str, text: str) -> RecipeError:
        """An error about a key of the entry."""
        return RecipeError(f"{self.where}: {self.name}.{key}: {text}.")


def find_described(draft: Draft, names: list[str], key: str) -> list[Described]:
    """The entries of the data sets that a file names. Raises: RecipeError, where there is no dataset_info.json, or not that entry."""
    given = draft.text("dataset_dir", "data") or "data"
    if given == "ONLINE":
        return [Described(name, {"hf_hub_url": name}, Path(), draft.where) for name in names]
    beside = Path(draft.where).parent
    folders = list(dict.fromkeys([Path(given), beside / given, beside]))
    file = next((folder / _FILE for folder in folders if (folder / _FILE).is_file()), None)
    if file is None:
        tried = ", ".join(f"{folder}/" for folder in folders)
        raise draft.refusal(
            key, f"the data is described in {_FILE}, which is in none of {tried}. Put it beside the file, or set dataset_dir to its folder."
        )
    try:
        entries = json.loads(file.read_text(encoding="utf-8-sig"))
    except json.JSONDecodeError as error:
        raise RecipeError(f"{file}:{error.lineno}: not valid JSON: {error.msg}.") from None
    except (OSError, UnicodeDecodeError, RecursionError) as error:
        raise RecipeError(f"{file}: cannot be read ({error}).") from None
    if not isinstance(entries, dict):
        raise RecipeError(f"{file}: expected an object of data sets by their names.")
    found = []
    for name in names:
        if name not in entries:
            raise draft.refusal(key, f'{file} describes no "{name}".{did_you_mean(name, entries)}')
        if not isinstance(entries[name], dict):
            raise RecipeError(f'{file}: {name}: expected an object such as {{"file_name": ...}}.')
        found.append(Described(name, entries[name], file.parent, str(file)))
    return found


def source_of(draft: Draft, one: Described) -> str:
    """Where the data of an entry is, as a recipe names it. Raises: RecipeError, where it cannot be read from there."""
    entry = one.entry
    if entry.get("hf_hub_url"):
        subset, split = entry.get("subset"), entry.get("split") or "train"
        if entry.get("folder"):
            draft.leave(
                f"{one.name}.folder",
                "a folder of a hub's data set is not picked out",
                "set data.train to the files in it",
                value=entry["folder"],
            )
        return str(entry["hf_hub_url"]) + (f"/{subset}" if subset else "") + (f":{split}" if split != "train" else "")
    for key, what in (
        ("ms_hub_url", "ModelScope's hub"),
        ("om_hub_url", "Modelers' hub"),
        ("cloud_file_name", "cloud storage"),
        ("script_url", "a loading script, which would run its code,"),
    ):
        if entry.get(key) and not (key != "script_url" and entry.get("file_name")):
            raise one.refusal(key, f"{what} is not read here. Download the rows, and give their file as file_name")
    if not isinstance(entry.get("file_name"), str):
        raise one.refusal("file_name", "missing. Name the file, or hf_hub_url")
    path = one.folder / entry["file_name"]
    if path.is_dir():
        endings = sorted({file.suffix for file in path.iterdir() if file.suffix in (".json", ".jsonl", ".csv", ".parquet", ".txt")})
        if len(endings) != 1:
            raise one.refusal(
                "file_name",
                f"the folder {path} holds files of {len(endings)} kinds ({', '.join(endings) or 'none that is read'}), expected one kind",
            )
        return f"{local_path(path)}/*{endings[0]}"
    return local_path(path)


def carry_format(draft: Draft, one: Described, *, is_text: bool) -> None:
    """How a row is read: `data.format` and `data.columns`."""
    if one.entry.get("ranking") or one.columns.get("kto_tag"):
        key = "ranking" if one.entry.get("ranking") else "columns.kto_tag"
        raise one.refusal(
            key,
            "recipes of preferences are not imported yet; what is: answers (stage: sft) and raw text (stage: pt). Name the file as data.train with objective=dpo",
        )
    for key in _PICTURES:
        if one.columns.get(key):
            draft.leave(
                f"{one.name}.columns.{key}", "only text is read", "train on the rows without, or leave these out", value=one.columns[key]
            )
    if one.columns.get("tools"):
        draft.leave(f"{one.name}.columns.tools", "tools are not read yet", "leave out rows that call tools", value=one.columns["tools"])
    formatting = one.entry.get("formatting") or "alpaca"
    if formatting not in ("alpaca", "sharegpt"):
        raise one.refusal("formatting", f"expected alpaca or sharegpt, found {formatting}")
    if is_text:
        column = str(one.columns.get("prompt") or "instruction")
        draft.put("data.format", "text")
        if column != "text":
            draft.put("data.columns", {"text": column}, "Raw text stands in columns.prompt there.")
    elif formatting == "alpaca":
        draft.put("data.format", "alpaca")
        columns = {role: str(one.columns[key]) for role, key in _ALPACA.items() if one.columns.get(key) and one.columns[key] != role}
        if columns:
            draft.put("data.columns", columns)
    else:
        _carry_conversations(draft, one)
    for key in one.entry:
        if key not in _READ:
            draft.leave(f"{one.name}.{key}", "not known here", "look up what it does there", value=one.entry[key])


def _carry_conversations(draft: Draft, one: Described) -> None:
    column, system = str(one.columns.get("messages") or "conversations"), one.columns.get("system")
    spelled = tuple(str(one.tags[tag]) for tag in ("role_tag", "content_tag", "user_tag", "assistant_tag"))
    if spelled == _OPENAI:
        draft.put("data.format", "messages")
        if column != "messages":
            draft.put("data.columns", {"messages": column})
        if system:
            draft.leave(
                f"{one.name}.columns.system",
                "the format messages has its system message among the messages",
                "put it first in each conversation, or set data.system for all",
                value=system,
            )
    elif spelled[:2] == ("from", "value") and spelled[2] in ("human", "user") and spelled[3] in ("gpt", "assistant"):
        draft.put("data.format", "sharegpt")
        columns = {
            role: name
            for role, name, usual in (("conversations", column, "conversations"), ("system", system, "system"))
            if name and name != usual
        }
        if columns:
            draft.put("data.columns", columns)
    else:
        draft.put("data.format", "messages")
        draft.put("data.columns", {"messages": column})
        draft.leave(
            f"{one.name}.tags",
            "messages are read as {role, content} of user and assistant, or as {from, value} of human and gpt",
            "rename the keys in the file, or data.train cannot be read",
            value=", ".join(spelled),
        )
