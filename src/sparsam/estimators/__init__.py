"""Scikit-learn's face of the engine: estimators that assemble it; no formulas here."""
