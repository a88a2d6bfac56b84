"""Warp kernels with their launchers: one file a signal, the same code on CPU and CUDA; costs warp and numpy.

Kernels stay valid from Warp 1.5 to 1.19. cv2 is used on CPU where it gives the same pixels faster; without it the
Warp kernel runs instead.
"""
