"""Networks that are made anew from a recipe, `model: {architecture: NAME, ...}`, one file each."""
