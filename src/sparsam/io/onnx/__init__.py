"""Models as ONNX graphs, which run where there is no Python.

`graph` builds a graph, `steps` adds transformers, `estimators` the networks, and `export` puts them together.
"""
