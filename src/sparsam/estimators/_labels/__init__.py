"""What only the classifier needs: label encoding, transition matrix, noise estimation."""
