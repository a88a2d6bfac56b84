"""Strict doubles of Kit, Isaac Sim and Replicator: what is not declared is an error, and every known trap is set.

Numbers in brackets, such as [2.1], are sections of the fact sheet on Kit that the doubles were written from. The
pictures come from the embedded renderer on a real USD stage, so frames can be told apart and held against the truth.
"""
