"""The embedded renderer: what Replicator's annotators give, from any USD stage, on Warp."""
