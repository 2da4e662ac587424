"""Chat templates in their sandbox: what may be done renders as transformers renders it, what may not is one error, soon."""

import copy
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tunesmith.core.errors import ModelError
from tunesmith.core.types import Chat, Completion, Message, ModelFacts, Origin, Prompt
from tunesmith.data import TextEncoder
from tunesmith.data._sandbox import Limits, TemplateFailure, TemplateSandbox

Facts = Callable[..., ModelFacts]
TALK = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Wie geht's? <b>é人</b>"},
    {"role": "assistant", "content": '"fine" & well'},
    {"role": "user", "content": "Bye"},
]


@pytest.fixture(scope="module")
def box() -> Iterator[TemplateSandbox]:
    made = TemplateSandbox()
    yield made
    made.close()


BENIGN = {
    "tojson": "{% for m in messages %}{{ m | tojson }}{{ m | tojson(indent=2) }}{{ m.content | tojson(ensure_ascii=True) }}{% endfor %}",
    "loop controls": "{% for m in messages %}{% if m.role == 'system' %}{% continue %}{% endif %}{{ m.content }}{% if loop.index > 2 %}{% break %}{% endif %}{% endfor %}",
    "generation blocks": "{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{% set x = m.content %}{{ x }}{% endgeneration %}{% else %}{{ m.content }}{% endif %}\n{% endfor %}{{ x is defined }}",
    "namespaces": "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + m.content | length %}{% endfor %}{{ ns.n }}",
    "macros": "{% macro turn(m) -%}\n  <{{ m['role'] }}>{{ m['content'] | trim }}\n{%- endmacro %}\n{%- for m in messages %}{{ turn(m) }}{% endfor %}",
    "white space of blocks": "  {% if add_generation_prompt %}\n  go\n  {% endif %}\n{% for m in messages %}\n{{ m.content }}\n{% endfor %}\n",
    "the year": "{{ strftime_now('%Y') }}",
    "special tokens": "{{ bos_token }}{{ messages[0].content + eos_token }}{{ pad_token }}",
    "nothing of tools": "{% if tools %}tools{% endif %}{% if documents %}documents{% endif %}{{ tools is none }}{{ documents is none }}{{ thinking is defined }}",
    "slices and methods": "{{ messages[1:][::-1][0].content.upper().split('Y') }}{{ messages | map(attribute='role') | join(',') }}{{ dict(a=1).items() | list }}",
    "tests and filters": "{{ messages[0].content is string }}{{ messages | selectattr('role', 'equalto', 'user') | list | length }}{{ 'a' * 3 }}{{ 2 ** 10 }}{{ 'x' ~ 1 }}{{ range(3) | list }}",
    "a macro that calls itself": "{% macro f(n) %}{{ n }}{% if n %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(50) }}",
}


@pytest.mark.parametrize("name", BENIGN)
@pytest.mark.parametrize("asks", [True, False])
def test_a_benign_template_renders_as_transformers_renders_it(name: str, asks: bool, chatml: Any, box: TemplateSandbox) -> None:
    tokenizer = copy.deepcopy(chatml)
    tokenizer.chat_template = BENIGN[name]
    expected = tokenizer.apply_chat_template(TALK, tokenize=False, add_generation_prompt=asks)
    assert box.render(BENIGN[name], tokenizer.special_tokens_map, [(TALK, [(4, asks)], [])]) == [[expected]]


HOSTILE = {
    "loops for ever": ("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", "time"),
    "loops in a macro": ("{% macro f(n) %}{% for a in range(99999) %}{{ f(n) if n < 0 }}{% endfor %}{% endmacro %}{% for a in range(99999) %}{{ f(1) }}{% endfor %}", "time"),
    "reads an attribute": ("{{ ''.__class__.__mro__ }}", "security"),
    "reads an attribute through a filter": ("{{ '' | attr('__class__') }}{{ ('' | attr('__class__')).__mro__ }}", "security"),
    "reads globals": ("{{ raise_exception.__globals__ }}", "security"),
    "formats an attribute": ("{{ '{0.__class__.__mro__}'.format(1) }}", "security"),
    "changes what it is given": ("{{ messages.append(1) }}", "security"),
    "names an underscore": ("{% set ns = namespace() %}{% set ns.__class__ = 1 %}", "security"),
    "multiplies a text": ("{{ 'a' * 10000000000 }}", "security"),
    "raises to a power": ("{{ 9 ** 999999999 }}", "security"),
    "pads a text": ("{{ 'a'.ljust(4000000000) }}", "memory"),
    "doubles a text": ("{% set ns = namespace(a='a' * 1000000) %}{% for i in range(20) %}{% set ns.a = ns.a + ns.a %}{% endfor %}{{ ns.a | length }}", "memory"),
    "formats with a width": ("{{ '%4000000000d' % 1 }}", "memory"),
    "writes too much": ("{{ 'a' * 5000000 }}", "output"),
    "calls itself for ever": ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "depth"),
    "is nested deeply": ("{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}", "depth"),
    "opens blocks and never ends them": ("{% if 1 %}" * 5000, "depth"),
    "is no template": ("{% for %}", "syntax"),
    "includes a file": ("{% include '/etc/passwd' %}", "refused"),
    "imports": ("{% import 'os' as os %}{{ os.system('true') }}", "refused"),
    "refuses": ("{{ raise_exception('System role not supported') }}", "refused"),
    "knows nothing": ("{{ nothing.at.all }}", "refused"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_template_is_refused_within_five_seconds(name: str, box: TemplateSandbox) -> None:
    template, kind = HOSTILE[name]
    box.render("warm", {}, [(TALK, [(1, True)], [])])
    started = time.perf_counter()
    with pytest.raises(TemplateFailure) as failure:
        box.render(template, {}, [(TALK, [(4, True)], [])])
    assert time.perf_counter() - started < 5
    assert failure.value.kind in ({kind, "memory", "ended", "refused"} if kind == "depth" else {kind})  # how Python says so differs
    assert box.render("{{ messages[0].role }}", {}, [(TALK, [(1, True)], [])]) == [["system"]]  # it serves on


def test_what_no_signal_ends_is_ended_with_its_process() -> None:
    box = TemplateSandbox(Limits(seconds=60, wall_seconds=0.5))
    endless = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
    with pytest.raises(TemplateFailure) as failure:
        box.render(endless, {}, [(TALK, [(4, True)], [])])
    assert failure.value.kind == "time"
    assert box.render("x", {}, [(TALK, [(4, True)], [])]) == [["x"]]
    box.close()


def test_the_process_is_started_once_and_not_used_by_a_fork(box: TemplateSandbox) -> None:
    box.render("x", {}, [(TALK, [(1, True)], [])])
    process = box._process
    assert process is not None
    box.render("y", {}, [(TALK, [(1, True)], [])])
    assert box._process is process
    child = os.fork()
    if child == 0:
        good = box.render("z", {}, [(TALK, [(1, True)], [])]) == [["z"]] and box._process is not process
        box.close()
        os._exit(0 if good else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert box.render("x", {}, [(TALK, [(1, True)], [])]) == [["x"]]
    assert box._process is process


def test_the_first_conversation_that_fails_is_named(chatml: Any, facts: Facts) -> None:
    other = copy.deepcopy(chatml)
    other.chat_template = (
        "{% for m in messages %}{% if m.content == 'bad' %}{{ raise_exception('no such turn') }}{% endif %}{{ m.content }}!{% endfor %}"
    )
    rows = [Completion(text, "yes", Origin("a.jsonl", row)) for row, text in enumerate(["one", "two", "bad", "bad"], start=1)]
    with pytest.raises(ModelError, match=r"^a\.jsonl:3: tiny: its chat template refuses a conversation of user, assistant: no such turn"):
        TextEncoder(other, facts()).encode_all(rows)


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{{ ''.__class__ }}", "does what a template may not: access to attribute '__class__' of 'str' object is unsafe"),
        ("{{ 'a'.ljust(4000000000) }}", r"asks for more memory than it may have \(384 MiB\)"),
        ("{% for %}", r"cannot be read \(line 1"),
        ("{{ 'a' * 9000000 }}", r"writes more text than it may \(4,000,000 characters\)"),
    ],
)
def test_an_error_is_one_line_that_says_what_to_do(template: str, said: str, chatml: Any, facts: Facts) -> None:
    other = copy.deepcopy(chatml)
    other.chat_template = template
    with pytest.raises(ModelError, match=f"^a.jsonl:1: tiny: its chat template {said}") as error:
        TextEncoder(other, facts()).encode(Completion("x", "fine", Origin("a.jsonl", 1)))
    assert "Set data.chat_template to another, or use another model." in str(error.value)
    assert "\n" not in str(error.value)


def test_several_templates_need_a_default(chatml: Any, facts: Facts) -> None:
    other = copy.deepcopy(chatml)
    prompt = Prompt((Message("user", "hello"),), Origin("", 1))
    expected = TextEncoder(other, facts()).prompt(prompt)
    other.chat_template = {"default": chatml.chat_template, "rag": "x"}
    assert TextEncoder(other, facts()).prompt(prompt) == expected
    other.chat_template = {"tool_use": "x", "rag": "x"}
    with pytest.raises(ModelError, match=r"several chat templates \(rag, tool_use\) and none is the default"):
        TextEncoder(other, facts()).prompt(prompt)


def test_a_conversation_that_begins_with_its_answer_is_refused(chatml: Any, facts: Facts) -> None:
    with pytest.raises(ModelError, match=r"a\.jsonl:7: .* begins with its answer"):
        TextEncoder(chatml, facts()).encode(Chat((Message("assistant", "hi"),), Origin("a.jsonl", 7)))
