"""Nets and their weights; torch only, and nothing of the bridge."""
