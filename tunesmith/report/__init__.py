"""The report of a run: a self-contained page, a fragment for notebooks, and a model card, all made from report.json."""

from tunesmith.report.page import html_fragment, render
from tunesmith.report.summary import sentences, summarize

__all__ = ["html_fragment", "render", "sentences", "summarize"]
