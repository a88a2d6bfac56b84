"""A Transfer model in a process of its own: on another GPU, in another Python, or out of reach of this one's faults."""
