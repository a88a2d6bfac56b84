"""The command line: one file a command, one for what they share."""
