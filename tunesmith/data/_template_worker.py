"""The process that runs chat templates: a script, started by `_sandbox.py`, that imports nothing of the package.

A template is a program that came with a model. Here it runs in jinja2's immutable sandbox, which lets it read no attribute that begins with an
underscore and change nothing that it is given, in a process that may not write files, and whose time, memory and output are limited.

What a template finds here is what transformers offers it: `messages`, `add_generation_prompt`, `tools`, `documents`, the special tokens by
their names, `raise_exception`, `strftime_now`, a `tojson` that leaves characters as they are, `generation` blocks, `break` and `continue`.
Source: https://huggingface.co/docs/transformers/chat_templating_writing.

Speaks JSON, a line a request and a line an answer:

    {"template", "variables", "hides", "conversations": [[messages, [[number of messages, whether the assistant is asked], ...], tools], ...]}
    {"texts": [[text, ...], ...]} or {"failed": index of the conversation, "kind", "said"}

A request that `hides` what is said asks whether the template writes the same around any texts: one that looks at them fails.
"""

import json
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import lru_cache, wraps
from typing import Any

if __name__ == "__main__":  # started in isolation: the caller says where jinja2 lies
    sys.path.insert(0, sys.argv[2])

from jinja2 import TemplateError, TemplateSyntaxError, nodes
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension, loopcontrols
from jinja2.nodes import EvalContext
from jinja2.parser import Parser
from jinja2.runtime import Context, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

__all__ = ["main"]

_MOST_BITS = 4096
_MOST_REPEATED = 10_000_000


class _TooLong(BaseException):
    """The time is up. Not an Exception: nothing in between catches it."""


class _TooMuch(Exception):
    """The text is longer than it may be."""


class _Looked(BaseException):
    """The template wants to know what is said. Not an Exception: nothing in between catches it."""


def _look(*_: Any, **__: Any) -> Any:
    raise _Looked


class _Hidden:
    """What is said, out of sight: it can be put between texts and written. It is not empty and has no white space at its ends; more is not told."""

    def __init__(self, text: str, is_joined: bool = False) -> None:
        self._text, self._is_joined = text, is_joined

    def __add__(self, other: Any) -> "_Hidden":
        return _Hidden(self._text + _written(other), True)

    def __radd__(self, other: Any) -> "_Hidden":
        return _Hidden(_written(other) + self._text, True)

    def __bool__(self) -> bool:
        return True

    def __eq__(self, other: object) -> bool:
        if other is None or (isinstance(other, str) and not other):
            return False
        raise _Looked

    def strip(self) -> "_Hidden":
        """As it is, where nothing was put around it."""
        if self._is_joined:
            raise _Looked
        return self

    def __hash__(self) -> int:
        raise _Looked

    __format__ = __getattr__ = __getitem__ = __repr__ = __str__ = _look
    """What Python, or jinja2 where it passes over an error, would else answer with something about this object."""


def _written(value: Any) -> str:
    if isinstance(value, _Hidden):
        return value._text
    if isinstance(value, str):
        return value
    raise _Looked


class _Generation(Extension):
    """`{% generation %}` marks what the assistant wrote; here it is only a block with names of its own."""

    tags = {"generation"}  # noqa: RUF012

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        return nodes.Scope(parser.parse_statements(("name:endgeneration",), drop_needle=True), lineno=line)


class _Namespace(Namespace):
    """Jinja's `namespace`, without names that begin with an underscore."""

    def __init__(*args: Any, **values: Any) -> None:
        self, *given = args
        Namespace.__init__(self)
        for name, value in dict(*given, **values).items():
            self[name] = value

    def __setitem__(self, name: str, value: Any) -> None:
        if str(name).startswith("_"):
            raise SecurityError(f"a namespace takes no name with an underscore in front, found {name!r}")
        Namespace.__setitem__(self, name, value)


class _Environment(ImmutableSandboxedEnvironment):
    """Products and powers are looked at before they are made: one of them can take for ever in a single step that no signal ends."""

    intercepted_binops = frozenset(("*", "**"))

    def unsafe_undefined(self, obj: Any, attribute: str) -> Any:
        raise SecurityError(f"access to attribute {attribute!r} of {type(obj).__name__!r} object is unsafe")

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        for one, other in ((left, right), (right, left)):
            if isinstance(one, str | bytes | list | tuple) and isinstance(other, int) and len(one) * other > _MOST_REPEATED:
                raise SecurityError(f"repeats {len(one)} items {other} times")
        if isinstance(left, int) and isinstance(right, int):
            bits = left.bit_length() * right if operator == "**" else left.bit_length() + right.bit_length()
            if bits > _MOST_BITS:
                raise SecurityError(f"computes a number of {bits} bits")
        return super().call_binop(context, operator, left, right)


def _raise_exception(message: Any) -> None:
    raise TemplateError(str(message))


def _tojson(value: Any, ensure_ascii: bool = False, indent: Any = None, separators: Any = None, sort_keys: bool = False) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _strftime_now(format: str) -> str:
    return datetime.now().strftime(format)


def _dict(*given: Any, **values: Any) -> dict[Any, Any]:
    return dict(*given, **values)


def _environment(kind: type[_Environment] = _Environment) -> _Environment:
    made = kind(trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols])
    made.filters["tojson"] = _tojson
    made.globals.update(raise_exception=_raise_exception, strftime_now=_strftime_now, dict=_dict, namespace=_Namespace)
    return made


class _HidingEnvironment(_Environment):
    """What is said is hidden here."""

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(argument, _Hidden):
            raise _Looked
        return super().getitem(obj, argument)


_OF_ANY_TEXT = {"string": True, "iterable": True, "sequence": True, "defined": True}
_OF_ANY_TEXT |= dict.fromkeys(("undefined", "none", "mapping", "number", "integer", "float", "boolean", "true", "false", "callable"), False)
"""jinja2's tests that say the same of every text: they look at the kind of a value, not into it."""
_KEEPING = frozenset(("default", "d", "string", "trim"))
"""Filters that leave a text as it is that has no white space at its ends."""
_COUNTING = frozenset(("count", "default", "d", "first", "last", "length", "list"))
"""Filters that look at no item of a list."""
_CAPTURING = (nodes.AssignBlock, nodes.CallBlock, nodes.FilterBlock, nodes.Macro)
"""What makes a text of what was written, which could be looked at then."""


def _without_a_look(call: Callable[..., Any], of_hidden: Callable[[_Hidden], Any], looks_into_items: bool) -> Callable[..., Any]:
    """A filter or a test that gets no hidden text to see: of one in front it says `of_hidden`, and lists, which may hold one, are a look."""

    @wraps(call)  # jinja2's marks too, by which it is given a context first
    def guarded(*values: Any, **named: Any) -> Any:
        given = [value for value in (*values, *named.values()) if not isinstance(value, _Environment | Context | EvalContext)]
        if given and isinstance(given[0], _Hidden):
            if any(isinstance(value, _Hidden) for value in given[1:]):
                raise _Looked
            return of_hidden(given[0])
        plain = str | int | float | Undefined | None
        if not all(isinstance(value, plain) for value in (given if looks_into_items else given[1:])):
            raise _Looked
        return call(*values, **named)

    return guarded


def _text_or_value(value: Any) -> Any:
    return value._text if isinstance(value, _Hidden) else value


def _hiding_environment() -> _Environment:
    made = _environment(_HidingEnvironment)
    made.finalize = _text_or_value

    def test(name: str) -> Callable[[_Hidden], Any]:
        return lambda hidden: _OF_ANY_TEXT[name] if name in _OF_ANY_TEXT else _look()

    def filtered(name: str) -> Callable[[_Hidden], Any]:
        return lambda hidden: hidden.strip() if name == "trim" else hidden if name in _KEEPING else _look()

    tests: dict[str, Any] = dict(made.tests)
    filters: dict[str, Any] = dict(made.filters)
    made.tests.update({name: _without_a_look(call, test(name), name not in _OF_ANY_TEXT) for name, call in tests.items()})
    made.filters.update({name: _without_a_look(call, filtered(name), name not in _COUNTING) for name, call in filters.items()})
    made.globals |= dict.fromkeys(("lipsum", "strftime_now"), _look)  # not the same every time
    return made


@lru_cache(maxsize=16)
def _compiled(template: str, hides: bool = False) -> Any:
    if not hides:
        return _environment().from_string(template)
    environment = _hiding_environment()
    parsed = environment.parse(template)
    if next(parsed.find_all(_CAPTURING), None) is not None:
        raise _Looked
    return environment.from_string(parsed)


def _confine(memory_bytes: int) -> None:
    """No files written, no processes begun, no more memory than that, where the system can hold a process to it."""
    try:
        import resource
    except ImportError:  # Windows
        return
    wanted = {"RLIMIT_AS": memory_bytes, "RLIMIT_FSIZE": 0, "RLIMIT_CORE": 0, "RLIMIT_NPROC": 0}
    for name, most in wanted.items():
        try:
            resource.setrlimit(getattr(resource, name), (most, most))
        except (AttributeError, ValueError, OSError):  # a limit that this system does not know
            continue


def _expire(*_: Any) -> None:
    raise _TooLong


def _watch(seconds: float) -> None:
    """Raise _TooLong after so many seconds of computing; 0: no longer."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_VIRTUAL, seconds)


def _texts(asked: Mapping[str, Any], limits: Mapping[str, Any]) -> Iterator[list[str]]:
    """The texts of one conversation after the other."""
    template = None
    for messages, cuts, tools in asked["conversations"]:
        _watch(limits["seconds"])
        try:
            template = template or _compiled(asked["template"], asked["hides"])
            given = sum(len(message.get("content") or "") for message in messages)
            if asked["hides"]:
                messages = [{**message, "content": _Hidden(message["content"])} for message in messages]
            found = []
            for count, asks in cuts:
                text = template.render(
                    messages=messages[:count], add_generation_prompt=asks, tools=tools or None, documents=None, **asked["variables"]
                )
                if len(text) > limits["characters"] + 8 * given:
                    raise _TooMuch
                found.append(text)
        finally:
            _watch(0)
        yield found


def _answer(line: bytes, limits: Mapping[str, Any]) -> dict[str, Any]:
    texts = list[list[str]]()
    try:
        for found in _texts(json.loads(line), limits):
            texts.append(found)  # their number says which conversation failed
    except _TooLong:
        kind, said = "time", ""
    except _Looked:
        kind, said = "looked", ""
    except MemoryError:
        kind, said = "memory", ""
    except _TooMuch:
        kind, said = "output", ""
    except RecursionError:
        kind, said = "depth", ""
    except SecurityError as error:
        kind, said = "security", str(error)
    except TemplateSyntaxError as error:
        kind, said = "syntax", f"line {error.lineno}: {error.message}"
    except Exception as error:  # whatever a template's code raises
        kind, said = "refused", str(error) or type(error).__name__
    else:
        return {"texts": texts}
    return {"failed": len(texts), "kind": kind, "said": " ".join(said.split())[:300]}


def main() -> None:
    """Answer requests until there are no more."""
    limits = json.loads(sys.argv[1])
    if hasattr(signal, "SIGVTALRM"):
        signal.signal(signal.SIGVTALRM, _expire)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the caller's, who ends this process too
    _compiled("{{ messages }}").render(messages=[])  # whatever is imported late
    _confine(limits["memory_bytes"])
    answers = sys.stdout.buffer
    answers.write(b"ready\n")
    answers.flush()
    for line in sys.stdin.buffer:
        answers.write(json.dumps(_answer(line, limits)).encode("ascii") + b"\n")
        answers.flush()


if __name__ == "__main__":
    main()
