"""From a Scene to pictures and ground truth, in Warp kernels; never sees USD."""
