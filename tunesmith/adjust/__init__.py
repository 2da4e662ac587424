"""WHAT the method `direct` adjusts without training: one file an aspect."""
