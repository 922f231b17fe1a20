"""Parts of the classifier: label encoding, transition matrix, noise estimation."""
