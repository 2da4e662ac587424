"""What every other package may import: types, errors, the registry, the run directory, hashes and statistics."""
