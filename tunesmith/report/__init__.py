"""The report of a run: a self-contained page, a fragment for notebooks, and a model card, all made from report.json; and the page of a data check."""

from tunesmith.report.checks import check_page
from tunesmith.report.group_page import render_group
from tunesmith.report.page import html_fragment, render
from tunesmith.report.summary import sentences, summarize

__all__ = ["check_page", "html_fragment", "render", "render_group", "sentences", "summarize"]
