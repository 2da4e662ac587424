"""What every test starts from: one thread, so that the workers of xdist share the cores, no telemetry, and a small heap to search."""

import gc
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported: the workers of xdist share the cores
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")


def pytest_collection_finish() -> None:
    """What was imported and collected stays to the end: no search for garbage looks at it, and a comparison makes one after every arm."""
    gc.collect()
    gc.freeze()
