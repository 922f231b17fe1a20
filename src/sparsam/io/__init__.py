"""Files: fitted estimators, pipelines, tables."""
