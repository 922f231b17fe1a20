"""Compare ways to fit many settings of one network: lanes of one program, threads, processes, one after another."""
