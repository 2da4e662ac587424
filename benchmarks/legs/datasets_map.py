"""`datasets.map(batched=True, num_proc=2)`: the chat template as transformers applies it, then blocks, as its examples make them.

Source: https://github.com/huggingface/transformers, examples/pytorch/language-modeling/run_clm.py, for the blocks.
"""

import importlib
import json
import sys
import time
from itertools import chain
from pathlib import Path
from typing import Any

from benchmarks.conversations import BLOCK_TOKENS, SAMPLE_EVERY, Prepared, text_hashes
from benchmarks.legs._memory import peak_memory_bytes

NUM_PROCESSES = 2


def leg(file: Path, model: str, folder: Path) -> Prepared:
    """From the file to blocks of tokens on the disk."""
    datasets: Any = importlib.import_module("datasets")
    transformers: Any = importlib.import_module("transformers")
    datasets.disable_progress_bars()
    tokenizer = transformers.AutoTokenizer.from_pretrained(model)
    memory = list[int]()

    def encoded(batch: dict[str, Any]) -> dict[str, Any]:
        found = tokenizer.apply_chat_template(batch["messages"], tokenize=True, return_dict=False)
        (folder / f"memory-{_process()}").write_text(str(peak_memory_bytes()), encoding="utf-8")
        return {"input_ids": found}

    def blocks(batch: dict[str, Any]) -> dict[str, Any]:
        tokens = list(chain.from_iterable(batch["input_ids"]))
        return {"input_ids": [tokens[at : at + BLOCK_TOKENS] for at in range(0, len(tokens), BLOCK_TOKENS)]}

    started = time.perf_counter()
    loaded = datasets.load_dataset("json", data_files=str(file), split="train", cache_dir=str(folder / "cache"))
    rows = loaded.map(encoded, batched=True, num_proc=NUM_PROCESSES, remove_columns=loaded.column_names)
    packed = rows.map(blocks, batched=True, num_proc=NUM_PROCESSES)
    seconds = time.perf_counter() - started
    memory = [peak_memory_bytes(), *(int(one.read_text(encoding="utf-8")) for one in folder.glob("memory-*"))]
    num_tokens = sum(map(len, rows["input_ids"]))
    texts = text_hashes(tokenizer.decode(rows[index]["input_ids"]) for index in range(0, len(rows), SAMPLE_EVERY))
    version = f"datasets {datasets.__version__}, transformers {transformers.__version__}"
    return Prepared(seconds, len(rows), num_tokens, len(packed), sum(memory), texts, version)


def _process() -> int:
    import os

    return os.getpid()


if __name__ == "__main__":
    own = Path(sys.argv[2])
    leg(Path(sys.argv[1]), json.loads(sys.argv[3]), own).write(own)
