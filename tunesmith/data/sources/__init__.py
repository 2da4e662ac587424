"""Where records come from: one file a source.

A source has `rank` (lower ones are asked first), `claims(source) -> bool` and `read(source) -> Table`.
"""
