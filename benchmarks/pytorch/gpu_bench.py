"""How gpu.py compares and times."""

import math
import statistics
import sys

import torch

from kernels import Kernels

WARM_UP, ROUNDS = 10, 30
CACHE_BYTES = 160 << 20  # operands rotate through more than this
BF16 = torch.bfloat16


class Bench:
    """Where the kernels are and where results go."""

    def __init__(self, options):
        self.emulated = options.emulated
        self.device = "cpu" if options.emulated else "cuda"
        self.quick = options.quick or options.emulated
        self.kernels = Kernels(options.library, 1, self.device)
        self.results = []

    def randn(self, *shape, dtype=BF16, scale=1.0):
        return (torch.randn(*shape, device=self.device) * scale).to(dtype)

    def empty(self, *shape, dtype=BF16):
        return torch.full(shape, math.nan, device=self.device, dtype=dtype)

    def copies(self, bytes_of_one):
        """How many sets of operands are rotated."""
        return 1 if self.emulated else max(2, min(8, math.ceil(CACHE_BYTES / bytes_of_one)))

    def row(self, name, unit, work, ways, goal):
        """ways: of each who to call, one call for each set of operands. work / seconds is in unit; goal: for ours."""
        if self.emulated:
            print(f"{name}: right")
            return
        seconds = {who: [] for who in ways}
        for calls in ways.values():
            for i in range(WARM_UP):
                calls[i % len(calls)]()
        for i in range(ROUNDS):
            for who, calls in ways.items():
                seconds[who].append(timed(calls[i % len(calls)]))
        rates = {who: work / statistics.median(samples) for who, samples in seconds.items()}
        others = {who: rate for who, rate in rates.items() if who != "tsp"}
        best = max(others, key=others.get)
        self.results.append(
            {
                "name": name,
                "unit": unit,
                "rates": rates,
                "best": best,
                "ratio": rates["tsp"] / rates[best],
                "goal": goal,
                "seconds": seconds,
            }
        )
        shown = ", ".join(f"{who} {rate:.0f}" for who, rate in rates.items())
        print(f"{name}: {shown} {unit}; {rates['tsp'] / rates[best]:.2f} of {best}, goal {goal}", flush=True)


def timed(call):
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    begin.record()
    call()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end) / 1e3


def relative_error(result, exact):
    return ((result.double() - exact).norm() / exact.norm()).item()


def require_right(name, ours, theirs, exact):
    error, allowed = relative_error(ours, exact), 2 * relative_error(theirs, exact)
    if not error <= allowed:
        sys.exit(f"gpu.py: {name} is wrong and is not timed: relative error {error:.3g}, allowed {allowed:.3g}")
