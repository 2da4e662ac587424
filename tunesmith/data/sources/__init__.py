"""Where records come from: one file a source.

A source that a plain text or an object names has `rank` (lower ones are asked first), `claims(source) -> bool` and `read(source) -> Table`.
One with required options is named by a mapping of its options, such as `{url: ..., sha256: ...}`, and has
`read`, and `whole_paths() -> dict`, the options that are paths, from the root. One whose rows can be broken one by one has
`quarantines = True` and takes a `Quarantine`, or None, as the second argument of `read`.
One that can tell without reading that it would find nothing has `require(source)`, which raises what `read` would.
"""
