"""What invariance is worth: few digits, and what is known of how they may move."""
