"""One file a check: each takes the splits and returns what it found."""
