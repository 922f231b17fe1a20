"""Folders in SAELens' layout: cfg.json and sae_weights.safetensors.

The layout is that of SAELens 6 (``sae_lens/saes/standard_sae.py`` and ``sae_lens/loading/pretrained_sae_loaders.py``).
"""
