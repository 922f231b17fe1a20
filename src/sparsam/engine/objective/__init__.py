"""The objective J as a sum of terms: error functions and penalties."""
