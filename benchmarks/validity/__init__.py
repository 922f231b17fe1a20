"""Statistical claims, checked over draws from truths that are known."""
