"""Disks without a header of their own, by their partitions and file systems; optical discs and kernels."""
