"""The report of a run: a self-contained page, a fragment for notebooks, and a model card, all made from report.json; and the page of a data check."""

from tunesmith.report.chain_page import render_chain
from tunesmith.report.checks import check_page
from tunesmith.report.comparison import comparison_reason
from tunesmith.report.comparison_page import render_comparison
from tunesmith.report.group_page import render_group
from tunesmith.report.page import html_fragment, render
from tunesmith.report.summary import sentences, summarize

__all__ = [
    "check_page",
    "comparison_reason",
    "html_fragment",
    "render",
    "render_chain",
    "render_comparison",
    "render_group",
    "sentences",
    "summarize",
]
