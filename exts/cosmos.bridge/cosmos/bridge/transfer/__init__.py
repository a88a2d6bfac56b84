"""Transfer backends behind one protocol and one registry of names."""
