"""The embedded reasoner: a small vision-language net of our own that says what in a clip cannot be."""
