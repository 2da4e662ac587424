from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tunesmith.core.errors import ModelError, RecipeError
from tunesmith.core.types import Chat, Completion, Encoded, Labelled, Message, ModelFacts, Origin, Prompt, Text
from tunesmith.data import TextEncoder
from tunesmith.data.new_tokenizer import learn_tokenizer

HERE = Origin("a.jsonl", 1)
Facts = Callable[..., ModelFacts]


def learned(encoder: TextEncoder, encoded: Encoded) -> str:
    return encoder.spell([token for token, scored in zip(encoded.tokens, encoded.scored, strict=True) if scored])


def test_chatml_scores_the_answer_and_the_end_of_its_turn_and_no_white_space_after_it(chatml: Any, facts: Facts) -> None:
    encoder = TextEncoder(chatml, facts())
    encoded = encoder.encode(Completion("Was it good?", "Why not?", HERE))
    assert learned(encoder, encoded) == "Why not?<|im_end|>"
    assert encoder.spell(encoded.tokens) == (
        "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
        "<|im_start|>user\nWas it good?<|im_end|>\n<|im_start|>assistant\nWhy not?<|im_end|>"
    )


def test_every_answer_of_a_conversation_is_scored(chatml: Any, facts: Facts) -> None:
    encoder = TextEncoder(chatml, facts(), system="Be brief.")
    chat = Chat(
        (
            Message("user", "one"),
            Message("assistant", "first"),
            Message("user", "two"),
            Message("assistant", "second"),
            Message("user", "x"),
        ),
        HERE,
    )
    encoded = encoder.encode(chat)
    assert learned(encoder, encoded) == "first<|im_end|>second<|im_end|>"
    assert encoder.spell(encoded.tokens).startswith("<|im_start|>system\nBe brief.<|im_end|>\n")
    assert encoder.spell(encoded.tokens).endswith("second<|im_end|>")
    assert encoder.reference(chat) == "second"


ANSWERS = st.text(alphabet=st.sampled_from("a good\n\tfilm.é人<|"), min_size=1, max_size=30).filter(lambda text: text.strip() != "")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(question=ANSWERS, answer=ANSWERS, earlier=ANSWERS)
@pytest.mark.parametrize("kind", ["chatml", "base", "sentencepiece"])
def test_the_prompt_is_a_prefix_and_what_follows_is_scored(
    kind: str, question: str, answer: str, earlier: str, request: pytest.FixtureRequest, facts: Facts
) -> None:
    encoder = TextEncoder(request.getfixturevalue(kind), facts())
    turns = (Message("user", question), Message("assistant", earlier), Message("user", question), Message("assistant", answer))
    for example in (Completion(question, answer, HERE), Chat(turns, HERE)):
        encoded, prompt = encoder.encode(example), encoder.prompt(example)
        assert encoded.tokens[: len(prompt)] == prompt
        assert encoded.scored[len(prompt) :] == (True,) * (len(encoded.tokens) - len(prompt))
        assert encoded.tokens[-1] == encoder.tokenizer.eos_token_id
        if kind != "sentencepiece":  # its decoder takes a leading space for its own
            assert encoder.spell(encoded.tokens[len(prompt) : -1]) == answer
    single = encoder.encode(Completion(question, answer, HERE))
    assert not any(single.scored[: len(encoder.prompt(Completion(question, answer, HERE)))])


def test_a_boundary_that_the_tokenizer_would_merge_still_parts_prompt_and_answer(chatml: Any, facts: Facts) -> None:
    whole = chatml("<|im_start|>assistant\n\n\nfine", add_special_tokens=False)["input_ids"]
    apart = [
        *chatml("<|im_start|>assistant\n", add_special_tokens=False)["input_ids"],
        *chatml("\n\nfine", add_special_tokens=False)["input_ids"],
    ]
    assert whole != apart  # this tokenizer does merge there
    encoder, example = TextEncoder(chatml, facts()), Completion("x", "\n\nfine", HERE)
    encoded = encoder.encode(example)
    assert encoded.tokens[: len(encoder.prompt(example))] == encoder.prompt(example)
    assert learned(encoder, encoded) == "\n\nfine<|im_end|>"


def test_the_prompt_is_what_the_chat_template_itself_gives(chatml: Any, facts: Facts) -> None:
    turns = [{"role": "user", "content": "hello"}]
    own = chatml.apply_chat_template(turns, add_generation_prompt=True, tokenize=True, return_dict=False)
    assert list(TextEncoder(chatml, facts()).prompt(Prompt((Message("user", "hello"),), HERE))) == own


def test_without_a_template_turns_are_parted_by_a_blank_line(base: Any, facts: Facts) -> None:
    encoder = TextEncoder(base, facts(), system="Be brief.")
    encoded = encoder.encode(Completion("question", "answer", HERE))
    assert encoder.spell(encoded.tokens) == "Be brief.\n\nquestion\n\nanswer<|endoftext|>"
    assert learned(encoder, encoded) == "answer<|endoftext|>"


def test_one_bos_is_put_where_the_tokenizer_puts_one_and_a_template_brings_its_own(sentencepiece: Any, chatml: Any, facts: Facts) -> None:
    assert TextEncoder(sentencepiece, facts()).encode(Completion("a", "b", HERE)).tokens.count(sentencepiece.bos_token_id) == 1
    assert TextEncoder(sentencepiece, facts()).prompt(Text("a", HERE))[0] == sentencepiece.bos_token_id
    tokens = TextEncoder(chatml, facts()).encode(Completion("a", "b", HERE)).tokens
    assert tokens.count(chatml.convert_tokens_to_ids("<|im_start|>")) == 3  # system, user, assistant


def test_a_template_that_rewrites_earlier_turns_is_refused(chatml: Any, facts: Facts) -> None:
    import copy

    other = copy.deepcopy(chatml)
    other.chat_template = (
        "{% for m in messages %}{{ m['role'] }}: {{ m['content'] if loop.last or m['role'] != 'assistant' else '(cut)' }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}assistant: {% endif %}"
    )
    encoder = TextEncoder(other, facts())
    assert learned(encoder, encoder.encode(Completion("x", "fine", HERE))) == "fine<|im_end|>"
    turns = (Message("user", "a"), Message("assistant", "b"), Message("user", "c"), Message("assistant", "d"))
    with pytest.raises(ModelError, match="tiny: its chat template writes an earlier answer otherwise"):
        encoder.encode(Chat(turns, HERE))
    other.chat_template = "{% for m in messages %}{{ m['content'] }}{% endfor %}{% if add_generation_prompt %}GO{% endif %}"
    with pytest.raises(ModelError, match="writes the prompt otherwise when its answer is there"):
        TextEncoder(other, facts()).encode(Completion("x", "fine", HERE))
    other.chat_template = "{{ raise_exception('System role not supported') }}"
    with pytest.raises(ModelError, match="refuses a conversation of user: System role not supported"):
        TextEncoder(other, facts()).prompt(Completion("x", "", HERE))


def test_a_template_without_an_end_of_turn_gets_the_end_of_sequence(chatml: Any, facts: Facts) -> None:
    import copy

    other = copy.deepcopy(chatml)
    other.chat_template = (
        "{% for m in messages %}[{{ m['role'] }}]{{ m['content'] }}\n{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}"
    )
    encoder = TextEncoder(other, facts())
    assert learned(encoder, encoder.encode(Completion("x", "fine", HERE))) == "fine<|im_end|>"


def test_templates_word_the_request_and_refuse_unknown_names(chatml: Any, facts: Facts) -> None:
    encoder = TextEncoder(chatml, facts(), ("bad", "good"), template="{{x}} one of {labels}: {text}", labelled_as="answer")
    encoded = encoder.encode(Labelled("fine film", "good", HERE))
    assert "user\n{x} one of bad, good: fine film<|im_end|>" in encoder.spell(encoded.tokens)
    assert learned(encoder, encoded) == "good<|im_end|>"
    with pytest.raises(RecipeError, match=r'data.template: the data has no \{txt\}. Did you mean "text"'):
        TextEncoder(chatml, facts(), template="{txt}").prompt(Completion("a", "b", HERE))
    with pytest.raises(RecipeError, match="the data has no {text.__class__}"):
        TextEncoder(chatml, facts(), template="{text.__class__}").prompt(Completion("a", "b", HERE))
    with pytest.raises(RecipeError, match="cannot be read"):
        TextEncoder(chatml, facts(), template="{text").prompt(Completion("a", "b", HERE))


def test_windows_score_every_token_but_the_first_once(base: Any, facts: Facts) -> None:
    text = Text("the film was good and the film was bad " * 20, HERE)
    encoder, whole = TextEncoder(base, facts(), max_length=7), TextEncoder(base, facts(max_length=9999)).encode(text).tokens
    windows = encoder.windows(text)
    assert all(2 <= len(window.tokens) <= 7 for window in windows)
    scored = [token for window in windows for token, is_scored in zip(window.tokens, window.scored, strict=True) if is_scored]
    assert tuple(scored) == whole[1:]
    assert whole[-1] == base.eos_token_id


@pytest.mark.parametrize("num_tokens", [1, 2, 3, 4, 5, 6, 7, 13])
def test_windows_of_any_length_leave_nothing_out(num_tokens: int, base: Any, facts: Facts) -> None:
    text = Text(base.decode([base.convert_tokens_to_ids("x")] * (num_tokens - 1)), HERE)
    windows = TextEncoder(base, facts(), max_length=4).windows(text)
    assert sum(sum(window.scored) for window in windows) == len(base(text.text)["input_ids"])


def test_classification_keeps_special_tokens_when_it_cuts(bert: Any, facts: Facts) -> None:
    encoder = TextEncoder(bert, facts(is_causal=False, has_token_types=True), ("a", "b"), max_length=6)
    encoded = encoder.encode(Labelled("the film was good " * 5, "a", HERE))
    assert bert.convert_ids_to_tokens(encoded.tokens) == ["[CLS]", "the", "film", "was", "good", "[SEP]"]
    assert (encoded.num_cut, any(encoded.scored)) == (16, False)
    whole = TextEncoder(bert, facts(is_causal=False)).encode(Labelled("the film was good " * 5, "a", HERE))
    assert (len(whole.tokens), whole.num_cut) == (22, 0)  # the tokenizer file's own truncation to 5 does not apply


def test_two_texts_have_two_token_types(bert: Any, facts: Facts) -> None:
    encoder = TextEncoder(bert, facts(is_causal=False, has_token_types=True))
    encoded = encoder.encode(Labelled("the film", "a", HERE, "was good"))
    assert bert.convert_ids_to_tokens(encoded.tokens) == ["[CLS]", "the", "film", "[SEP]", "was", "good", "[SEP]"]
    assert encoded.token_types == (0, 0, 0, 0, 1, 1, 1)


def test_a_causal_classifier_reads_the_text_and_an_end(base: Any, facts: Facts) -> None:
    encoder = TextEncoder(base, facts(), template="Judge: {text}")
    assert encoder.spell(encoder.encode(Labelled("good", "a", HERE)).tokens) == "Judge: good<|endoftext|>"
    cut = TextEncoder(base, facts(), max_length=5).encode(Labelled("the film was good " * 5, "a", HERE))
    assert (len(cut.tokens), cut.tokens[-1]) == (5, base.eos_token_id)
    assert cut.num_cut > 0


def test_an_encoder_decoder_reads_the_source_and_learns_the_target_and_its_end(seq2seq: Any, facts: Facts) -> None:
    encoder = TextEncoder(seq2seq, facts(is_encoder_decoder=True, is_causal=False, decoder_start_token_id=0), template="film {source}")
    encoded = encoder.encode(Completion("was good", "was bad", HERE))
    assert seq2seq.convert_ids_to_tokens(encoded.source) == ["film", "was", "good", "</s>"]
    assert seq2seq.convert_ids_to_tokens(encoded.tokens) == ["<pad>", "was", "bad", "</s>"]
    assert encoded.scored == (False, True, True, True)
    assert encoder.prompt(Completion("was good", "", HERE)) == (0,)


def test_a_decoder_that_is_told_the_beginning_does_not_learn_to_write_it(facts: Facts) -> None:
    tokenizer = learn_tokenizer(["A quiet film."], size=300, of="pieces")
    told = facts(is_encoder_decoder=True, is_causal=False, decoder_start_token_id=tokenizer.bos_token_id, vocab_size=300)
    encoder = TextEncoder(tokenizer, told)
    encoded = encoder.encode(Completion("Un film", "A quiet film.", HERE))
    assert encoder.spell(encoded.source or ()) == "<s>Un film"
    assert encoder.spell(encoded.tokens) == "<s>A quiet film.</s>"
    assert learned(encoder, encoded) == "A quiet film.</s>"


def test_cutting_is_on_the_right_and_counted(chatml: Any, facts: Facts) -> None:
    example = Completion("question", "answer", HERE)
    whole = TextEncoder(chatml, facts()).encode(example)
    cut = TextEncoder(chatml, facts(), max_length=len(whole.tokens) - 3).encode(example)
    assert cut.tokens == whole.tokens[:-3]
    assert (whole.num_cut, cut.num_cut) == (0, 3)


def test_a_length_that_the_model_does_not_take_is_refused(chatml: Any, facts: Facts) -> None:
    with pytest.raises(RecipeError, match="model.max_length: 9999; tiny takes 2 to 512 tokens"):
        TextEncoder(chatml, facts(), max_length=9999)


def test_the_fingerprint_changes_with_what_encoding_depends_on(chatml: Any, base: Any, facts: Facts) -> None:
    encoders = [
        TextEncoder(chatml, facts()),
        TextEncoder(base, facts()),
        TextEncoder(chatml, facts(), max_length=64),
        TextEncoder(chatml, facts(), template="{text}"),
        TextEncoder(chatml, facts(), system="x"),
        TextEncoder(chatml, facts(), ("a", "b")),
        TextEncoder(chatml, facts(), labelled_as="answer"),
    ]
    assert len({encoder.fingerprint() for encoder in encoders}) == len(encoders)
    assert TextEncoder(chatml, facts(name="renamed")).fingerprint() == encoders[0].fingerprint()


def test_no_space_is_put_into_the_middle_of_a_conversation(sentencepiece: Any, facts: Facts) -> None:
    encoder = TextEncoder(sentencepiece, facts())
    encoded = encoder.encode(Completion("film", "good", HERE))
    assert (
        sentencepiece("good", add_special_tokens=False)["input_ids"] != sentencepiece("</s>good", add_special_tokens=False)["input_ids"][1:]
    )
    assert "".join(sentencepiece.convert_ids_to_tokens(encoded.tokens)).endswith("good</s>")
    assert "▁good" not in "".join(sentencepiece.convert_ids_to_tokens(encoded.tokens))
