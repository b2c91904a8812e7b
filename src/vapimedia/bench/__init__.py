"""Budgets: what one frame may cost, measured case by case. No network."""

from vapimedia.bench.cases import CASES, Case
from vapimedia.bench.timing import Timing, load_budgets, measure, measure_all

__all__ = ["CASES", "Case", "Timing", "load_budgets", "measure", "measure_all"]
