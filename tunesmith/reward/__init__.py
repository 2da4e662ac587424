"""Rewards for answers that a model wrote, one file each."""
