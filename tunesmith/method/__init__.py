"""WHAT trains: one file a method."""
