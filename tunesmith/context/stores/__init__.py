"""Where passages are kept: one file a store."""
