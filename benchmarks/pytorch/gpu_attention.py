"""Attention of gpu.py: ours beside cuDNN's and PyTorch's flash attention."""

import math

import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from gpu_bench import BF16, require_right


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
