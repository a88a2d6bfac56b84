"""Model-free checks, one family a file; each takes chunks of frames in and concludes on its outcome."""
