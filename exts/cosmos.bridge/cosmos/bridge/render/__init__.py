"""The embedded renderer: what Replicator's annotators give, from any USD stage, on Warp, CPU and CUDA.

``usd`` reads a stage into a `scene`, ``draw`` turns a scene into pictures and ground truth, `renderer` joins the two;
`look` is the weather and light that the teacher draws.
"""
