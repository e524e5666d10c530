"""A kernel library called from Python: the part of native/include/tsp_kernels.h that the benchmarks here need."""

import ctypes
import math
import sys

import torch

ABI_MAJOR = 1
CAUSAL = 1
PANELS_PLAIN, PANELS_GATE_UP = 0, 1
DTYPES = {torch.float32: 0, torch.bfloat16: 1, torch.int32: 2, torch.float64: 3}
FIRST, DECAY = 1, 1

i32, i64, u32, pointer = ctypes.c_int32, ctypes.c_int64, ctypes.c_uint32, ctypes.c_void_p


class Struct(ctypes.Structure):
    """A struct that may begin with its own size, which the kernels want filled."""

    def __init__(self, **fields):
        if self._fields_[0][0] == "struct_size":
            fields["struct_size"] = ctypes.sizeof(self)
        super().__init__(**fields)


class Error(Struct):
    _fields_ = [
        ("struct_size", u32),
        ("status", i32),
        ("vendor_code", i32),
        ("reserved", i32),
        ("message", ctypes.c_char * 240),
    ]


class Tensor(Struct):
    _fields_ = [("data", pointer), ("shape", i64 * 4), ("strides", i64 * 4), ("rank", i32), ("dtype", i32)]

    @staticmethod
    def of(tensor):
        return Tensor(
            data=tensor.data_ptr(),
            shape=(i64 * 4)(*tensor.shape),
            strides=(i64 * 4)(*tensor.stride()),
            rank=tensor.dim(),
            dtype=DTYPES[tensor.dtype],
        )


class Launch(Struct):
    _fields_ = [
        ("struct_size", u32),
        ("threads", i32),
        ("stream", pointer),
        ("workspace", pointer),
        ("workspace_bytes", i64),
    ]


class Chunk(Struct):
    _fields_ = [("first_row", i64), ("batch_rows", i64), ("count", i64), ("start", i64)]


class AttentionArgs(Struct):
    _fields_ = [
        ("struct_size", u32),
        ("flags", u32),
        ("q", Tensor),
        ("k", Tensor),
        ("v", Tensor),
        ("kv_start", Tensor),
        ("out", Tensor),
        ("lse", Tensor),
        ("q_chunks", ctypes.POINTER(Chunk)),
        ("k_chunks", ctypes.POINTER(Chunk)),
        ("q_chunk_count", i32),
        ("k_chunk_count", i32),
        ("batch", i64),
        ("window", i64),
        ("scale", ctypes.c_float),
        ("reserved", i32),
    ]


class PackArgs(Struct):
    _fields_ = [
        ("struct_size", u32),
        ("layout", i32),
        ("source", Tensor),
        ("second", Tensor),
        ("panels", Tensor),
        ("first_panel", i64),
    ]


class GatedMlpArgs(Struct):
    _fields_ = [
        ("struct_size", u32),
        ("flags", u32),
        ("x", Tensor),
        ("gate_up", Tensor),
        ("down", Tensor),
        ("y", Tensor),
        ("saved", Tensor),
        ("intermediate", i64),
    ]


class AttentionBackwardArgs(Struct):
    _fields_ = [
        ("struct_size", u32),
        ("flags", u32),
        ("forward", AttentionArgs),
        ("dout", Tensor),
        ("dq", Tensor),
        ("dk", Tensor),
        ("dv", Tensor),
    ]


class RmsNormArgs(Struct):
    _fields_ = [
        ("struct_size", u32),
        ("epsilon", ctypes.c_float),
        ("x", Tensor),
        ("delta", Tensor),
        ("weight", Tensor),
        ("sum", Tensor),
        ("out", Tensor),
    ]


class CrossEntropyUpdateArgs(Struct):
    _fields_ = [
        ("struct_size", u32),
        ("flags", u32),
        ("logits", Tensor),
        ("labels", Tensor),
        ("state", Tensor),
        ("vocab_start", i64),
    ]


class AdamWArgs(Struct):
    _fields_ = [
        ("struct_size", u32),
        ("flags", u32),
        ("parameter", Tensor),
        ("grad", Tensor),
        ("first", Tensor),
        ("second", Tensor),
        ("rounded", Tensor),
        ("hyper", Tensor),
        ("clip", Tensor),
    ]


class Kernel(Struct):
    _fields_ = [
        ("run", ctypes.CFUNCTYPE(i32, pointer, pointer, pointer)),
        ("workspace_bytes", ctypes.CFUNCTYPE(i64, pointer, pointer)),
    ]


NAMES = """attention_forward gated_mlp_forward pack_panels rms_norm_forward rope embedding_forward cross_entropy_update
    cross_entropy_merge cross_entropy_finish copy sum attention_backward gated_mlp_backward rms_norm_backward
    embedding_backward cross_entropy_backward column_sum square_sum clip adamw"""


class Table(Struct):
    """tsp_kernels."""

    _fields_ = [
        ("struct_size", u32),
        ("abi_version", u32),
        ("build_info", ctypes.c_char_p),
        ("isa", ctypes.c_char_p),
        *((name, Kernel) for name in NAMES.split()),
    ]


class Kernels:
    """The table of one library. Each method binds operands and returns a call without arguments, ready to be timed."""

    def __init__(self, library, threads, device="cpu"):
        """On a GPU calls go to PyTorch's current stream."""
        entry = ctypes.CDLL(library).tsp_kernels_get
        entry.restype, entry.argtypes = ctypes.POINTER(Table), [ctypes.c_char_p, ctypes.POINTER(Error)]
        error = Error()
        table = entry(None, ctypes.byref(error))
        if not table:
            sys.exit(f"{library}: {error.message.decode()}")
        self._table, self._threads, self._device = table.contents, threads, device
        if self._table.abi_version // 1000 != ABI_MAJOR:
            sys.exit(f"{library} has ABI {self._table.abi_version}, not {ABI_MAJOR}xxx; rebuild it")
        self.isa = self._table.isa.decode()
        self.build_info = f"{self._table.isa.decode()}; {self._table.build_info.decode()}"

    def _bind(self, kernel, args, *operands):
        launch = Launch(threads=self._threads)
        if self._device != "cpu":
            launch.stream = torch.cuda.current_stream().cuda_stream
        launch.workspace_bytes = kernel.workspace_bytes(ctypes.addressof(args), ctypes.addressof(launch))
        # Room for it to begin at a multiple of 64 bytes.
        workspace = torch.empty(launch.workspace_bytes + 64, dtype=torch.uint8, device=self._device)
        launch.workspace = (workspace.data_ptr() + 63) // 64 * 64
        error = Error()

        def call(_keep=(workspace, operands)):
            if kernel.run(ctypes.addressof(args), ctypes.addressof(launch), ctypes.addressof(error)) != 0:
                sys.exit(f"a kernel refused to run: {error.message.decode()}")

        return call

    def attention(self, q, k, v, out, lse=None, causal=True):
        """Attention of one sequence; q and out [S, H, d], k and v [S, K, d], lse f32 [S, H]."""
        args, chunk = self._attention_args(q, k, v, out, lse, causal)
        return self._bind(self._table.attention_forward, args, q, k, v, out, lse, chunk)

    def attention_backward(self, q, k, v, out, lse, dout, dq, dk, dv, causal=True):
        """Gradients of attention: dq like q, dk and dv f32 like k."""
        forward, chunk = self._attention_args(q, k, v, out, lse, causal)
        gradients = (dout, dq, dk, dv)
        args = AttentionBackwardArgs(
            forward=forward, **dict(zip(("dout", "dq", "dk", "dv"), map(Tensor.of, gradients)))
        )
        return self._bind(self._table.attention_backward, args, q, k, v, out, lse, chunk, gradients)

    @staticmethod
    def _attention_args(q, k, v, out, lse, causal):
        chunk = Chunk(batch_rows=len(q), count=len(q))
        args = AttentionArgs(
            flags=CAUSAL if causal else 0,
            q=Tensor.of(q),
            k=Tensor.of(k),
            v=Tensor.of(v),
            out=Tensor.of(out),
            q_chunks=ctypes.pointer(chunk),
            k_chunks=ctypes.pointer(chunk),
            q_chunk_count=1,
            k_chunk_count=1,
            batch=1,
            scale=1 / math.sqrt(q.shape[2]),
        )
        if lse is not None:
            args.lse = Tensor.of(lse)
        return args, chunk

    def rms_norm(self, x, weight, out, epsilon=1e-5):
        """out = x / rms(x) * weight; x [T, n]."""
        args = RmsNormArgs(epsilon=epsilon, x=Tensor.of(x), weight=Tensor.of(weight), out=Tensor.of(out))
        return self._bind(self._table.rms_norm_forward, args, x, weight, out)

    def cross_entropy(self, logits, labels, state):
        """Log-sum-exp of logits f32 [T, V]; labels i32 [T]; state f32 [T, 3]."""
        args = CrossEntropyUpdateArgs(
            flags=FIRST, logits=Tensor.of(logits), labels=Tensor.of(labels), state=Tensor.of(state)
        )
        return self._bind(self._table.cross_entropy_update, args, logits, labels, state)

    def adamw(self, parameter, grad, first, second, rounded, hyper, clip):
        """A step of AdamW on n elements; hyper f32 [8] and clip f32 [3] as in tsp_training.h."""
        operands = (parameter, grad, first, second, rounded, hyper, clip)
        names = ("parameter", "grad", "first", "second", "rounded", "hyper", "clip")
        args = AdamWArgs(flags=DECAY, **dict(zip(names, map(Tensor.of, operands))))
        return self._bind(self._table.adamw, args, *operands)

    def pack(self, source, panels):
        """Casts and packs a weight [N, K] into the layout of panels."""
        args = PackArgs(
            layout=PANELS_PLAIN, source=Tensor.of(source), second=Tensor.of(source), panels=Tensor.of(panels)
        )
        return self._bind(self._table.pack_panels, args, source, panels)

    def gated_mlp(self, x, gate, up, down, y):
        """The gated MLP of x [T, h]; weights as Hugging Face has them, h a multiple of 64, f one of 32; y [T, h] f32."""
        gate_up_panels = self._pack(PANELS_GATE_UP, gate, up)
        down_panels = self._pack(PANELS_PLAIN, down, down)
        args = GatedMlpArgs(
            x=Tensor.of(x),
            gate_up=Tensor.of(gate_up_panels),
            down=Tensor.of(down_panels),
            y=Tensor.of(y),
            intermediate=gate.shape[0],
        )
        return self._bind(self._table.gated_mlp_forward, args, x, gate_up_panels, down_panels, y)

    def _pack(self, layout, source, second):
        matrices = 2 if layout == PANELS_GATE_UP else 1
        panels = torch.empty(matrices * source.numel(), dtype=source.dtype, device=source.device)
        args = PackArgs(layout=layout, source=Tensor.of(source), second=Tensor.of(second), panels=Tensor.of(panels))
        self._bind(self._table.pack_panels, args, source, second, panels)()
        return panels
