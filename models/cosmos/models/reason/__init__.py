"""Cosmos Reason: vision-language models that look at a clip and answer questions about it."""
