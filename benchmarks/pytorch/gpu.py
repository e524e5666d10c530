"""Our GPU kernels beside cuBLAS, cuDNN and PyTorch's flash attention, in one process on the same numbers.

Started by scripts/gpu-check. Every result is first compared with float64 on a part of the outputs: ours may be off by no
more than twice what the other is. Then all are warmed up and take turns, each on operands that rotate so that they do not
stay in the cache, timed by events of the device; medians are compared. --emulated only compares, on the CPU.

Letters: S tokens of a sequence, H query and K key/value heads, d head dimension, T token rows, h hidden size, f intermediate
size. FLOPs of attention count visible pairs, as everybody does.
"""

import argparse
import json

import torch
import torch.nn.functional as F

from gpu_attention import attention_backward, attention_forward
from gpu_bench import Bench, require_right
from gpu_memory import memory_bound


def gated_mlp(bench, tokens, hidden, intermediate, goal):
    """Beside the matrix products alone, without the activation between them, and beside all of it in PyTorch."""
    name = f"gated MLP forward T={tokens} h={hidden} f={intermediate}"
    x = bench.randn(tokens, hidden)
    gate, up = (bench.randn(intermediate, hidden, scale=hidden**-0.5) for _ in range(2))
    down = bench.randn(hidden, intermediate, scale=intermediate**-0.5)
    y = bench.empty(tokens, hidden, dtype=torch.float32)
    ours = bench.kernels.gated_mlp(x, gate, up, down, y)
    ours()
    rows = torch.tensor([0, tokens // 2, tokens - 1], device=bench.device)
    few = x[rows].double()
    exact = (F.silu(few @ gate.double().T) * (few @ up.double().T)) @ down.double().T

    def pytorch():
        return F.linear(F.silu(F.linear(x, gate)) * F.linear(x, up), down)

    require_right(name, y[rows], pytorch()[rows], exact)
    both, inner = torch.cat([gate, up]), bench.randn(tokens, intermediate)

    def products():
        F.linear(x, both)
        F.linear(inner, down)

    ways = {"tsp": [ours], "cuBLAS GEMMs alone": [products], "PyTorch": [pytorch]}
    bench.row(name, "TFLOP/s", 6.0 * tokens * hidden * intermediate / 1e12, ways, goal)


def measure_all(bench):
    if bench.quick:
        for dim in (64, 128):
            attention_forward(bench, 256, 4, 2, dim, True, None)
            attention_backward(bench, 256, 4, 2, dim, True, None)
        gated_mlp(bench, 192, 256, 704, None)
        memory_bound(bench)
        return
    attention_forward(bench, 8192, 64, 8, 128, True, 700)
    attention_forward(bench, 16384, 64, 8, 128, True, 700)
    attention_forward(bench, 16384, 64, 8, 128, False, 720)
    attention_forward(bench, 16384, 32, 8, 64, True, 480)
    attention_backward(bench, 4096, 16, 4, 128, True, None)
    attention_backward(bench, 16384, 64, 8, 128, True, 600)
    gated_mlp(bench, 4096, 4096, 14336, 740)
    gated_mlp(bench, 8192, 4096, 14336, 790)
    memory_bound(bench)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--library", required=True, help="libtsp_kernels_cuda.so")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: shows that it works, not how fast")
    parser.add_argument("--emulated", action="store_true", help="the library is the emulator's: compare, do not time")
    parser.add_argument("--json", help="where to write all samples")
    parser.add_argument("--fact", action="append", default=[], metavar="NAME=VALUE", help="goes into the JSON as it is")
    options = parser.parse_args()
    torch.manual_seed(20260101)
    torch.set_grad_enabled(False)
    bench = Bench(options)
    where = "emulator" if options.emulated else torch.cuda.get_device_name()
    print(f"PyTorch {torch.__version__} on {where}, {bench.kernels.build_info}; medians of calls in turns")
    measure_all(bench)
    if options.json:
        facts = dict(fact.split("=", 1) for fact in options.fact)
        head = {"schemaVersion": 1, "theme": "gpu", **facts, "pytorch": torch.__version__, "isa": bench.kernels.isa}
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({**head, "device": where, "results": bench.results}, file, indent=2)


if __name__ == "__main__":
    main()
