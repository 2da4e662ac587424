"""A template that never looks at what is said is run once for all conversations of the same roles, and writes what it would have written."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.core.errors import ModelError
from tunesmith.core.types import Chat, Message, ModelFacts, Origin
from tunesmith.data import TextEncoder
from tunesmith.data._pieces import Piece
from tunesmith.data._recent import Recent
from tunesmith.data._sandbox import TemplateFailure, TemplateSandbox
from tunesmith.data._shapes import Pattern, is_opaque, mark
from tunesmith.data.layouts import LAYOUTS
from tunesmith.data.render import Renderer

Facts = Callable[..., ModelFacts]
HERE = Origin("a.jsonl", 1)
ROLES = ("system", "user", "assistant")
LOOKS = {
    "a character": "{{ messages[0].content[0] }}",
    "a slice": "{{ messages[0].content[:3] }}",
    "a text within": "{% if 'x' in messages[0].content %}a{% endif %}",
    "within a text": "{% if messages[0].content in 'abc' %}a{% endif %}",
    "within a list": "{% if messages[0].content in ['abc'] %}a{% endif %}",
    "a comparison": "{% if messages[0].content == 'a' %}a{% endif %}",
    "an order": "{% if messages[0].content < 'a' %}a{% endif %}",
    "of two": "{% if messages[0].content != messages[1].content %}a{% endif %}",
    "JSON": "{{ messages | tojson }}",
    "as a list is written": "{{ messages }}",
    "a key": "{{ {'a': 1}[messages[0].content] }}",
    "a key with a default": "{{ {'a': 1}.get(messages[0].content) }}",
    "an index": "{{ [1][messages[0].content] is defined }}",
    "its length": "{{ messages[0].content | length }}",
    "upper case": "{{ messages[0].content | upper }}",
    "its words": "{{ messages[0].content.split('a')[0] }}",
    "an attribute": "{{ messages[0].content.foo is defined }}",
    "the end of more": "{{ (messages[0].content + 'b ') | trim }}",
    "more without its end": "{{ ('b' + messages[0].content).strip() }}",
    "what a block wrote": "{% set x %}{{ messages[0].content }}{% endset %}{{ x | length }}",
    "what a macro wrote": "{% macro f(x) %}{{ x }}{% endmacro %}{{ f(messages[0].content) | length }}",
    "what a filter wrote": "{% filter upper %}{{ messages[0].content }}{% endfilter %}",
    "of all": "{{ messages | map(attribute='content') | join }}",
    "a format": "{{ '%10s' % messages[0].content }}",
    "another format": "{{ '{:>10}'.format(messages[0].content) }}",
    "a concatenation": "{{ (messages[0].content ~ 'a') | length }}",
    "its characters": "{% for c in messages[0].content %}{{ c }}.{% endfor %}",
    "a product": "{{ messages[0].content * 2 }}",
    "a complaint": "{{ raise_exception(messages[0].content) }}",
    "the day": "{{ strftime_now('%d') }}",
    "any text": "{{ lipsum() }}",
    "what is chosen": "{{ messages | selectattr('content') | list | length }}",
    "what is sorted": "{{ (messages | sort(attribute='content'))[0].role }}",
    "a random one": "{{ ['a', 'b'] | random }}",
    "whether it is one of": "{% if messages[0].content is in ['a'] %}a{% endif %}",
    "whether it is lower": "{% if messages[0].content is lower %}a{% endif %}",
}
BLIND = {
    "written": "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}",
    "joined": "{% for m in messages %}{{ '<' + m['role'] + '>' + m['content'] + eos_token }}{% endfor %}",
    "trimmed": "{% for m in messages %}{{ m.content | trim }}{{ m.content.strip() + '!' }}{% endfor %}",
    "asked for its kind": "{% for m in messages %}{% if m.content is string and m.content is not none and m.content is defined and m.content is not mapping %}{{ m.content }}{% endif %}{% endfor %}",
    "or a default": "{% for m in messages %}{{ m.content or 'nothing' }}{{ m.content | default('nothing') }}{% if m.content != '' %}!{% endif %}{% endfor %}",
    "kept": "{% set ns = namespace(a='') %}{% for m in messages %}{% set ns.a = ns.a + m.content + '\n' %}{% endfor %}{{ ns.a }}",
    "counted": "{{ messages | length }}{{ messages[0].role }}{{ (messages | last).content }}{% if messages[0] == messages[0] %}!{% endif %}",
}


@pytest.fixture(scope="module")
def box() -> Iterator[TemplateSandbox]:
    made = TemplateSandbox()
    yield made
    made.close()


def conversation(*texts: str) -> list[dict[str, str]]:
    return [{"role": role, "content": text} for role, text in zip(ROLES, texts, strict=True)]


@pytest.mark.parametrize("name", LOOKS)
def test_a_look_at_what_is_said_fails(name: str, box: TemplateSandbox) -> None:
    with pytest.raises(TemplateFailure) as failure:
        box.render(LOOKS[name], {"eos_token": "</s>"}, [(conversation(*map(mark, range(3))), [(3, False)], [])], hides=True)
    assert failure.value.kind in ("looked", "refused")


@pytest.mark.parametrize("name", [*BLIND, *LAYOUTS])
@settings(max_examples=25, deadline=None)
@given(texts=st.tuples(*[st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=9).filter(is_opaque)] * 3))
def test_what_is_written_blindly_is_what_is_written(name: str, texts: tuple[str, str, str], box: TemplateSandbox) -> None:
    template = BLIND[name] if name in BLIND else LAYOUTS[name].text
    variables, cuts = {"eos_token": "</s>", "bos_token": "<s>"}, [(2, True), (3, False)]
    hidden = box.render(template, variables, [(conversation(*map(mark, range(3))), cuts, [])], hides=True)[0]
    seen = box.render(template, variables, [(conversation(*texts), cuts, [])])[0]
    patterns = [Pattern.of(text) for text in hidden]
    assert [one if isinstance(one, str) else one.filled(texts) for one in patterns] == seen


TEXTS = st.sampled_from(["Why?", " why", "", "fine.\n", "50 % of <b>é人</b>", "<|im_end|>", "%s", "Why?Why?", "\ufdd0", "<s>", "0"])
TALKS = st.tuples(st.none() | TEXTS, st.lists(st.tuples(TEXTS, TEXTS, st.booleans()), min_size=1, max_size=3))


def talk_of(given_talk: Any) -> Chat:
    system, pairs = given_talk
    turns = [] if system is None else [Message("system", system)]
    for asked, said, learned in pairs:
        turns += [Message("user", asked), Message("assistant", said, learned)]
    return Chat(tuple(turns), HERE)


def pieces_or_error(renderer: Renderer, talk: Chat, answered: bool) -> list[Piece] | str:
    try:
        return renderer.pieces([talk], answered=answered)[0]
    except ModelError as error:
        return str(error)


WITH_A_LOOK = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content[:1] + m.content[1:] }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
DROPS_EARLIER = "{% for m in messages %}{% if m.role != 'assistant' or loop.last %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endif %}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"


@pytest.mark.parametrize("loss_on", ["assistant", "all", "last"])
@pytest.mark.parametrize("template", [None, WITH_A_LOOK, DROPS_EARLIER, *BLIND.values()])
@settings(max_examples=25, deadline=None)
@given(given_talks=st.lists(TALKS, min_size=1, max_size=3), answered=st.booleans())
def test_pieces_are_the_same_whether_the_template_is_run_or_not(
    template: str | None, loss_on: Any, given_talks: Any, answered: bool, chatml: Any
) -> None:
    tokenizer = copy.deepcopy(chatml)
    tokenizer.chat_template = template or tokenizer.chat_template
    quick, slow = (Renderer(tokenizer, "tiny", loss_on=loss_on) for _ in range(2))
    slow._programs.clear()
    for given_talk in given_talks:
        talk = talk_of(given_talk)
        found = pieces_or_error(quick, talk, answered)
        for program in slow._programs.values():
            program.is_blind = False
        if not slow._programs:
            pieces_or_error(slow, talk_of((None, [("a", "b", True)])), answered)
            (program,) = slow._programs.values()
            program.is_blind = False
        assert found == pieces_or_error(slow, talk, answered)


def test_the_template_runs_once_for_conversations_of_the_same_roles(chatml: Any, facts: Facts, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, render = list[int](), TemplateSandbox.render

    def counted(self: TemplateSandbox, template: str, variables: Any, conversations: Any, **options: Any) -> Any:
        asked.append(len(conversations))
        return render(self, template, variables, conversations, **options)

    monkeypatch.setattr(TemplateSandbox, "render", counted)
    encoder = TextEncoder(chatml, facts())
    talks = [talk_of((None, [(f"question {n}", f"answer {n}", True)])) for n in range(50)]
    encoder.encode_all(talks)
    assert [one for one in asked if one] == [1]
    encoder.encode_all([*talks, talk_of((None, [("with its white space ", "fine", True)]))])
    assert [one for one in asked if one] == [1, 1]


def test_a_template_that_looks_is_asked_blindly_once(chatml: Any, facts: Facts) -> None:
    tokenizer = copy.deepcopy(chatml)
    tokenizer.chat_template = WITH_A_LOOK
    renderer = Renderer(tokenizer, "tiny")
    renderer.pieces([talk_of((None, [("a", "b", True)])), talk_of(("c", [("a", "b", True)]))])
    (program,) = renderer._programs.values()
    assert not program.is_blind
    assert not program.shapes or list(program.shapes.values()) == [None]


def test_recent_strings_are_remembered_and_the_eldest_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tunesmith.data._recent._MOST_TOKENS", 10)
    recent, found = Recent(), dict[str, Any]({"<s>": (0,)})
    assert recent.take(["a", "b", "a", "<s>"], found) == ["a", "b"]
    recent.keep("a", [1, 2])
    recent.keep("b", [3])
    assert recent.take(["a", "<s>", "c"], found) == ["c"]
    assert found == {"<s>": (0,), "a": [1, 2]}
    for number in range(12):
        recent.keep(f"other {number}", [4, 5])
        recent.take(["a"], {})  # which is asked for all the time
    assert recent.take(["a", "b"], found) == ["b"]
    monkeypatch.setattr("tunesmith.data._recent._LONGEST", 1)
    recent.keep("long", [1, 2])
    assert recent.take(["long"], {}) == ["long"]
