"""Guards behind one protocol; the posture that really ran is always recorded."""
