"""What records mean: one file a format.

A format has `roles` (all it knows) and `required`, `locate(columns, given) -> {role: column}`, `recognises(columns) -> bool` and
`parse(record, origin, columns) -> Example`. Where the same columns may mean several things, `suits(records, columns) -> bool` looks into them.
"""
