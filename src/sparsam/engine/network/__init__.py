"""The network: layers and activation functions, forward pass, flat parameter vector."""
