"""Cost of an evaluation on several machines: a model, and measurements with processes of one core each."""
