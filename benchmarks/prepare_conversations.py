"""Write what the legs of `data` read: short conversations made of the embedded `small-talk`, the same for everybody."""

import json
import random
import sys
from pathlib import Path

import torch

from tunesmith.app.machine import machine_facts, versions
from tunesmith.core.types import Completion
from tunesmith.data import read
from tunesmith.model.source import Request, resolve

__all__ = ["MODEL", "write", "write_conversations"]

MODEL = "smollm2-135m-instruct"


def write_conversations(path: Path, count: int, pairs: list[tuple[str, str]]) -> None:
    """`count` lines of {"messages": [...]}: a question and its answer, in every fourth two of them, drawn with the number of the line as seed."""
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            draw = random.Random(number)
            turns = []
            for asked, said in draw.sample(pairs, 2 if number % 4 == 0 else 1):
                words = said.split()
                answer = said if len(words) < 3 else " ".join([*words, *draw.sample(words, min(len(words), draw.randint(0, 12)))])
                turns += [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]
            file.write(json.dumps({"messages": turns}, ensure_ascii=False) + "\n")


def write(folder: Path, num_rows: int) -> None:
    """Write conversations.jsonl, and facts.json beside it, with where the tokenizer lies."""
    folder.mkdir(parents=True, exist_ok=True)
    pairs = [(one.source, one.target) for one in read("small-talk").examples if isinstance(one, Completion)]
    write_conversations(folder / "conversations.jsonl", num_rows, pairs)
    model = resolve(Request(MODEL))
    workload = {"model": MODEL, "model_sha256": model.sha256, "data": "small-talk", "num_rows": num_rows}
    machine = {**machine_facts(torch.device("cpu")), "versions": versions()}
    facts = {"machine": machine, "workload": workload, "model": str(model.folder)}
    (folder / "facts.json").write_text(json.dumps(facts), encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]), int(sys.argv[2]))
