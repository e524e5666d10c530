"""Our GPU kernels beside cuBLAS, cuDNN and PyTorch's flash attention, in one process on the same numbers.

Started by scripts/gpu-check. Every result is first compared with float64 on a part of the outputs: ours may be off by no
more than twice what the other is. Then all are warmed up and take turns, each on operands that rotate so that they do not
stay in the cache, timed by events of the device; medians are compared. --emulated only compares, on the CPU.

Letters: S tokens of a sequence, H query and K key/value heads, d head dimension, T token rows, h hidden size, f intermediate
size. FLOPs of attention count visible pairs, as everybody does.
"""

import argparse
import json
import math
import statistics
import sys

import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

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


def sdpa(q, k, v, causal, backend):
    """PyTorch's attention on [1, heads, S, d]; None if it has no such implementation here."""

    def call():
        with sdpa_kernel(backend):
            return F.scaled_dot_product_attention(q, k, v, is_causal=causal, enable_gqa=q.shape[1] != k.shape[1])

    try:
        call()
        return call
    except RuntimeError:
        return None


def backends(emulated):
    if emulated:
        return {"math": SDPBackend.MATH}
    return {"cuDNN": SDPBackend.CUDNN_ATTENTION, "flash": SDPBackend.FLASH_ATTENTION}


def batched(x):
    return x.transpose(0, 1).unsqueeze(0).contiguous()


def exact_rows(q, k, v, causal, rows):
    """Attention in float64 for some query rows, [rows, H, d]."""
    group = q.shape[1] // k.shape[1]
    keys, values = (x.double().repeat_interleave(group, dim=1) for x in (k, v))
    scores = torch.einsum("rhd,shd->hrs", q[rows].double(), keys) / math.sqrt(q.shape[2])
    if causal:
        scores = scores.masked_fill(torch.arange(len(k), device=q.device) > rows[:, None], -math.inf)
    return torch.einsum("hrs,shd->rhd", scores.softmax(-1), values)


def attention_flops(seq, heads, dim, causal):
    return 4.0 * dim * heads * (seq * (seq + 1) / 2 if causal else seq * seq)


def attention_name(what, seq, heads, kv_heads, dim, causal):
    return f"attention {what} d{dim} {'causal' if causal else 'full'} {heads}/{kv_heads} heads S={seq}"


def attention_forward(bench, seq, heads, kv_heads, dim, causal, goal):
    name = attention_name("forward", seq, heads, kv_heads, dim, causal)
    ways, sets = {"tsp": []}, bench.copies(2 * seq * dim * (2 * heads + 2 * kv_heads))
    for _ in range(sets):
        q = bench.randn(seq, heads, dim)
        k, v = (bench.randn(seq, kv_heads, dim) for _ in range(2))
        out, lse = torch.empty_like(q), bench.empty(seq, heads, dtype=torch.float32)
        ours = bench.kernels.attention(q, k, v, out, lse, causal)
        ours()
        rows = torch.tensor([0, 1, seq // 3, seq - 1], device=bench.device)
        exact = exact_rows(q, k, v, causal, rows)
        for who, backend in backends(bench.emulated).items():
            theirs = sdpa(batched(q), batched(k), batched(v), causal, backend)
            if theirs is not None:
                require_right(name, out[rows], theirs()[0].transpose(0, 1)[rows], exact)
                ways.setdefault(who, []).append(theirs)
        ways["tsp"].append(ours)
    bench.row(name, "TFLOP/s", attention_flops(seq, heads, dim, causal) / 1e12, ways, goal)


def attention_backward(bench, seq, heads, kv_heads, dim, causal, goal):
    """Compared with autograd in fp32 on the same numbers, since float64 of all rows would not fit."""
    name = attention_name("backward", seq, heads, kv_heads, dim, causal)
    q, dout = bench.randn(seq, heads, dim), bench.randn(seq, heads, dim)
    k, v = (bench.randn(seq, kv_heads, dim) for _ in range(2))
    out, lse = torch.empty_like(q), bench.empty(seq, heads, dtype=torch.float32)
    bench.kernels.attention(q, k, v, out, lse, causal)()
    dq = torch.empty_like(q)
    dk, dv = (bench.empty(seq, kv_heads, dim, dtype=torch.float32) for _ in range(2))
    ours = bench.kernels.attention_backward(q, k, v, out, lse, dout, dq, dk, dv, causal)
    ours()
    ways = {"tsp": [ours]}
    exact = gradients(q, k, v, dout, causal, SDPBackend.MATH, torch.float32) if seq <= 4096 else None
    for who, backend in backends(bench.emulated).items():
        if sdpa(batched(q), batched(k), batched(v), causal, backend) is None:
            continue
        theirs = gradients(q, k, v, dout, causal, backend, BF16)
        if exact is not None:
            for part, a, b, c in zip(("dq", "dk", "dv"), (dq, dk, dv), theirs[0], exact[0]):
                require_right(f"{name} {part}", a, b, c.double())
        ways[who] = [theirs[1]]
    bench.row(name, "TFLOP/s", 2.5 * attention_flops(seq, heads, dim, causal) / 1e12, ways, goal)


def gradients(q, k, v, dout, causal, backend, dtype):
    """Gradients [S, heads, d] and a call that computes them again."""
    operands = [batched(x).to(dtype).requires_grad_() for x in (q, k, v)]
    grad = batched(dout).to(dtype)
    with torch.enable_grad(), sdpa_kernel(backend):
        out = F.scaled_dot_product_attention(*operands, is_causal=causal, enable_gqa=q.shape[1] != k.shape[1])

    def call():
        return torch.autograd.grad(out, operands, grad, retain_graph=True)

    return [x[0].transpose(0, 1) for x in call()], call


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


def memory_bound(bench):
    """Each beside a plain copy that moves as many bytes, in bytes read and written a second."""
    rows, columns, goal = (64, 256, None) if bench.quick else (16384, 8192, "0.95 of copy")
    x, weight = bench.randn(rows, columns), bench.randn(columns)
    out = torch.empty_like(x)
    norm = bench.kernels.rms_norm(x, weight, out)
    norm()
    few = x[:3].double()
    exact = few / (few.pow(2).mean(-1, keepdim=True) + 1e-5).sqrt() * weight.double()
    theirs = F.rms_norm(x, (columns,), weight, 1e-5)
    require_right("RMSNorm", out[:3], theirs[:3], exact)
    bytes_moved = 2 * x.numel() * x.element_size()
    bench.row(f"RMSNorm forward {rows}x{columns}", "GB/s", bytes_moved / 1e9, beside_copy(bench, norm, bytes_moved), goal)

    source, panels = bench.randn(rows, columns, dtype=torch.float32), bench.empty(rows * columns)
    pack = bench.kernels.pack(source, panels)
    pack()
    if not torch.equal(panels.float().sort().values, source.to(BF16).float().flatten().sort().values):
        sys.exit("gpu.py: pack_panels lost or changed elements")
    bytes_moved = source.numel() * 6
    bench.row(f"pack f32 to bf16 {rows}x{columns}", "GB/s", bytes_moved / 1e9, beside_copy(bench, pack, bytes_moved), goal)

    logits = bench.randn(rows, columns * 2, dtype=torch.float32)
    labels = torch.arange(rows, device=bench.device, dtype=torch.int32)
    state = bench.empty(rows, 3, dtype=torch.float32)
    entropy = bench.kernels.cross_entropy(logits, labels, state)
    entropy()
    require_right(
        "cross-entropy", state[:, 0] + state[:, 1].log(), logits.logsumexp(-1) + 1e-6, logits.double().logsumexp(-1)
    )
    bytes_moved = logits.numel() * 4
    ways = beside_copy(bench, entropy, bytes_moved)
    bench.row(f"cross-entropy {rows}x{columns * 2}", "GB/s", bytes_moved / 1e9, ways, goal)
    adamw(bench, rows * columns, goal)


def adamw(bench, count, goal):
    parameter, grad, first = (bench.randn(count, dtype=torch.float32) for _ in range(3))
    second, rounded = bench.randn(count, dtype=torch.float32).abs(), bench.empty(count)
    hyper = torch.tensor([1e-3, 0.9, 0.95, 1e-8, 0.1, 0.1, 0.05, 0], device=bench.device)
    clip = torch.tensor([1.0, 0.0, 1.0], device=bench.device)
    m = 0.9 * first[:1000].double() + 0.1 * grad[:1000].double()
    v = 0.95 * second[:1000].double() + 0.05 * grad[:1000].double() ** 2
    exact = parameter[:1000].double() * (1 - 1e-4) - 1e-3 / 0.1 * m / ((v / 0.05).sqrt() + 1e-8)
    step = bench.kernels.adamw(parameter, grad, first, second, rounded, hyper, clip)
    step()
    if relative_error(parameter[:1000], exact) > 1e-6:
        sys.exit("gpu.py: adamw is wrong and is not timed")
    bytes_moved = count * 30
    bench.row(f"AdamW of {count >> 20}M", "GB/s", bytes_moved / 1e9, beside_copy(bench, step, bytes_moved), goal)


def beside_copy(bench, call, bytes_moved):
    source = torch.empty(bytes_moved // 2, dtype=torch.uint8, device=bench.device)
    target = torch.empty_like(source)
    return {"tsp": [call], "copy": [lambda: target.copy_(source)]}


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
