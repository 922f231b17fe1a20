"""Read and write files: fitted estimators, pipelines, tables."""
