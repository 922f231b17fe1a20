"""What an evaluation costs on several machines, by a model and as measured with processes of one core each."""
