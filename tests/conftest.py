"""What every test starts from: one thread, so that the workers of xdist share the cores, and no telemetry."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported: the workers of xdist share the cores
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
