"""Where records come from: one file a source.

A source has `rank` (lower ones are asked first), `claims(source) -> bool` and `read(source) -> Table`. One whose rows can be broken one by one has
`quarantines = True` and takes a `Quarantine`, or None, as the second argument of `read`.
"""
