"""The command `tunesmith`: its parts, and what becomes of an error.

Nothing heavy is imported here: `tunesmith --help` answers at once, and a command imports what it needs when it runs.
"""

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from tunesmith import __version__
from tunesmith.cli import (
    advise,
    ask,
    axes,
    chat,
    compare,
    conversations,
    data,
    doctor,
    evaluate,
    export,
    feedback,
    index,
    judge,
    merge,
    models,
    predict,
    quantize,
    recipe,
    runs,
    tune,
)
from tunesmith.cli.output import error_document, print_json
from tunesmith.core.errors import TunesmithError, UsageError, one_line

__all__ = ["app", "main", "run"]

app = typer.Typer(name="tunesmith", pretty_exceptions_enable=False, context_settings={"help_option_names": ["-h", "--help"]})

app.command("tune")(tune.tune)
app.command("advise")(advise.advise)
app.command("compare")(compare.compare)
app.command("evaluate")(evaluate.evaluate)
app.command("predict")(predict.predict)
app.command("chat")(chat.chat)
app.command("index")(index.index)
app.command("ask")(ask.ask)
app.command("merge")(merge.merge)
app.command("quantize")(quantize.quantize)
app.command("export")(export.export)
app.add_typer(data.app, name="data")
app.add_typer(models.app, name="models")
app.add_typer(runs.app, name="runs")
app.add_typer(recipe.app, name="recipe")
app.command("axes")(axes.axes)
app.command("conversations")(conversations.conversations)
app.add_typer(judge.app, name="judge")
app.add_typer(feedback.app, name="feedback")
app.command("doctor")(doctor.doctor)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tunesmith {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)] = False,
) -> None:
    """Adapt a language model to a task, and learn whether it worked.

    `tunesmith tune reviews` tunes a small model on film reviews; `tunesmith recipe list` shows the other recipes that come with it.
    """


def main() -> None:
    """Run the command line and exit."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that cannot show a character shows a question mark
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run a command and return its exit code. An error becomes one line on stderr and, with `--json`, a document on stdout."""
    try:
        # in this mode a typer.Exit comes back as its code
        code = app(list(arguments) or ["--help"], standalone_mode=False, prog_name="tunesmith")
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except TunesmithError as error:
        return _failed(error, arguments)
    except typer.TyperException as error:
        said = error.format_message().rstrip(".?")
        if not said:  # a group without its command: typer has shown its help
            return UsageError.exit_code
        end = "?" if error.format_message().endswith("?") else "."
        return _failed(UsageError(f"{said}{end} `tunesmith --help` shows what there is."), arguments)
    except (KeyboardInterrupt, typer.Abort):
        sys.stderr.write("interrupted\n")
        return 130
    except BrokenPipeError:
        # the reader went away (`| head`); what Python still holds back must not fail when it exits
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:
        return _bug(error, arguments)


def _failed(error: TunesmithError, arguments: Sequence[str]) -> int:
    sys.stderr.write(f"error: {one_line(error)}\n")
    if "--json" in arguments:
        print_json(error_document(error))
    return error.exit_code


def _bug(error: Exception, arguments: Sequence[str]) -> int:
    """Keep the traceback in a file: it is for the one who mends it."""
    import tempfile
    import traceback

    if os.environ.get("TUNESMITH_DEBUG"):
        traceback.print_exception(error)
    with tempfile.NamedTemporaryFile("w", prefix="tunesmith-", suffix=".txt", delete=False, encoding="utf-8") as file:
        file.write(f"tunesmith {__version__}, Python {sys.version}\ntunesmith {' '.join(arguments)}\n\n")
        file.writelines(traceback.format_exception(error))
    text = f"{type(error).__name__}: {one_line(error)}. This is a bug of tunesmith; please report it with {file.name}"
    return _failed(TunesmithError(text), arguments)
