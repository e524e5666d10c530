"""Kernels of gpu.py that only memory limits, each beside a plain copy that moves as many bytes."""

import sys

import torch
import torch.nn.functional as F

from gpu_bench import BF16, relative_error, require_right


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
