"""A network that Keras saved in an `.h5` file: read as data into a model folder in the cache, its last layer as a head."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tunesmith.core.errors import ModelError
from tunesmith.core.files import cache_folder, file_sha256, hash_of, staged_folder
from tunesmith.model.source import Alias, Request, SourceInfo
from tunesmith.model.sources._files import file_of

__all__ = ["Keras"]

_SUFFIXES = (".h5", ".hdf5", ".keras")
_VERSION = 2
"""Of what is made of a file: another one is made anew."""
_LEAST_COVERED = 0.5
"""Of an embedding's rows, the share that a list of words has to name."""


@dataclass(frozen=True, kw_only=True)
class Keras:
    """`model: folder/network.h5`, with `labels`, `words` and `padding_side`, which such a file does not say."""

    rank = 20

    def knows(self, source: str) -> bool:
        """A path that ends in .h5, .hdf5 or .keras."""
        return source.lower().endswith(_SUFFIXES)

    def aliases(self) -> list[Alias]:
        """None."""
        return []

    def resolve(self, request: Request) -> SourceInfo:
        """Read the file, where that was not done before. Raises: ModelError, in one line, for whatever does not fit."""
        file = file_of(request)
        labels, words, side = (request.beside.get(key) for key in ("labels", "words", "padding_side"))
        words_file = Path(str(words)).expanduser() if words else None
        if words_file is not None and not words_file.is_file():
            raise ModelError(f"model.words: {words}: no such file.")
        sha256 = hash_of(_VERSION, file_sha256(file), labels, None if words_file is None else file_sha256(words_file), side)
        folder = cache_folder("models") / f"{file.stem}-{sha256[:16]}"
        if not (folder / "model" / "config.json").is_file():
            with staged_folder(folder, replace=True) as staging:
                _convert(file, staging, labels, words_file, side)
        notes = (folder / "notes.txt").read_text(encoding="utf-8").splitlines()
        return SourceInfo(
            request.source, "keras", folder / "model", sha256, origin=f"file {file.resolve()}", heads=folder / "heads.safetensors",
            notes=tuple(notes),
        )  # fmt: skip


def _convert(file: Path, folder: Path, labels: Sequence[str] | None, words_file: Path | None, side: str | None) -> None:
    """Write `model/`, as transformers reads it, and the last layer as heads.safetensors and heads.json. Raises: ModelError."""
    import torch

    from tunesmith.model._keras import layer_state
    from tunesmith.model._quiet import quiet
    from tunesmith.model.heads import save_heads
    from tunesmith.model.networks.layered import LayeredConfig, LayeredModel
    from tunesmith.model.sources._keras_file import read_network
    from tunesmith.model.word_tokenizer import read_words, save_tokenizer_text, save_word_tokenizer

    network, where = read_network(file), f"model.source: {file}"
    notes = [f"read from a file of Keras {network.version}".rstrip()]
    model_folder = folder / "model"
    model_folder.mkdir(parents=True)
    settings: dict[str, Any] = {"num_columns": network.num_columns, "input_length": network.input_length}
    if network.num_columns:
        columns = network.facts.get("columns")
        settings["columns"] = columns if isinstance(columns, list) and len(columns) == network.num_columns else None
        if words_file is not None:
            raise ModelError(f"model.words: {file} reads rows of numbers, and no words. Leave it out.")
        save_word_tokenizer(None, model_folder)
    elif words_file is None and network.tokenizer is not None:
        save_tokenizer_text(network.tokenizer, model_folder, where)
        settings |= {key: network.facts[key] for key in ("padding_side", "drops_padding") if key in network.facts}
    elif words_file is None:
        raise ModelError(
            f"{where}: reads words by their numbers, and does not say which: name the list that it was trained with, model.words=FILE."
        )
    else:
        words, note = _covered(read_words(words_file), network.layers[0]["input_dim"], file, words_file)
        notes += [note] if note else []
        settings |= {"padding_side": "left" if words.pads_on_left else "right", "drops_padding": words.unknown is None}
        save_word_tokenizer(words, model_folder)
    if side:
        settings["padding_side"] = side
    try:
        config = LayeredConfig.of(network.layers, **settings)
    except ValueError as error:
        raise ModelError(f"{where}: {error}.") from None
    state, number = dict[str, torch.Tensor](), 0
    for spec, arrays in zip(network.layers, network.arrays, strict=True):
        prefix = "embedding" if spec["class"] == "Embedding" else f"layers.{number}"
        state |= {f"{prefix}.{name}": tensor for name, tensor in layer_state(spec, arrays).items()} if arrays else {}
        number += bool(arrays) and prefix != "embedding"
    with torch.random.fork_rng(devices=[]), quiet():
        model = LayeredModel(config)
        model.load_state_dict(state)
        model.save_pretrained(str(model_folder))
        head = _head(network, config.hidden_size, where)
    save_heads({head.name: head}, _labels(network, labels, head.num_outputs, where), folder / "heads.safetensors", folder / "heads.json")
    (folder / "notes.txt").write_text("\n".join(notes) + "\n", encoding="utf-8")


def _head(network: Any, width: int, where: str) -> Any:
    """The last layer. One output that is a probability is that of the second of two classes."""
    import torch

    from tunesmith.model._keras import layer_state
    from tunesmith.model.heads import Head

    state, said_by = layer_state(network.head, network.head_arrays), network.said_by
    weight, bias = state["linear.weight"], state.get("linear.bias")
    bias = torch.zeros(len(weight)) if bias is None else bias
    if said_by == "sigmoid" and len(weight) == 1:
        weight, bias, name = torch.cat([torch.zeros_like(weight), weight]), torch.cat([torch.zeros_like(bias), bias]), "label"
    elif said_by == "linear" and len(weight) == 1:
        name = "number"
    elif said_by in ("softmax", "linear", "sigmoid"):
        name = "labels" if said_by == "sigmoid" else "label"
    else:
        raise ModelError(f"{where}: its last layer ends with {said_by}; softmax, sigmoid and linear ones are read.")
    if name == "label" and len(weight) < 2:
        raise ModelError(f"{where}: its last layer names one class alone, which says nothing.")
    head = Head(name, width, len(weight), pooling="first")
    head.layers.load_state_dict({"0.weight": weight, "0.bias": bias})
    return head


def _labels(network: Any, given: Sequence[str] | None, num_outputs: int, where: str) -> list[str]:
    if network.said_by == "linear" and num_outputs == 1:
        return []
    known = network.facts.get("labels")
    own = known if isinstance(known, list) and len(known) == num_outputs else [str(number) for number in range(num_outputs)]
    if given is None:
        return list(map(str, own))
    if len(given) != num_outputs:
        raise ModelError(
            f"{where}: names {num_outputs} classes, and model.labels has {len(given)} ({', '.join(given)}). Give one for each, in its order."
        )
    return list(given)


def _covered(words: Any, rows: int, file: Path, words_file: Path) -> tuple[Any, str]:
    """The words whose numbers the embedding has, and what is to be said of the others. Raises: ModelError, where most rows have no word, or one has two."""
    kept = {word: number for word, number in words.words.items() if number < rows}
    taken = dict[int, str]()
    for word, number in kept.items():
        if number in taken:
            raise ModelError(
                f"model.words: {words_file}: {taken[number]!r} and {word!r} are both {number}. Give each word a number of its own."
            )
        taken[number] = word
    if words.unknown is not None and words.unknown >= rows:
        raise ModelError(f"model.words: {words_file}: unknown words are {words.unknown}, and the embedding of {file} has {rows:,} rows.")
    share = len(kept) / max(rows - 1 - (words.unknown is not None), 1)
    if share < _LEAST_COVERED:
        raise ModelError(
            f"model.words: {words_file}: has words for {len(kept):,} of the {rows:,} rows of the embedding of {file}. Name the list that the network was trained with."
        )
    left = len(words.words) - len(kept)
    note = f"{left:,} of {len(words.words):,} words are beyond the {rows:,} rows of its embedding, and unknown to it" if left else ""
    return replace(words, words=kept), note
