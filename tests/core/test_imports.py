"""peft imported without what it drags in, which can still be imported for itself."""

import importlib.util
import subprocess
import sys

import pytest

_PROGRAM = """
import sys
from tunesmith.core.imports import import_peft_alone
import_peft_alone()
from peft import LoraConfig, get_peft_model
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM
model = LlamaForCausalLM(LlamaConfig(hidden_size=32, intermediate_size=32, num_attention_heads=2, num_hidden_layers=1, vocab_size=20))
get_peft_model(model, LoraConfig(r=2))
assert "bitsandbytes" not in sys.modules
import bitsandbytes
assert bitsandbytes.functional
"""


@pytest.mark.skipif(importlib.util.find_spec("bitsandbytes") is None, reason="bitsandbytes is not here")
def test_peft_begins_without_bitsandbytes_which_comes_when_it_is_asked_for() -> None:
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
