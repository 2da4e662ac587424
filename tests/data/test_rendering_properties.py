"""Whatever is said in a conversation, and whatever a tokenizer merges: learned are exactly the assistant's turns with their ends."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders
from transformers import PreTrainedTokenizerFast

from tunesmith.core.types import Chat, Message, ModelFacts, Origin
from tunesmith.data import TextEncoder, chat_template

Facts = Callable[..., ModelFacts]
HERE = Origin("a.jsonl", 1)
LOOK_ALIKES = ["<|im_end|>", "<|im_start|>", "<|endoftext|>", "</s>", "<s>", "<|im_", "end|>", "</", "<end_of_turn>", "assistant\n"]
WORDS = st.sampled_from(
    [
        *LOOK_ALIKES,
        " ",
        "\n",
        "\t",
        "\u00a0",
        "\u2028",
        "the film",
        "Why not?",
        "é",
        "e\u0301",
        "人",
        "👩‍👩‍👧",
        "🇩🇪",
        "\ufdd0",
        "\u200f",
        "a",
    ]
)
TEXTS = (
    st.lists(WORDS, min_size=1, max_size=6).map("".join)
    | st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\u2581"), min_size=1, max_size=12)
).filter(lambda text: text.strip() != "")
TALKS = st.tuples(st.none() | TEXTS, st.lists(st.tuples(TEXTS, TEXTS, st.booleans()), min_size=1, max_size=3))
KINDS = ["chatml", "base", "sentencepiece", "llama layout", "zephyr", "vicuna", "phi"]
ENDS = {"chatml": "<|im_end|>", "base": "<|endoftext|>", "phi": "<|end|>"}


@pytest.fixture(scope="module")
def encoders(chatml: Any, base: Any, sentencepiece: Any, every_token: Any, facts: Facts) -> dict[str, TextEncoder]:
    sentencepiece = _with_bytes(sentencepiece)
    made = {"chatml": chatml, "base": base, "sentencepiece": sentencepiece}
    for name, tokenizer, layout in (
        ("llama layout", sentencepiece, "mistral"),
        ("zephyr", sentencepiece, "zephyr"),
        ("vicuna", every_token, "vicuna"),
        ("phi", every_token, "phi"),
    ):
        made[name] = copy.deepcopy(tokenizer)
        made[name].chat_template = chat_template(layout, tokenizer, name)
    return {name: TextEncoder(tokenizer, facts(max_length=4096)) for name, tokenizer in made.items()}


def _with_bytes(tokenizer: Any) -> Any:
    """As Llama's: what is not in the vocabulary is spelled in bytes, and a text's own first space comes back."""
    written = json.loads(tokenizer.backend_tokenizer.to_str())
    vocabulary = written["model"]["vocab"]
    vocabulary.update({f"<0x{byte:02X}>": len(vocabulary) + byte for byte in range(256)})
    made = Tokenizer.from_str(json.dumps(written))
    made.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()])  # type: ignore[assignment]
    return PreTrainedTokenizerFast(tokenizer_object=made, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


def _talk(given_talk: Any) -> Chat:
    system, pairs = given_talk
    turns = [Message("system", system)] if system else []
    for asked, said, learned in pairs:
        turns += [Message("user", asked), Message("assistant", said, learned)]
    return Chat(tuple(turns), HERE)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(given_talk=TALKS)
def test_what_is_learned_is_what_the_assistant_said(kind: str, given_talk: Any, encoders: dict[str, TextEncoder]) -> None:
    encoder, talk = encoders[kind], _talk(given_talk)
    encoded, prompt = encoder.encode(talk), encoder.prompt(talk)
    tokenizer, answers = encoder.tokenizer, [message for message in talk.messages if message.role == "assistant"]
    learned = [token for token, scored in zip(encoded.tokens, encoded.scored, strict=True) if scored]
    end = ENDS.get(kind, "</s>")
    lead = " " if kind in ("llama layout", "vicuna") else ""
    expected = "".join(lead + answer.content + end for answer in answers if answer.learned)
    found = encoder.spell(learned)
    assert found == expected
    assert encoded.tokens[: len(prompt)] == prompt
    assert encoded.tokens[-1] == tokenizer.convert_tokens_to_ids(end)
    assert encoded.scored[-1] == answers[-1].learned
    assert not encoded.scored[0]
    assert encoded.tokens.count(tokenizer.convert_tokens_to_ids(end)) == (
        len(talk.messages) if kind in ("chatml", "zephyr", "phi") else len(answers)
    ) + (kind == "chatml" and talk.messages[0].role != "system")
    if tokenizer.bos_token == "<s>":
        assert encoded.tokens[0] == tokenizer.bos_token_id
        assert encoded.tokens.count(tokenizer.bos_token_id) == 1


@pytest.mark.parametrize("kind", ["chatml", "phi"])
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(given_talk=TALKS)
def test_the_whole_text_is_the_templates_own(kind: str, given_talk: Any, encoders: dict[str, TextEncoder]) -> None:
    encoder, talk = encoders[kind], _talk(given_talk)
    own = encoder.tokenizer.apply_chat_template([{"role": m.role, "content": m.content} for m in talk.messages], tokenize=False)
    assert encoder.spell(encoder.encode(talk).tokens) == own.removesuffix("\n")


@pytest.mark.embedded
@settings(max_examples=40, deadline=None)
@given(given_talk=TALKS)
def test_the_embedded_model_too(given_talk: Any, smollm: TextEncoder) -> None:
    talk = _talk(given_talk)
    for message in talk.messages:  # some bytes are not in its vocabulary
        assume(smollm.spell(smollm.tokenizer(message.content)["input_ids"]) == message.content)
    encoded = smollm.encode(talk)
    learned = [token for token, scored in zip(encoded.tokens, encoded.scored, strict=True) if scored]
    assert smollm.spell(learned) == "".join(m.content + "<|im_end|>" for m in talk.messages if m.role == "assistant" and m.learned)
    assert encoded.tokens[: len(smollm.prompt(talk))] == smollm.prompt(talk)
    own = smollm.tokenizer.apply_chat_template([{"role": m.role, "content": m.content} for m in talk.messages], tokenize=False)
    assert smollm.spell(encoded.tokens) == own.removesuffix("\n")


@pytest.fixture(scope="module")
def smollm(facts: Facts) -> TextEncoder:
    from transformers import AutoTokenizer

    from tunesmith.model.source import Request, resolve

    return TextEncoder(AutoTokenizer.from_pretrained(resolve(Request("smollm2-135m-instruct")).folder), facts(max_length=8192))
