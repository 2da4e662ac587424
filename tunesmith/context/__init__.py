"""Adapting a model without training it: documents that are found and shown to it."""
