"""One file for each program that is measured; each runs in a process of its own: `python -m benchmarks.legs.NAME WORKLOAD RESULT`."""
