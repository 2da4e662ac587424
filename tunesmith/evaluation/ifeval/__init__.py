"""IFEval: whether a response does what its prompt asks, for instructions that a program can verify.

Source: Zhou et al. (2023), "Instruction-Following Evaluation for Large Language Models", https://arxiv.org/abs/2311.07911. How the checks differ from the
authors' is said in docs/ifeval.md.
"""

from tunesmith.evaluation.ifeval.instructions import INSTRUCTIONS, check, checked, checked_row
from tunesmith.evaluation.ifeval.scoring import Followed, accuracies, compare, followed, followed_by_instruction

__all__ = ["INSTRUCTIONS", "Followed", "accuracies", "check", "checked", "checked_row", "compare", "followed", "followed_by_instruction"]
