"""Four hosts on one database and one store, in every trouble at once, and judged.

python -m tests.torture_hosts --kills 300 --seed 1 --store bucket
"""
