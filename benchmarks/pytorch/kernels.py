"""libtsp_kernels_cpu called from Python: the part of native/include/tsp_kernels.h that compare.py needs."""

import ctypes
import math
import sys

import torch

ABI_MAJOR = 1
CAUSAL = 1
PANELS_PLAIN, PANELS_GATE_UP = 0, 1
DTYPES = {torch.float32: 0, torch.bfloat16: 1}

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


class Kernel(Struct):
    _fields_ = [
        ("run", ctypes.CFUNCTYPE(i32, pointer, pointer, pointer)),
        ("workspace_bytes", ctypes.CFUNCTYPE(i64, pointer, pointer)),
    ]


class Table(Struct):
    """The beginning of tsp_kernels."""

    _fields_ = [
        ("struct_size", u32),
        ("abi_version", u32),
        ("build_info", ctypes.c_char_p),
        ("isa", ctypes.c_char_p),
        ("attention_forward", Kernel),
        ("gated_mlp_forward", Kernel),
        ("pack_panels", Kernel),
    ]


class Kernels:
    """The table of one library. Each method binds operands and returns a call without arguments, ready to be timed."""

    def __init__(self, library, threads):
        entry = ctypes.CDLL(library).tsp_kernels_get
        entry.restype, entry.argtypes = ctypes.POINTER(Table), [ctypes.c_char_p, ctypes.POINTER(Error)]
        error = Error()
        table = entry(None, ctypes.byref(error))
        if not table:
            sys.exit(f"compare.py: {error.message.decode()}")
        self._table, self._threads = table.contents, threads
        if self._table.abi_version // 1000 != ABI_MAJOR:
            sys.exit(f"compare.py: {library} has ABI {self._table.abi_version}, not {ABI_MAJOR}xxx; rebuild it")
        self.build_info = f"{self._table.isa.decode()}; {self._table.build_info.decode()}"

    def _bind(self, kernel, args, *operands):
        launch = Launch(threads=self._threads)
        launch.workspace_bytes = kernel.workspace_bytes(ctypes.addressof(args), ctypes.addressof(launch))
        # Room for it to begin at a multiple of 64 bytes.
        workspace = torch.empty(launch.workspace_bytes + 64, dtype=torch.uint8)
        launch.workspace = (workspace.data_ptr() + 63) // 64 * 64
        error = Error()

        def call(_keep=(workspace, operands)):
            if kernel.run(ctypes.addressof(args), ctypes.addressof(launch), ctypes.addressof(error)) != 0:
                sys.exit(f"compare.py: {error.message.decode()}")

        return call

    def attention(self, q, k, v, out):
        """Causal attention of one sequence; all [S, heads, d]."""
        chunk = Chunk(batch_rows=len(q), count=len(q))
        args = AttentionArgs(
            flags=CAUSAL,
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
        return self._bind(self._table.attention_forward, args, q, k, v, out, chunk)

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
        panels = torch.empty(matrices * source.numel(), dtype=source.dtype)
        args = PackArgs(layout=layout, source=Tensor.of(source), second=Tensor.of(second), panels=Tensor.of(panels))
        self._bind(self._table.pack_panels, args, source, second, panels)()
        return panels
