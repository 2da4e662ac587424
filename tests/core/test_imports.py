"""Packages imported without what they drag in, which can still be imported for itself."""

import importlib.util
import subprocess
import sys

import pytest

_PROGRAM = """
import sys
from tunesmith.core.imports import import_alone
import_alone()
from peft import LoraConfig, get_peft_model
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM
model = LlamaForCausalLM(LlamaConfig(hidden_size=32, intermediate_size=32, num_attention_heads=2, num_hidden_layers=1, vocab_size=20))
get_peft_model(model, LoraConfig(r=2))
assert "bitsandbytes" not in sys.modules
assert "scipy.optimize" not in sys.modules
import bitsandbytes
assert bitsandbytes.functional
from transformers.utils import is_scipy_available
assert is_scipy_available()
from scipy.optimize import linear_sum_assignment
"""


@pytest.mark.skipif(importlib.util.find_spec("bitsandbytes") is None, reason="bitsandbytes is not here")
def test_packages_begin_without_what_nobody_asked_for_which_comes_when_it_is_asked_for() -> None:
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
