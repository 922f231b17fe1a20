"""Digits from few and from many labels, with and without pretraining."""
