/* The part of cuBLASLt that is emulated: matrix products in column-major order with fp32 sums, as plain loops. */
#include <cstring>
#include <vector>

#include "emulated_runtime.h"

namespace {

enum Status : int {
    SUCCESS = 0,
    INVALID_VALUE = 7,
    NOT_SUPPORTED = 15,
};

enum Type : int {
    F32 = 0,
    BF16 = 14,
};

constexpr int COMPUTE_32F = 68;
constexpr int TRANSPOSED = 1;
constexpr int EPILOGUE_BIAS = 4;

enum Attribute : int {
    TRANSPOSE_A = 3,
    TRANSPOSE_B = 4,
    EPILOGUE = 7,
    BIAS_POINTER = 8,
    BIAS_TYPE = 26,
};

struct Product {
    int transpose_a = 0;
    int transpose_b = 0;
    int epilogue = 1;
    const void *bias = nullptr;
    int bias_type = -1;
};

struct Layout {
    int type;
    int64_t rows;
    int64_t columns;
    int64_t leading;
};

struct Algorithm {
    uint64_t data[8];
};

struct Heuristic {
    Algorithm algorithm;
    size_t workspace_bytes;
    int status;
    float waves;
    int reserved[4];
};

float element(const void *data, int type, int64_t at) {
    if (type == F32) {
        return static_cast<const float *>(data)[at];
    }
    const uint32_t bits = uint32_t{static_cast<const uint16_t *>(data)[at]} << 16;
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

void set_element(void *data, int type, int64_t at, float value) {
    if (type == F32) {
        static_cast<float *>(data)[at] = value;
        return;
    }
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    const bool nan = value != value;
    static_cast<uint16_t *>(data)[at] =
        static_cast<uint16_t>(nan ? bits >> 16 | 0x40 : (bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/* A matrix [rows, columns] as fp32 with rows running fastest, or transposed. */
std::vector<float> read(const void *data, const Layout &layout, bool transposed) {
    std::vector<float> values(static_cast<size_t>(layout.rows * layout.columns));
    for (int64_t j = 0; j < layout.columns; ++j) {
        for (int64_t i = 0; i < layout.rows; ++i) {
            const int64_t to = transposed ? j + i * layout.columns : i + j * layout.rows;
            values[static_cast<size_t>(to)] = element(data, layout.type, i + j * layout.leading);
        }
    }
    return values;
}

struct Call {
    Product product;
    float alpha;
    float beta;
    const void *a;
    const void *b;
    const void *c;
    void *d;
    Layout a_layout;
    Layout b_layout;
    Layout c_layout;
    Layout d_layout;

    void run() const {
        const int64_t rows = d_layout.rows;
        const int64_t depth = product.transpose_a == TRANSPOSED ? a_layout.rows : a_layout.columns;
        const std::vector<float> left = read(a, a_layout, product.transpose_a == TRANSPOSED);
        const std::vector<float> right = read(b, b_layout, product.transpose_b == TRANSPOSED);
        std::vector<float> sums(static_cast<size_t>(rows));
        for (int64_t j = 0; j < d_layout.columns; ++j) {
            std::fill(sums.begin(), sums.end(), 0.0f);
            for (int64_t k = 0; k < depth; ++k) {
                const float factor = right[static_cast<size_t>(j * depth + k)];
                const float *column = left.data() + k * rows;
                for (int64_t i = 0; i < rows; ++i) {
                    sums[static_cast<size_t>(i)] += factor * column[i];
                }
            }
            for (int64_t i = 0; i < rows; ++i) {
                float value = alpha * sums[static_cast<size_t>(i)];
                if (beta != 0.0f) {
                    value += beta * element(c, c_layout.type, i + j * c_layout.leading);
                }
                if (product.epilogue == EPILOGUE_BIAS) {
                    value += element(product.bias, product.bias_type, i);
                }
                set_element(d, d_layout.type, i + j * d_layout.leading, value);
            }
        }
    }
};

} // namespace

TSP_EMULATED_API size_t cublasLtGetVersion() {
    return 130100;
}

TSP_EMULATED_API const char *cublasLtGetStatusName(int status) {
    return status == SUCCESS ? "CUBLAS_STATUS_SUCCESS"
        : status == INVALID_VALUE ? "CUBLAS_STATUS_INVALID_VALUE"
                                  : "CUBLAS_STATUS_NOT_SUPPORTED";
}

TSP_EMULATED_API const char *cublasLtGetStatusString(int status) {
    return status == SUCCESS ? "success" : status == INVALID_VALUE ? "an invalid value" : "not supported by the emulator";
}

TSP_EMULATED_API int cublasLtCreate(void **handle) {
    static int nothing;
    *handle = &nothing;
    return SUCCESS;
}

TSP_EMULATED_API int cublasLtDestroy(void *) {
    return SUCCESS;
}

TSP_EMULATED_API int cublasLtMatmulDescCreate(Product **product, int compute, int scale) {
    if (compute != COMPUTE_32F || scale != F32) {
        return NOT_SUPPORTED;
    }
    *product = new Product;
    return SUCCESS;
}

TSP_EMULATED_API int
cublasLtMatmulDescSetAttribute(Product *product, int attribute, const void *value, size_t bytes) {
    switch (attribute) {
    case TRANSPOSE_A:
        std::memcpy(&product->transpose_a, value, bytes);
        return SUCCESS;
    case TRANSPOSE_B:
        std::memcpy(&product->transpose_b, value, bytes);
        return SUCCESS;
    case EPILOGUE:
        std::memcpy(&product->epilogue, value, bytes);
        return SUCCESS;
    case BIAS_POINTER:
        std::memcpy(&product->bias, value, bytes);
        return SUCCESS;
    case BIAS_TYPE:
        std::memcpy(&product->bias_type, value, bytes);
        return SUCCESS;
    default:
        return NOT_SUPPORTED;
    }
}

TSP_EMULATED_API int cublasLtMatmulDescDestroy(Product *product) {
    delete product;
    return SUCCESS;
}

TSP_EMULATED_API int
cublasLtMatrixLayoutCreate(Layout **layout, int type, uint64_t rows, uint64_t columns, int64_t leading) {
    if (type != F32 && type != BF16) {
        return NOT_SUPPORTED;
    }
    if (leading < static_cast<int64_t>(rows)) {
        return INVALID_VALUE;
    }
    *layout = new Layout{type, static_cast<int64_t>(rows), static_cast<int64_t>(columns), leading};
    return SUCCESS;
}

TSP_EMULATED_API int cublasLtMatrixLayoutDestroy(Layout *layout) {
    delete layout;
    return SUCCESS;
}

TSP_EMULATED_API int cublasLtMatmulPreferenceCreate(void **preference) {
    *preference = new char;
    return SUCCESS;
}

TSP_EMULATED_API int cublasLtMatmulPreferenceSetAttribute(void *, int, const void *, size_t) {
    return SUCCESS;
}

TSP_EMULATED_API int cublasLtMatmulPreferenceDestroy(void *preference) {
    delete static_cast<char *>(preference);
    return SUCCESS;
}

TSP_EMULATED_API int cublasLtMatmulAlgoGetHeuristic(
    void *,
    const Product *product,
    const Layout *a,
    const Layout *b,
    const Layout *c,
    const Layout *d,
    void *,
    int requested,
    Heuristic *results,
    int *returned) {
    const bool left = product->transpose_a == TRANSPOSED;
    const bool right = product->transpose_b == TRANSPOSED;
    const int64_t depth = left ? a->rows : a->columns;
    const bool fits = (left ? a->columns : a->rows) == d->rows && (right ? b->columns : b->rows) == depth
        && (right ? b->rows : b->columns) == d->columns && c->rows == d->rows && c->columns == d->columns;
    if (!fits || requested < 1) {
        return INVALID_VALUE;
    }
    results[0] = Heuristic{};
    *returned = 1;
    return SUCCESS;
}

TSP_EMULATED_API int
cublasLtMatmulAlgoConfigGetAttribute(const Algorithm *, int, void *value, size_t bytes, size_t *written) {
    std::memset(value, 0, bytes);
    *written = bytes;
    return SUCCESS;
}

TSP_EMULATED_API int cublasLtMatmul(
    void *,
    const Product *product,
    const void *alpha,
    const void *a,
    const Layout *a_layout,
    const void *b,
    const Layout *b_layout,
    const void *beta,
    const void *c,
    const Layout *c_layout,
    void *d,
    const Layout *d_layout,
    const Algorithm *,
    void *,
    size_t,
    cudaStream_t stream) {
    if (product->epilogue == EPILOGUE_BIAS && product->bias == nullptr) {
        return INVALID_VALUE;
    }
    const Call call{
        *product,  *static_cast<const float *>(alpha), *static_cast<const float *>(beta), a, b, c, d, *a_layout,
        *b_layout, *c_layout,                          *d_layout};
    tspEmulatorEnqueue(stream, [call] { call.run(); });
    return SUCCESS;
}
