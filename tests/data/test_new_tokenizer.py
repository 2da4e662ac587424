"""Tokenizers that are learned from texts: what they know, what comes back, and what does not."""

from tunesmith.data.new_tokenizer import learn_tokenizer

TEXTS = ["The cat sat on the mat.", "The cat\nran, the dog sat."]


def test_pieces_give_every_text_back_even_of_letters_that_no_text_held() -> None:
    tokenizer = learn_tokenizer(TEXTS, size=300, of="pieces")
    for text in (*TEXTS, "Łódź 東京 \N{GRINNING FACE}\n  x"):
        assert tokenizer.decode(tokenizer(text)["input_ids"], skip_special_tokens=True) == text
    assert tokenizer("a")["input_ids"][0] == tokenizer.bos_token_id


def test_words_that_come_twice_are_tokens_whatever_stands_around_them() -> None:
    tokenizer = learn_tokenizer(TEXTS, size=300, of="words")
    assert set(tokenizer.get_vocab()) == {"<pad>", "<unk>", "<s>", "</s>", "▁the", "▁cat", "▁sat", "."}
    ids = tokenizer("The CAT\nsat. Rarely", add_special_tokens=False)["input_ids"]
    assert tokenizer.convert_ids_to_tokens(ids) == ["▁the", "▁cat", "▁sat", ".", "<unk>"]
    assert tokenizer.decode(ids[:4]) == "the cat sat."


def test_a_mark_is_the_same_token_at_the_beginning_of_a_text_and_behind_a_space() -> None:
    tokenizer = learn_tokenizer(["Yes. No (", "No , yes ( ."], size=300, of="words")
    assert set(tokenizer.get_vocab()) == {"<pad>", "<unk>", "<s>", "</s>", "▁yes", "▁(", ".", "▁no"}
    for text, expected in ((". yes", [".", "▁yes"]), ("yes .", ["▁yes", "."]), ("(", ["▁("]), ("no (", ["▁no", "▁("])):
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert tokenizer.convert_ids_to_tokens(ids) == expected
    assert tokenizer.decode(tokenizer(" . Yes  (", add_special_tokens=False)["input_ids"]) == ". yes ("


def test_the_same_texts_give_the_same_tokens_and_no_more_than_asked_for() -> None:
    texts = [f"word{n % 50} other{n % 70}" for n in range(300)]
    for of in ("pieces", "words"):
        first, second = (learn_tokenizer(texts, size=310, of=of) for _ in range(2))  # type: ignore[arg-type]
        assert first.get_vocab() == second.get_vocab()
        assert len(first) <= 310
