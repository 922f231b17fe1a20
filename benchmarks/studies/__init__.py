"""Many settings of one network: lanes of one program, threads, worker processes, one fit after another."""
