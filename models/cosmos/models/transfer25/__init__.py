"""Cosmos-Transfer2.5: a diffusion transformer with one control branch a hint."""
