"""The embedded Transfer model: small, trained by this project, shipped with it."""
