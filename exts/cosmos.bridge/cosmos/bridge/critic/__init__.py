"""Critics behind one protocol: simulator truth first."""
