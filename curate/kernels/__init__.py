"""Numpy kernels: arrays in, arrays out, the seed an argument."""
