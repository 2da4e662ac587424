"""Sentences in lines of a word and its tags, as the shared tasks of CoNLL publish them."""

from collections.abc import Iterable, Iterator

from tunesmith.core.errors import DataError
from tunesmith.data.table import Record

__all__ = ["sentences"]

_DOCUMENT = "-DOCSTART-"


def sentences(lines: Iterable[str], name: str) -> Iterator[tuple[int, Record]]:
    """(line, {"words", "tags"}) of each sentence: sentences are parted by empty lines, a line's first column is the word, its last the tag.

    Lines that begin with `# `, and those that begin a document (`-DOCSTART-`), are passed over.
    Raises: DataError, naming the line, where a word has no tag.
    Source: Tjong Kim Sang, De Meulder (2003), "Introduction to the CoNLL-2003 Shared Task", https://aclanthology.org/W03-0419, section 2.
    """
    begin, words, tags = 0, list[str](), list[str]()
    for number, line in enumerate(lines, start=1):
        fields = line.split("\t") if "\t" in line else line.split()
        fields = [field.strip() for field in fields]
        if not any(fields) or fields[0] == _DOCUMENT:
            if words:
                yield begin, {"words": words, "tags": tags}
                begin, words, tags = 0, [], []
            continue
        if line.startswith("# "):
            continue
        if len(fields) < 2 or not fields[0] or not fields[-1]:
            raise DataError(f"{name}:{number}: expected a word and its tag, parted by a space or a tab; found {line.strip()!r}.")
        begin = begin or number
        words.append(fields[0])
        tags.append(fields[-1])
    if words:
        yield begin, {"words": words, "tags": tags}
