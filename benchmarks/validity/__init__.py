"""Check statistical claims on draws from known truths."""
