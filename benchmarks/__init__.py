"""What the limiter achieves and what it costs; `python -m benchmarks` prints both.

Not shipped. It drives the pure core (`limiter.aimd`) against the pure limits (`simulator.policies`) in virtual time,
so a run of ten minutes takes a moment and gives the same figures everywhere.
"""
