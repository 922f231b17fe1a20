"""The data as the engine sees it: chunks of samples, sources of rows, devices."""
