"""Where results go: a dataset, the stage, a report."""
