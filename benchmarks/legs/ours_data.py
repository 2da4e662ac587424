"""tunesmith: one process with the tokenizer's own threads, a second one for the chat template. Scores the answers too, which the peer does not."""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from transformers import AutoTokenizer

from benchmarks.conversations import BLOCK_TOKENS, SAMPLE_EVERY, Prepared, text_hashes
from benchmarks.legs._memory import peak_memory_bytes
from tunesmith import __version__
from tunesmith.core import registry
from tunesmith.core.types import Example, ModelFacts, Origin
from tunesmith.data import TextEncoder, encode, iter_rows
from tunesmith.data._sandbox import sandbox
from tunesmith.engine.packing import pack

FACTS = ModelFacts(
    name="model", architecture="", model_type="", is_causal=True, is_encoder_decoder=False, has_lm_head=True, hidden_size=1, num_layers=1, vocab_size=1,
    max_length=8192, first_position=0, has_token_types=False, pad_token_id=0, decoder_start_token_id=None, num_parameters=1, parts={},
)  # fmt: skip


def _examples(path: Path) -> Iterator[Example]:
    form = registry.create("format", "messages")
    for row, record in iter_rows(path):
        yield form.parse(record, Origin(path.name, row), {"messages": "messages"})


def leg(file: Path, model: str, folder: Path) -> Prepared:
    """From the file to packs of tokens on the disk."""
    encoder = TextEncoder(AutoTokenizer.from_pretrained(model), FACTS)
    sft = registry.create("objective", "sft")
    started = time.perf_counter()
    rows = encode(_examples(file), sft, encoder, file=folder / "rows").rows
    packs = pack(rows.num_tokens().tolist(), BLOCK_TOKENS)
    num_tokens = 0
    with (folder / "packs").open("wb") as out:
        for group in packs:
            tokens = np.concatenate([rows.tokens(index) for index in group])
            num_tokens += len(tokens)
            out.write(tokens.tobytes())
    seconds = time.perf_counter() - started
    worker = sandbox().process_id
    memory = peak_memory_bytes() + (peak_memory_bytes(worker) if worker else 0)
    texts = text_hashes(encoder.spell(rows.tokens(index).tolist()) for index in range(0, len(rows), SAMPLE_EVERY))
    return Prepared(seconds, len(rows), num_tokens, len(packs), memory, texts, __version__)


if __name__ == "__main__":
    own = Path(sys.argv[2])
    leg(Path(sys.argv[1]), json.loads(sys.argv[3]), own).write(own)
