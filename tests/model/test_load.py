import json
from pathlib import Path

import pytest
import torch
import transformers
from torch import nn

from tests.families import CAUSAL, ENCODER_DECODERS, ENCODERS, facts_of, make
from tests.model.tiny import save, tokenizer
from tunesmith.core.errors import FetchError, ModelError
from tunesmith.core.files import file_sha256
from tunesmith.model.load import describe, load

IDS = torch.tensor([[5, 6, 7, 8, 9]])


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNESMITH_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("name", [*CAUSAL, *ENCODERS, *ENCODER_DECODERS])
def test_every_family_loads_with_the_facts_written_down_by_hand(name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    model = make(name)
    save(model, tmp_path / name)
    capfd.readouterr()
    loaded = load(str(tmp_path / name))
    assert capfd.readouterr() == ("", "")
    expected, facts = facts_of(name, model), loaded.facts
    for field in ("architecture", "model_type", "is_causal", "is_encoder_decoder", "has_lm_head", "hidden_size", "num_layers", "vocab_size",
                  "first_position", "has_token_types", "decoder_start_token_id"):  # fmt: skip
        if (name, field) == ("roberta", "has_token_types"):
            assert facts.has_token_types == (model.config.type_vocab_size > 1)  # type: ignore[union-attr]
        elif not (name in ENCODERS and field == "architecture"):
            assert getattr(facts, field) == getattr(expected, field), field
    assert facts.num_parameters == sum(p.numel() for p in loaded.trunk.parameters()) == sum(facts.parts.values())
    assert not loaded.trunk.training


@pytest.mark.parametrize("name", ["llama", "gpt2", "bert", "roberta", "distilbert", "t5", "deberta_v2"])
def test_a_loaded_model_computes_what_was_saved(name: str, tmp_path: Path) -> None:
    model = make(name)
    loaded = load(str(save(model, tmp_path / "m")))
    extra = {"decoder_input_ids": IDS} if name == "t5" else {}
    with torch.no_grad():
        torch.testing.assert_close(loaded.trunk(input_ids=IDS, **extra)[0], model(input_ids=IDS, **extra)[0])


@pytest.mark.parametrize("name", ["t5", "bart"])
def test_an_encoder_saved_without_its_decoder_loads_again(name: str, tmp_path: Path) -> None:
    encoder = load(str(save(make(name), tmp_path / "whole")), need="encoder")
    encoder.trunk.save_pretrained(tmp_path / "half")  # type: ignore[operator]
    encoder.tokenizer.save_pretrained(tmp_path / "half")
    again = load(str(tmp_path / "half"))
    assert not again.facts.is_encoder_decoder
    assert describe(again.source)[1].num_parameters == again.facts.num_parameters
    with torch.no_grad():
        torch.testing.assert_close(again.trunk(input_ids=IDS)[0], encoder.trunk(input_ids=IDS)[0])


@pytest.mark.parametrize("name", [*ENCODERS, "llama", "gpt2", "t5", "bart"])
def test_an_encoder_has_no_parameter_that_its_hidden_states_do_not_use(name: str, tmp_path: Path) -> None:
    trunk = load(str(save(make(name), tmp_path / "m")), need="encoder").trunk
    trunk(input_ids=IDS)[0].sum().backward()
    unused = [path for path, p in trunk.named_parameters() if p.grad is None]
    in_pairs_only = ("mask_emb", "r_s_bias", "seg_embed")  # XLNet's, for its pretraining and for pairs
    assert [path for path in unused if not path.endswith(in_pairs_only)] == []


@pytest.mark.parametrize("name", ["roberta", "mpnet", "bert", "distilbert"])
def test_first_position_is_where_transformers_itself_starts_to_count(name: str, tmp_path: Path) -> None:
    loaded = load(str(save(make(name), tmp_path / "m")))
    table = next(m for path, m in loaded.trunk.named_modules() if path.endswith("position_embeddings"))
    seen: list[torch.Tensor] = []
    table.register_forward_hook(lambda _, args, __: seen.append(args[0]))
    loaded.trunk(input_ids=IDS)
    first = loaded.facts.first_position
    assert seen[0].flatten().tolist() == list(range(first, first + 5))


def test_a_single_token_type_is_none(tmp_path: Path) -> None:
    config = transformers.RobertaConfig(
        vocab_size=97, hidden_size=32, num_hidden_layers=1, num_attention_heads=4, intermediate_size=48, type_vocab_size=1
    )
    assert not load(str(save(transformers.RobertaModel(config), tmp_path / "m"))).facts.has_token_types


def test_max_length_leaves_out_the_positions_of_robertas_padding(tmp_path: Path) -> None:
    loaded = load(str(save(make("roberta"), tmp_path / "m")))
    assert loaded.facts.max_length == 66 - 2
    loaded.trunk(input_ids=torch.full((1, 64), 5))
    with pytest.raises((IndexError, RuntimeError)):
        loaded.trunk(input_ids=torch.full((1, 65), 5))


def test_max_length_is_the_least_that_the_makers_state(tmp_path: Path) -> None:
    folder = save(make("bert"), tmp_path / "m", model_max_length=50)
    assert load(str(folder)).facts.max_length == 50
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 32}')
    assert load(str(folder)).facts.max_length == 32
    assert load(str(folder), max_length=66).facts.max_length == 66
    with pytest.raises(ModelError, match=r"model\.max_length: 67 is more than .* has positions for \(66\)"):
        load(str(folder), max_length=67)


def test_the_trunk_of_a_classifier_or_masked_model_loads_without_its_head(tmp_path: Path) -> None:
    config = transformers.BertConfig(vocab_size=97, hidden_size=32, num_hidden_layers=1, num_attention_heads=4, intermediate_size=48)
    for number, model in enumerate((transformers.BertForSequenceClassification(config), transformers.BertForMaskedLM(config))):
        loaded = load(str(save(model, tmp_path / str(number))))
        assert type(loaded.trunk) is transformers.BertModel
        assert torch.equal(loaded.trunk.embeddings.word_embeddings.weight, model.bert.embeddings.word_embeddings.weight)  # type: ignore[union-attr]


def test_a_missing_padding_token_is_borrowed_and_the_embedding_stays(tmp_path: Path) -> None:
    loaded = load(str(save(make("gpt2"), tmp_path / "m", pad_token=None)))
    assert loaded.tokenizer.pad_token == "</s>"
    assert loaded.facts.pad_token_id == 4
    assert loaded.trunk.get_input_embeddings().weight.shape[0] == 97  # type: ignore[operator]


def test_pooling_is_what_the_makers_wrote_down(tmp_path: Path) -> None:
    assert load(str(save(make("llama"), tmp_path / "l"))).pooling == "last"
    folder = save(make("bert"), tmp_path / "b")
    assert load(str(folder)).pooling == "mean"
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false}')
    assert load(str(folder)).pooling == "first"


def test_an_encoder_asked_to_write_is_refused_with_models_that_can(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"is an encoder \(bert\) and cannot write text.*smollm2-135m-instruct"):
        load(str(save(make("bert"), tmp_path / "m")), need="lm")


def test_a_decoder_without_its_vocabulary_head_is_refused_as_a_language_model(tmp_path: Path) -> None:
    body: nn.Module = make("llama").model  # type: ignore[assignment]
    folder = save(body, tmp_path / "m")
    with pytest.raises(ModelError, match=r"weights lack lm_head\.weight"):
        load(str(folder), need="lm")
    assert load(str(folder), need="encoder").facts.is_causal


@pytest.mark.parametrize(("missing", "said"), [
    ("config.json", "config.json is missing"), ("model.safetensors", "incomplete: model.safetensors missing"), ("tokenizer.json", "incomplete: tokenizer.json missing"),
])  # fmt: skip
def test_an_incomplete_folder_is_told_what_it_lacks(tmp_path: Path, missing: str, said: str) -> None:
    folder = save(make("bert"), tmp_path / "m")
    (folder / missing).unlink()
    with pytest.raises(ModelError, match=said) as raised:
        load(str(folder))
    assert "\n" not in str(raised.value)


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    model = make("bert")
    model.save_pretrained(tmp_path / "m", max_shard_size="20KB")  # type: ignore[operator]
    tokenizer().save_pretrained(tmp_path / "m")
    shard = sorted((tmp_path / "m").glob("model-*.safetensors"))[1]
    shard.unlink()
    with pytest.raises(ModelError, match=f"{shard.name} missing"):
        load(str(tmp_path / "m"))


def test_pickled_weights_are_refused_with_the_cure(tmp_path: Path) -> None:
    model = make("bert")
    folder = save(model, tmp_path / "m")
    (folder / "model.safetensors").unlink()
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"only as pytorch_model\.bin, a format that can run code.*save_pretrained"):
        load(str(folder))


def test_damaged_weights_are_one_line(tmp_path: Path) -> None:
    folder = save(make("bert"), tmp_path / "m")
    (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:3000])
    with pytest.raises(ModelError, match="cannot be loaded") as raised:
        load(str(folder))
    assert "\n" not in str(raised.value)


def test_code_of_its_own_is_refused_until_it_is_trusted(tmp_path: Path) -> None:
    folder = save(make("bert"), tmp_path / "m")
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "homemade", "auto_map": {"AutoConfig": "homemade.HomemadeConfig", "AutoModel": "homemade.HomemadeModel"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "homemade.py").write_text(
        f"import pathlib\nfrom transformers import BertConfig, BertModel\npathlib.Path({str(tmp_path / 'ran')!r}).touch()\n"
        + "class HomemadeConfig(BertConfig):\n    model_type = 'homemade'\nclass HomemadeModel(BertModel):\n    config_class = HomemadeConfig\n"
    )
    with pytest.raises(ModelError, match=r"needs Python files of its own.*trust_remote_code: true and model\.revision"):
        load(str(folder))
    assert not (tmp_path / "ran").exists()
    loaded = load(str(folder), trust_remote_code=True)
    assert (tmp_path / "ran").exists()
    assert type(loaded.trunk).__name__ == "HomemadeModel"
    assert loaded.source.trust_remote_code


def test_trusted_code_of_the_hub_needs_a_whole_commit() -> None:
    with pytest.raises(ModelError, match=r"model\.revision: 'main': with trust_remote_code it must be a commit \(40 hex digits\)"):
        load("someone/something", revision="main", trust_remote_code=True)


def test_an_unknown_architecture_is_said_so(tmp_path: Path) -> None:
    folder = save(make("bert"), tmp_path / "m")
    config = json.loads((folder / "config.json").read_text()) | {"model_type": "from-the-future"}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=r'model_type "from-the-future", which transformers [\d.]+ does not know'):
        load(str(folder))


@pytest.mark.parametrize(("config", "sense"), [
    (transformers.ViTConfig(), "images"), (transformers.Wav2Vec2Config(), "audio"), (transformers.WhisperConfig(), "audio"), (transformers.CLIPConfig(), "images"),
])  # fmt: skip
def test_models_of_images_and_audio_are_refused_plainly(tmp_path: Path, config: transformers.PreTrainedConfig, sense: str) -> None:
    folder = save(make("bert"), tmp_path / "m")
    config.save_pretrained(folder)
    with pytest.raises(ModelError, match=f"is a model of {sense}.*text only"):
        load(str(folder))


@pytest.mark.parametrize(("source", "said"), [
    ("minilm-l7/x/y", "no such folder, and no hub id"), ("./nowhere", "no such folder"), ("run:nothing", "no such run"), ("nothing.gguf", "no such file"),
])  # fmt: skip
def test_a_name_that_leads_nowhere_is_one_line(source: str, said: str) -> None:
    with pytest.raises(Exception, match=said) as raised:
        load(source)
    assert "\n" not in str(raised.value)


def test_a_hub_that_cannot_be_reached_is_one_line_with_the_embedded_models(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import huggingface_hub

    def fail(*_: object, **__: object) -> None:
        raise OSError("Name or service not known")

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", fail)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    with pytest.raises(
        FetchError, match=r"distilbert-base-uncased: .* cannot be reached \(Name or service not known\).*minilm-l6"
    ) as raised:
        load("distilbert-base-uncased")
    assert "\n" not in str(raised.value)


def test_the_hash_of_a_folder_changes_with_its_weights(tmp_path: Path) -> None:
    folder = save(make("bert"), tmp_path / "m")
    first = load(str(folder)).source.sha256
    assert load(str(folder)).source.sha256 == first
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "model.safetensors").write_bytes(content)
    assert load(str(folder)).source.sha256 != first


def test_the_licence_is_read_from_the_model_card(tmp_path: Path) -> None:
    folder = save(make("bert"), tmp_path / "m")
    assert load(str(folder)).source.licence is None
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n# A model\n")
    assert load(str(folder)).source.licence == "apache-2.0"


def _run(path: Path, model: str) -> Path:
    (path / "adapter").mkdir(parents=True)
    (path / "recipe.yaml").write_text(f"model:\n  source: {model}\n")
    (path / "status.json").write_text('{"status": "done"}')
    return path


def test_a_run_is_its_base_with_its_adapters_in_order(tmp_path: Path) -> None:
    base = save(make("bert"), tmp_path / "m")
    for number, on in ((1, str(base)), (2, str(tmp_path / "run-1"))):
        run = _run(tmp_path / f"run-{number}", on)
        (run / "adapter" / "adapter_config.json").write_text("{}")
        (run / "adapter" / "adapter_model.safetensors").write_bytes(b"")
    (tmp_path / "run-2" / "heads.safetensors").write_bytes(b"")
    source = load(str(tmp_path / "run-2")).source
    assert (source.kind, source.folder) == ("run", base)
    assert source.adapters == (tmp_path / "run-1" / "adapter", tmp_path / "run-2" / "adapter")
    assert source.heads == tmp_path / "run-2" / "heads.safetensors"


def test_a_run_that_trained_everything_is_its_own_model(tmp_path: Path) -> None:
    run = _run(tmp_path / "run", "gone")
    save(make("bert"), run / "model")
    source = load(f"run:{run}").source
    assert (source.folder, source.adapters) == (run / "model", ())


def test_a_run_that_left_nothing_says_how_to_go_on(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="left no model behind .*runs resume"):
        load(str(_run(tmp_path / "run", "gone")))


def test_an_adapter_that_peft_saved_is_its_base_and_the_adapter(tmp_path: Path) -> None:
    import peft

    base = save(make("bert"), tmp_path / "m")
    model = load(str(base)).trunk
    adapted = peft.get_peft_model(model, peft.LoraConfig(target_modules=["query"]))  # type: ignore[arg-type]
    adapted.peft_config["default"].base_model_name_or_path = str(base)
    adapted.save_pretrained(str(tmp_path / "a"))
    source = load(str(tmp_path / "a")).source
    assert (source.kind, source.folder, source.adapters) == ("peft", base, (tmp_path / "a",))
    assert source.sha256 != file_sha256(base / "model.safetensors")
    (tmp_path / "a" / "adapter_model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"adapter_model\.safetensors is missing"):
        load(str(tmp_path / "a"))
