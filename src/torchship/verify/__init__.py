"""Compares arrays, whoever made them, and says right or wrong. Knows numpy and nothing else."""

from torchship.verify.accuracy import agreement, evaluate_scores
from torchship.verify.parity import Judge, Rounding, Sample, usual_noise

__all__ = ["Judge", "Rounding", "Sample", "agreement", "evaluate_scores", "usual_noise"]
