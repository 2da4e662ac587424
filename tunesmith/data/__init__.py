"""From files, folders, packages and hub ids to encoded rows: read, split, render, encode, inspect."""

from tunesmith.data.chat_encoder import UNKNOWN_WINDOW, ChatEncoder, Request
from tunesmith.data.encode import EncodedFacts, EncodedRows, Lengths, encode
from tunesmith.data.encoder import TextEncoder
from tunesmith.data.inspect import inspect
from tunesmith.data.keeping import kept_labels, kept_splits
from tunesmith.data.layouts import LAYOUTS, chat_template, is_template_file
from tunesmith.data.prediction import example_to_predict
from tunesmith.data.preview import preview
from tunesmith.data.quarantine import InvalidRow, Quarantine, write_quarantine
from tunesmith.data.read import Dataset, SourceFacts, is_named_by_mapping, read, require_there
from tunesmith.data.records import iter_records, iter_rows
from tunesmith.data.row_table import RowTable
from tunesmith.data.split import Splits, content_key, fraction_of, limited, num_overlapping, refuse_overlap, split
from tunesmith.data.stored import StoredExamples, StoredTexts, chosen
from tunesmith.data.wording import Asked

__all__ = [
    "LAYOUTS",
    "UNKNOWN_WINDOW",
    "Asked",
    "ChatEncoder",
    "Dataset",
    "EncodedFacts",
    "EncodedRows",
    "InvalidRow",
    "Lengths",
    "Quarantine",
    "Request",
    "RowTable",
    "SourceFacts",
    "Splits",
    "StoredExamples",
    "StoredTexts",
    "TextEncoder",
    "chat_template",
    "chosen",
    "content_key",
    "encode",
    "example_to_predict",
    "fraction_of",
    "inspect",
    "is_named_by_mapping",
    "is_template_file",
    "iter_records",
    "iter_rows",
    "kept_labels",
    "kept_splits",
    "limited",
    "num_overlapping",
    "preview",
    "read",
    "refuse_overlap",
    "require_there",
    "split",
    "write_quarantine",
]
