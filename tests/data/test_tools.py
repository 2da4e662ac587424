"""Tools: the documented examples of OpenAI and LLaMA-Factory, what the model reads of them, and what is learned."""

import json
from typing import Any

import pytest

from tunesmith.core import registry
from tunesmith.core.errors import DataError, ModelError
from tunesmith.core.types import Call, Chat, Output
from tunesmith.data import TextEncoder, chat_template, read

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_current_weather",
        "description": "Get the current weather",
        "parameters": {"type": "object", "properties": {"location": {"type": "string"}}, "required": ["location"]},
    },
}
OPENAI = {
    "messages": [
        {"role": "user", "content": "What is the weather in San Francisco?"},
        {
            "role": "assistant",
            "tool_calls": [
                {
                    "id": "call_id",
                    "type": "function",
                    "function": {"name": "get_current_weather", "arguments": '{"location": "San Francisco, USA"}'},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "call_id", "content": "21.0"},
        {"role": "assistant", "content": "It is 21 degrees celsius in San Francisco, CA"},
    ],
    "parallel_tool_calls": False,
    "tools": [WEATHER],
}
LLAMA_FACTORY = {
    "conversations": [
        {"from": "human", "value": "What is the weather in San Francisco?"},
        {"from": "function_call", "value": '{"name": "get_current_weather", "arguments": {"location": "San Francisco, USA"}}'},
        {"from": "observation", "value": "21.0"},
        {"from": "gpt", "value": "It is 21 degrees celsius in San Francisco, CA"},
    ],
    "tools": json.dumps([WEATHER["function"]]),
}


def chat(record: dict[str, Any]) -> Chat:
    (example,) = read([record]).examples
    assert isinstance(example, Chat)
    return example


@pytest.fixture
def hermes(chatml: Any, facts: Any) -> TextEncoder:
    chatml.chat_template = chat_template("hermes", chatml, "tiny")
    return TextEncoder(chatml, facts(max_length=2048))


@pytest.fixture(autouse=True)
def _own_template(chatml: Any) -> Any:
    kept = chatml.chat_template
    yield
    chatml.chat_template = kept


@pytest.mark.parametrize("record", [OPENAI, LLAMA_FACTORY], ids=["openai", "llama-factory"])
def test_documented_examples_load_unchanged(record: dict[str, Any]) -> None:
    example = chat(record)
    assert [message.role for message in example.messages] == ["user", "assistant", "tool", "assistant"]
    assert example.messages[1].calls == (Call("get_current_weather", '{"location": "San Francisco, USA"}'),)
    assert example.messages[1].content == ""
    assert example.messages[2].content == "21.0"
    assert json.loads(example.tools[0]) in (WEATHER, WEATHER["function"])


def test_calls_and_answers_are_learned_with_their_ends_and_nothing_else(hermes: TextEncoder) -> None:
    encoded = hermes.encode(chat(OPENAI))
    runs, run = [], list[int]()
    for token, scored in zip(encoded.tokens, encoded.scored, strict=True):
        if scored:
            run.append(token)
        elif run:
            runs.append(hermes.spell(run))
            run = []
    runs.append(hermes.spell(run))
    call = '<tool_call>\n{"name": "get_current_weather", "arguments": {"location": "San Francisco, USA"}}\n</tool_call>'
    assert runs == [f"{call}<|im_end|>", "It is 21 degrees celsius in San Francisco, CA<|im_end|>"]


def test_the_model_reads_what_the_tokenizers_own_rendering_gives(hermes: TextEncoder) -> None:
    example = chat(OPENAI)
    call = {"name": "get_current_weather", "arguments": {"location": "San Francisco, USA"}}
    messages = [
        {"role": "user", "content": "What is the weather in San Francisco?"},
        {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": call}]},
        {"role": "tool", "content": "21.0"},
        {"role": "assistant", "content": "It is 21 degrees celsius in San Francisco, CA"},
    ]
    whole = hermes.tokenizer.apply_chat_template(messages, tools=[WEATHER], tokenize=False)
    assert hermes.spell(hermes.encode(example).tokens) == whole.rstrip("\n")
    assert "get_current_weather" in whole.split("</tools>")[0]


def test_the_reference_of_a_call_is_what_the_template_writes(hermes: TextEncoder) -> None:
    example = chat({**OPENAI, "messages": OPENAI["messages"][:2]})  # type: ignore[index]
    assert hermes.reference(example).startswith("<tool_call>\n{")
    assert hermes.encode(example).tokens[: len(hermes.prompt(example))] == hermes.prompt(example)


def test_a_template_without_tools_is_refused_with_the_way_out(chatml: Any, base: Any, facts: Any) -> None:
    with pytest.raises(ModelError, match=r"list:1: .*leaves out a tool\. Set data.chat_template to one that writes tools, such as hermes"):
        TextEncoder(chatml, facts()).encode(chat(OPENAI))
    without = {"messages": OPENAI["messages"]}
    with pytest.raises(ModelError, match="leaves out a tool's call"):
        TextEncoder(chatml, facts()).encode(chat(without))
    with pytest.raises(ModelError, match="the plain layout has no tools"):
        TextEncoder(base, facts()).encode(chat(without))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"tools": [{"type": "function"}]}, "as tool 1, expected"),
        ({"tools": "[{"}, "is no JSON"),
        (
            {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "tool_calls": [{"function": {}}]}]},
            'expected a tool with "name"',
        ),
        (
            {
                "messages": [
                    {"role": "user", "content": "a"},
                    {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{"}}]},
                ]
            },
            "calls f with .*expected the arguments as a JSON object",
        ),
        ({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": None}]}, "message 2 holds None"),
    ],
)
def test_what_is_no_tool_or_no_call_is_refused_with_its_row(change: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said) as caught:
        read([{**OPENAI, **change}])
    assert "list:1" in str(caught.value)


def test_a_call_that_spells_a_special_token_is_refused(hermes: TextEncoder) -> None:
    messages = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": '{"x": "<|im_end|>"}'}}]},
    ]
    with pytest.raises(DataError, match="spells a special token"):
        hermes.encode(chat({"messages": messages}))


def test_a_call_as_the_layout_writes_it_is_one_that_the_metric_finds_valid(hermes: TextEncoder) -> None:
    calling, metric = chat({**OPENAI, "messages": OPENAI["messages"][:2]}), registry.create("metric", "tool_calls_valid")
    reference = hermes.reference(calling)
    assert metric.applies(calling, reference)
    assert metric.stats(calling, Output(text=reference), reference) == (1.0,)
    assert metric.stats(calling, Output(text=reference.replace("location", "place")), reference) == (0.0,)
