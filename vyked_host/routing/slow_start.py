"""How much of its share an instance gets that is new, or back: it grows with time, so that caches fill and pools open before the
whole load is there. The shape and the least share are Envoy's
(https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/load_balancing/slow_start). Pure."""

from __future__ import annotations

LEAST = 0.1
"""The share at the very beginning."""


def share(elapsed_s: float, window_s: float) -> float:
    """Of its full share, what an instance gets `elapsed_s` after it came, 0.1 to 1.0; `window_s`: until it has all."""
    return min(1.0, max(LEAST, elapsed_s / window_s)) if window_s > 0 else 1.0
