"""The minimizer: preconditioned L-BFGS as functions of an explicit state."""
