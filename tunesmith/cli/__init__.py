"""The command line: one small file a command, each a thin door to `tunesmith.app`."""
