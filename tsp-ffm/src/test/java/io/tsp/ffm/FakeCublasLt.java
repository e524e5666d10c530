package io.tsp.ffm;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;

/**
 * Products as cublasLt.h describes them, by columns, on host memory. It refuses what cuBLASLt refuses: layouts without
 * columns, a bias of another dtype than D's, a workspace that is too small, operands off the promised alignment.
 */
final class FakeCublasLt {
    private static final String SOURCE = """
            #include <stdint.h>
            #include <stdlib.h>
            #include <string.h>
            typedef struct { int type; uint64_t rows, cols; int64_t ld; } layout;
            typedef struct { int compute, scale, transa, transb, bias_type; uint32_t epilogue; uint64_t bias; } desc;
            typedef struct { uint64_t workspace; uint32_t mask, align[4]; } preference;
            typedef struct { uint64_t data[8]; } algo;
            typedef struct { algo algo; size_t workspace; int state; float waves; int reserved[4]; } result;
            enum { OK, INVALID = 7, UNSUPPORTED = 15, F32 = 0, BF16 = 14 };
            static int live, used, mask;
            int calls_live(void) { return live; }
            int calls_alignment(void) { return used; }
            int calls_mask(void) { return mask; }
            size_t cublasLtGetVersion(void) { return VERSION; }
            const char *cublasLtGetStatusName(int s) { return s == INVALID ? "CUBLAS_STATUS_INVALID_VALUE" : "OTHER"; }
            const char *cublasLtGetStatusString(int s) { return s == INVALID ? "invalid value" : "other"; }
            static int make(void **out, size_t bytes) { *out = calloc(1, bytes); live++; return OK; }
            static int drop(void *p) { free(p); live--; return OK; }
            int cublasLtCreate(void **h) { return make(h, 1); }
            int cublasLtDestroy(void *h) { return drop(h); }
            int cublasLtMatmulDescCreate(void **out, int compute, int scale) {
                make(out, sizeof(desc));
                ((desc *)*out)->compute = compute; ((desc *)*out)->scale = scale;
                ((desc *)*out)->epilogue = 1; ((desc *)*out)->bias_type = -1;
                return compute == 68 && scale == F32 ? OK : UNSUPPORTED;
            }
            int cublasLtMatmulDescDestroy(void *d) { return drop(d); }
            int cublasLtMatmulDescSetAttribute(desc *d, int a, const void *v, size_t n) {
                if (n != (a == 8 ? 8 : 4)) return INVALID;
                void *field = a == 3 ? (void *)&d->transa : a == 4 ? &d->transb : a == 7 ? (void *)&d->epilogue
                    : a == 8 ? (void *)&d->bias : a == 26 ? &d->bias_type : NULL;
                if (!field) return INVALID;
                memcpy(field, v, n);
                return OK;
            }
            int cublasLtMatrixLayoutCreate(void **out, int type, uint64_t rows, uint64_t cols, int64_t ld) {
                make(out, sizeof(layout));
                *(layout *)*out = (layout){type, rows, cols, ld};
                return rows && cols && ld >= (int64_t)rows ? OK : INVALID;
            }
            int cublasLtMatrixLayoutDestroy(void *l) { return drop(l); }
            int cublasLtMatmulPreferenceCreate(void **out) { return make(out, sizeof(preference)); }
            int cublasLtMatmulPreferenceDestroy(void *p) { return drop(p); }
            int cublasLtMatmulPreferenceSetAttribute(preference *p, int a, const void *v, size_t n) {
                if (n != (a == 1 ? 8 : 4)) return INVALID;
                memcpy(a == 1 ? (void *)&p->workspace : a == 3 ? (void *)&p->mask : (void *)&p->align[a - 5], v, n);
                return OK;
            }
            static int fits(const desc *d, const layout *a, const layout *b, const layout *o) {
                uint64_t m = d->transa ? a->cols : a->rows, k = d->transa ? a->rows : a->cols;
                uint64_t n = d->transb ? b->rows : b->cols, k2 = d->transb ? b->cols : b->rows;
                if (m != o->rows || n != o->cols || k != k2 || a->type != b->type) return INVALID;
                if (d->epilogue == 4 && d->bias_type != o->type) return UNSUPPORTED;
                return o->type == F32 || o->type == a->type ? OK : UNSUPPORTED;
            }
            int cublasLtMatmulAlgoGetHeuristic(void *h, const desc *d, const layout *a, const layout *b, const layout *c,
                                               const layout *o, const preference *p, int n, result *r, int *found) {
                (void)h; (void)n;
                *found = 0;
                int status = c == o ? fits(d, a, b, o) : INVALID;
                if (status) return status;
                if (d->epilogue == 4 && (d->bias == 0 || d->bias % p->align[0])) return INVALID;
                for (int i = 1; i < 4; i++) if (p->align[i] != p->align[0]) return INVALID;
                if (p->workspace > 32 << 20) return INVALID;
                memset(r, 0, sizeof *r);
                r->algo.data[0] = p->align[0];
                r->algo.data[1] = p->mask;
                r->workspace = 100 + p->align[0];
                *found = NARROW || p->align[0] == 16;
                return *found ? OK : UNSUPPORTED;
            }
            int cublasLtMatmulAlgoConfigGetAttribute(const algo *a, int attribute, int *v, size_t n, size_t *written) {
                *v = attribute == 2 ? 1 : (int)a->data[0]; *written = n;
                return OK;
            }
            static double get(const char *p, const layout *l, uint64_t i, uint64_t j) {
                uint64_t e = i + j * (uint64_t)l->ld; uint32_t bits; float f;
                if (l->type == F32) return ((const float *)(const void *)p)[e];
                bits = (uint32_t)((const uint16_t *)(const void *)p)[e] << 16; memcpy(&f, &bits, 4);
                return f;
            }
            static void put(char *p, const layout *l, uint64_t i, uint64_t j, double value) {
                uint64_t e = i + j * (uint64_t)l->ld; uint32_t bits; float f = (float)value;
                if (l->type == F32) { ((float *)(void *)p)[e] = f; return; }
                memcpy(&bits, &f, 4); bits += 0x7fff + (bits >> 16 & 1);
                ((uint16_t *)(void *)p)[e] = (uint16_t)(bits >> 16);
            }
            int cublasLtMatmul(void *h, const desc *d, const float *alpha, const char *A, const layout *a, const char *B,
                               const layout *b, const float *beta, const char *C, const layout *c, char *D,
                               const layout *o, const algo *g, char *workspace, size_t bytes, void *stream) {
                (void)h; (void)stream;
                int status = fits(d, a, b, o);
                uint64_t all = (uint64_t)A | (uint64_t)B | (uint64_t)D | (d->epilogue == 4 ? d->bias : 0);
                if (status) return status;
                if (all % g->data[0] || bytes < 100 + g->data[0] || (uint64_t)workspace % 256) return INVALID;
                used = (int)g->data[0]; mask = (int)g->data[1];
                memset(workspace, 0xff, bytes);
                layout vector = {d->bias_type, o->rows, 1, (int64_t)o->rows};
                uint64_t depth = d->transa ? a->rows : a->cols;
                for (uint64_t i = 0; i < o->rows; i++)
                    for (uint64_t j = 0; j < o->cols; j++) {
                        double sum = 0;
                        for (uint64_t k = 0; k < depth; k++)
                            sum += get(A, a, d->transa ? k : i, d->transa ? i : k)
                                 * get(B, b, d->transb ? j : k, d->transb ? k : j);
                        sum *= *alpha;
                        if (*beta != 0) sum += *beta * get(C, c, i, j);
                        if (d->epilogue == 4) sum += get((const char *)d->bias, &vector, i, 0);
                        put(D, o, i, j, sum);
                    }
                return OK;
            }
            """;

    private final Path library;

    private FakeCublasLt(Path library) {
        this.library = library;
    }

    /** @param narrow whether there are algorithms for operands that lie on less than 16 bytes */
    static FakeCublasLt compile(Path folder, int version, boolean narrow) throws Exception {
        String source = SOURCE.replace("VERSION", Integer.toString(version)).replace("NARROW", narrow ? "1" : "0");
        return new FakeCublasLt(CLibrary.compile(folder, "libcublasLt" + version + narrow + ".so", source));
    }

    Path library() {
        return library;
    }

    /** {@code live}: objects not yet destroyed; {@code alignment}, {@code mask}: of the last product's algorithm. */
    int read(String what) {
        try {
            return (int) Linker.nativeLinker()
                    .downcallHandle(
                            SymbolLookup.libraryLookup(library, Arena.global()).findOrThrow("calls_" + what),
                            FunctionDescriptor.of(ValueLayout.JAVA_INT))
                    .invokeExact();
        } catch (Throwable e) {
            throw new AssertionError(e);
        }
    }
}
