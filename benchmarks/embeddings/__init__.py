"""Sparse codes of word vectors: J by time, and what the codes are like, beside other programs."""
