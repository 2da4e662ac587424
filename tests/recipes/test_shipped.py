"""Every shipped recipe parses and runs on a tiny model; the tutorial's one from an unpacked folder."""

import json
from pathlib import Path

import pytest
import torch
import transformers

from tunesmith.app.compare import compare
from tunesmith.app.tune import tune
from tunesmith.cli.main import run
from tunesmith.core import registry
from tunesmith.core.errors import MethodError
from tunesmith.recipe import dump, from_mapping, load, shipped_recipes
from tunesmith.recipe.overlays import METHOD_OVERLAYS, true_method
from tunesmith.recipe.text import parse_yaml

METHODS: dict[str, list[str]] = {
    **{name: [f"method.name={name}"] for name in [*registry.names("method"), *METHOD_OVERLAYS] if name != "direct"},
    **{placement: ["method.name=adapter", f"method.placement={placement}"] for placement in ("houlsby", "parallel")},
    "new_tokens": ["method.name=new_tokens", "model.add_tokens=[the film]"],
}
"""Way to train -> what is changed of a recipe."""
SMALL = ["data.limit={train: 16, validation: 4, test: 8}", "train.max_steps=2", "model.max_length=256", "evaluate.retention=none"]
FEW_ANSWERS = {
    "reviews": ["evaluate.domains={}", "evaluate.metrics=[accuracy]"],
    "docstrings": ["evaluate.generate_limit=1", "evaluate.max_new_tokens=4", "evaluate.prompts=[]", "evaluate.metrics=[exact_match]"],
}

WORDS = "the a film was is good bad dull moving story actors scene plot and of in it this".split()


@pytest.mark.parametrize("name", shipped_recipes())
def test_it_parses_and_says_what_it_is_for(name: str) -> None:
    recipe = load(name)
    assert recipe.description
    assert from_mapping(parse_yaml(dump(recipe), name), name=name) == recipe


@pytest.mark.embedded
@pytest.mark.parametrize("name", ["reviews", "docstrings", "small-talk", "multi-task", "instruct", "domain-corpus", "writing-style"])
def test_it_takes_two_steps_on_a_tiny_model(name: str, tiny_models: dict[str, Path], tmp_path: Path) -> None:
    overrides = [
        "data.limit={train: 64, validation: 8, test: 12}",
        "train.max_steps=2",
        f"output_dir={tmp_path / 'out'}",
        "model.max_length=256",
    ]
    model = tiny_models["bert" if name == "reviews" else "llama"]
    domains = (
        ["evaluate.domains.tweets.limit=10", "evaluate.domains.product-reviews.limit=10"]
        if name == "reviews"
        else ["evaluate.generate_limit=2"]
    )
    if name == "instruct":
        overrides.append("data.chat_template=zephyr")  # the tiny tokenizer has none of ChatML's tokens
    report = tune(load(name, [*overrides, f"model.source={model}", *domains])).report
    assert len(report["curves"]["train"]) == 2
    if name == "reviews":
        assert set(report["domains"]) == {"tweets", "product-reviews"}
    elif name in ("domain-corpus", "writing-style"):
        assert list(report["metrics"]) == ["bits_per_byte", "perplexity"]
        assert report["copied"]["train_texts"] > 0
    else:
        assert "Tell me how to fine-tune a model" in [sample["prompt"] for sample in report["samples"]]


@pytest.mark.embedded
@pytest.mark.parametrize("name", FEW_ANSWERS)
@pytest.mark.parametrize("way", METHODS)
def test_every_method_takes_its_place_in_one_line(way: str, name: str, tiny_models: dict[str, Path], tmp_path: Path) -> None:
    model = tiny_models["bert" if name == "reviews" else "llama"]
    recipe = load(name, [*SMALL, *FEW_ANSWERS[name], f"model.source={model}", f"output_dir={tmp_path / 'out'}", *METHODS[way]])
    if (way, name) == ("head", "docstrings"):
        with pytest.raises(MethodError, match="trains only a new head, and the objective sft has none. Use lora or full"):
            tune(recipe)
        return
    report = tune(recipe).report
    assert report["task"]["method"] == true_method(METHODS[way][0].removeprefix("method.name="))
    assert len(report["curves"]["train"]) == 2


@pytest.mark.embedded
@pytest.mark.parametrize("name", [name for name in shipped_recipes() if name.startswith("compare-")])
def test_every_arm_of_a_comparison_takes_two_steps_on_tiny_models(name: str, tiny_models: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "pages"
    folder.mkdir()
    (folder / "page.txt").write_text("the film was moving and the plot is good")
    tiny = {
        "model=smollm2-135m-instruct": [f"model={tiny_models['llama']}"],
        "context.documents=python-reference": [f"context.documents={folder}", f"context.embedded_by={tiny_models['bert']}"],
        "context.choose_by=nearest": ["context.choose_by=nearest", f"context.embedded_by={tiny_models['bert']}"],
    }
    arms = load(name).arms or {}
    smaller = {
        arm: changes and [few for change in changes for few in _smaller(change, tiny, tiny_models["bert"])] for arm, changes in arms.items()
    }
    model = tiny_models["bert" if load(name).model.source == "minilm-l6" else "llama"]
    recipe = load(
        name,
        [
            *SMALL, "data.limit.test=9", f"model.source={model}", f"arms={json.dumps(smaller)}", "evaluate.generate_limit=2", "evaluate.max_new_tokens=2",
            f"output_dir={tmp_path / 'out'}",
        ],
    )  # fmt: skip
    group = compare(recipe)
    assert list(group.report["arms"]) == list(arms)
    trained = [run.report for run in group.runs if run.report["context"] is None]
    assert [len(report["curves"]["train"]) for report in trained] == [2] * len(trained) != []


def _smaller(change: str, tiny: dict[str, list[str]], encoder: Path) -> list[str]:
    """A change of an arm, for tiny models."""
    if change.startswith("context.documents=dated-facts"):
        return [change, f"context.embedded_by={encoder}"]
    return tiny.get(change, [change])


@pytest.mark.embedded
def test_the_shift_to_tweets_is_measured(tiny_models: dict[str, Path], tmp_path: Path) -> None:
    report = tune(
        load(
            "reviews-shift",
            [
                "data.limit={train: 64, validation: 8, test: 12}", "train.max_steps=2", f"output_dir={tmp_path / 'out'}", "model.max_length=64",
                f"model.source={tiny_models['bert']}", "evaluate.domains.tweets.limit=10",
            ],
        )
    ).report  # fmt: skip
    assert set(report["domains"]) == {"tweets"}


def _spam(folder: Path, name: str, topic: str) -> None:
    draw = torch.Generator().manual_seed(len(name))
    rows = [
        f"{' '.join(WORDS[i] for i in torch.randint(0, len(WORDS), (10,), generator=draw))} {topic},{('ham', 'spam')[n % 2]}"
        for n in range(60)
    ]
    (folder / f"{name}.csv").write_text("text,label\n" + "\n".join(rows) + "\n", encoding="utf-8")


def test_the_recipe_for_spam_takes_the_files_that_it_names(
    tiny_models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    changes = [f"model={tiny_models['bert']}", "model.max_length=64"]
    assert run(["tune", "spam-shift", *changes]) == 3
    assert "emails.csv: no such file" in capsys.readouterr().err
    for name, topic in (("emails", "plot"), ("comments", "scene"), ("sms", "story")):
        _spam(tmp_path, name, topic)
    report = tune(load("spam-shift", [*changes, "train.max_steps=2", "data.limit.train=30", f"output_dir={tmp_path / 'out'}"])).report
    assert set(report["domains"]) == {"comments", "sms"}
    assert run(["data", "check", "spam-shift", *changes]) in (0, 1)
    assert "shift from train" in capsys.readouterr().out


def _acl_imdb(folder: Path) -> Path:
    """A folder laid out as the published archive unpacks."""
    draw = torch.Generator().manual_seed(0)
    for part, count in (("train", 24), ("test", 8)):
        for label, mood in (("neg", "bad dull"), ("pos", "good moving")):
            for number in range(count):
                chosen = [WORDS[i] for i in torch.randint(0, len(WORDS), (12,), generator=draw)]
                file = folder / part / label / f"{number}_{1 if label == 'neg' else 9}.txt"
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(f"{' '.join(chosen)} {mood} {part} {number}")
    (folder / "train" / "unsup").mkdir()
    (folder / "train" / "unsup" / "0_0.txt").write_text("nobody judged this")
    return folder


def test_the_tutorials_recipe_runs_from_an_unpacked_folder(
    tiny_models: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = _acl_imdb(tmp_path / "aclImdb")
    code = run([
        "tune", "sentiment-imdb", f"model.source={tiny_models['distilbert']}", f"data.train={folder / 'train'}", f"data.test={folder / 'test'}",
        "model.max_length=64", "train.epochs=4", "train.learning_rate=5e-3", f"output_dir={tmp_path / 'out'}", "--json",
    ])  # fmt: skip
    captured = capsys.readouterr()
    assert code == 0, captured.err
    report = json.loads(captured.out)
    assert report["confusion"]["labels"] == ["negative", "positive"]
    assert report["metrics"]["accuracy"]["rows"] == 16
    assert report["data"]["splits"]["train"]["rows"] + report["data"]["splits"]["validation"]["rows"] == 48
    assert report["model"]["architecture"] == "DistilBertModel"


@pytest.fixture(scope="module")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A BERT, a DistilBERT and a Llama of two layers, with a tokenizer of whole words."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "</s>", *WORDS]
    built = Tokenizer(models.WordLevel({word: index for index, word in enumerate(vocabulary)}, unk_token="[UNK]"))  # type: ignore[call-arg]
    built.pre_tokenizer = pre_tokenizers.Whitespace()  # type: ignore[assignment]
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=built, pad_token="[PAD]", unk_token="[UNK]", eos_token="</s>")
    shape = {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 256,
        "vocab_size": 64,
    }
    torch.manual_seed(0)
    made = {
        "bert": transformers.BertModel(transformers.BertConfig(**shape)),
        "distilbert": transformers.DistilBertModel(
            transformers.DistilBertConfig(vocab_size=64, dim=32, hidden_dim=48, n_layers=2, n_heads=4)
        ),
        "llama": transformers.LlamaForCausalLM(transformers.LlamaConfig(**shape, eos_token_id=4, pad_token_id=0, bos_token_id=None)),
    }
    folder = tmp_path_factory.mktemp("models")
    for name, model in made.items():
        model.save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)
    return {name: folder / name for name in made}
