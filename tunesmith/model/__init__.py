"""Base models: where they come from, how they are loaded, what is known of them, and heads to put on them. Importing this package imports no torch."""
