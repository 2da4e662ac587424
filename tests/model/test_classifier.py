"""Published classifiers, against plain transformers."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification, BertModel, LlamaConfig, LlamaForSequenceClassification

from tests.model.tiny import save, tokenizer
from tunesmith.core.errors import ModelError
from tunesmith.model.classifier import load_classifier

_SIZE = {"vocab_size": 32, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
_LABELS = {"id2label": {0: "clean", 1: "toxic", 2: "threat"}, "label2id": {"clean": 0, "toxic": 1, "threat": 2}}
_TEXTS = ["the cat sat on a mat", "bad dog", "good film " * 40]
_CPU = torch.device("cpu")


def _encoder(**more: Any) -> BertForSequenceClassification:
    torch.manual_seed(1)
    model = BertForSequenceClassification(BertConfig(**_SIZE, **_LABELS, max_position_embeddings=24, **more))
    torch.nn.init.normal_(model.classifier.weight, std=2.0)
    return model.eval()


@pytest.mark.parametrize("problem", ["single_label_classification", "multi_label_classification"])
def test_probabilities_are_those_of_transformers(tmp_path: Path, problem: str) -> None:
    model = _encoder(problem_type=problem)
    found = load_classifier(str(save(model, tmp_path / "model")), _CPU)
    assert found.labels == ("clean", "toxic", "threat")
    for text, said in zip(_TEXTS, found.probabilities(_TEXTS), strict=True):
        tokens = tokenizer()(text, return_tensors="pt", truncation=True, max_length=24)
        logits = model(**{name: tokens[name] for name in ("input_ids", "attention_mask")}).logits[0]
        expected = logits.softmax(0) if problem.startswith("single") else logits.sigmoid()
        assert [said[label] for label in found.labels] == pytest.approx(expected.tolist(), abs=1e-6)


def test_a_decoder_classifies_too(tmp_path: Path) -> None:
    torch.manual_seed(1)
    model = LlamaForSequenceClassification(LlamaConfig(**_SIZE, **_LABELS, max_position_embeddings=24, pad_token_id=0))
    found = load_classifier(str(save(model, tmp_path / "model")), _CPU)
    assert [sum(one.values()) for one in found.probabilities(_TEXTS)] == pytest.approx([1.0] * 3, abs=1e-6)


def test_a_model_without_a_head_is_refused(tmp_path: Path) -> None:
    folder = save(BertModel(BertConfig(**_SIZE, max_position_embeddings=24)), tmp_path / "model")
    with pytest.raises(ModelError, match=r"was saved without a head that classifies \(its weights lack classifier"):
        load_classifier(str(folder), _CPU)
