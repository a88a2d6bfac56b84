"""Cosmos Bridge inside Kit and Isaac Sim: the Replicator writer, the panel, the live preview and the self-test.

The only home of omni, carb and isaacsim, which ``compat`` alone imports, by name. Nothing of this room is imported from
outside, and the modules that hold the logic load without Kit.
"""
