"""Batch work that survives a kill: the plan, the ledger, the summary and the dry run."""
