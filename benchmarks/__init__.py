"""Benchmarks: `python -m benchmarks NAME`. Linux only, for they read ``/proc``; figures are ratios between
programs that ran side by side, interleaved, on one machine. Absolute figures of different machines can't be compared.

Nothing here is a test: a timed test fails on a busy machine and proves nothing on an idle one.
"""
