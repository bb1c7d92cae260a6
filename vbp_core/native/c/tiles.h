/* A layer, and a tile of it: up to 14 neighbouring pixels of a row of outputs by up to 3 vectors of channels, all in registers. Each
   weight that is loaded serves every pixel of the tile, each pixel that is loaded every vector. What comes next is done while the results
   are still in registers: the bias, the ReLU, the sums over the channels (VisualBackProp's only large read), the quotient of LRP. */

typedef struct {
    const float *x;       /* what output (0, 0) of the first frame looks at first */
    const float *weight;  /* block of channels, tap, input channel, channel of the block */
    const float *bias;    /* padded with zeros to whole vectors */
    float *out, *mean;    /* mean: over the channels, (frames, h, w), or none */
    const float *below;   /* LRP: the activations that the relevance comes back to, or none */
    const long *offset;   /* of each tap, in floats */
    float *top;           /* LRP: largest magnitude that each row puts out, or none */
    long channels, outputs, h, w, taps, frames;
    long x_frame, x_row, x_pixel;
    long out_frame, out_row, out_pixel;
    long below_row, below_pixel;
    long first, rows, stride; /* output row y looks at `rows` input rows from first + y * stride on */
    float eps, factor;        /* LRP */
    int relu;
    int winograd; /* the weights are transformed: place of 16, block of channels, input channel, channel of the block */
} layer;

/* What becomes of the sums of one pixel: its ReLU, or LRP's share of the layer below, R / (a + eps) = sum a / (a + eps). */
static inline __attribute__((always_inline)) vec finish(const layer *l, vec a, const float *below, long lanes) {
    const vec zero = {0};
    if (l->relu) return (vec)((bits)a & ~(a < zero)); /* NaN stays NaN */
    if (below) {
        const vec b = load(below, lanes);
        a = a * l->factor * quotient(b, b + l->eps);
        return (vec)((bits)a & ~(b == zero)); /* nothing comes back to what was zero, eps = 0 or not */
    }
    return a;
}

#define UNROLL _Pragma("GCC unroll 16")
#define TILE(V, P)                                                                                                      \
    static void tile_##V##_##P(const layer *l, const float *x, const float *w, const float *bias, float *out,           \
                               const float *below, vec *sums, long lanes) {                                             \
        vec a[P][V];                                                                                                    \
        UNROLL for (int p = 0; p < P; p++) UNROLL for (int v = 0; v < V; v++) a[p][v] =                                 \
            *(const loose *)(bias + v * LANES);                                                                         \
        const long channels = l->channels, step = l->x_pixel;                                                           \
        for (long t = 0; t < l->taps; t++) {                                                                            \
            const float *at = x + l->offset[t];                                                                         \
            for (long c = 0; c < channels; c++, w += V * LANES) UNROLL for (int p = 0; p < P; p++) {                    \
                    const float value = at[p * step + c];                                                               \
                    UNROLL for (int v = 0; v < V; v++) a[p][v] += *(const loose *)(w + v * LANES) * value;              \
                }                                                                                                       \
        }                                                                                                               \
        UNROLL for (int p = 0; p < P; p++) UNROLL for (int v = 0; v < V; v++) {                                         \
            const long left = lanes - v * LANES;                                                                        \
            const vec r = finish(l, a[p][v], below ? below + p * l->below_pixel + v * LANES : 0, left);                 \
            store(out + p * l->out_pixel + v * LANES, r, left);                                                         \
            if (!below) sums[p] += r;                                                                                   \
            else { /* the largest magnitude */                                                                          \
                const vec m = (vec)((bits)r & 0x7fffffff);                                                              \
                sums[0] = larger(m, sums[0]);                                                                           \
            }                                                                                                           \
        }                                                                                                               \
    }

/* The same without anything before and after: a product of matrices. */
#define PRODUCT(V, P)                                                                                                   \
    static void product_##V##_##P(const float *x, long step, long channels, const float *w, float *out, long stride) {  \
        vec a[P][V];                                                                                                    \
        UNROLL for (int p = 0; p < P; p++) UNROLL for (int v = 0; v < V; v++) a[p][v] = (vec){0};                       \
        for (long c = 0; c < channels; c++, w += V * LANES) UNROLL for (int p = 0; p < P; p++) {                        \
                const float value = x[p * step + c];                                                                    \
                UNROLL for (int v = 0; v < V; v++) a[p][v] += *(const loose *)(w + v * LANES) * value;                  \
            }                                                                                                           \
        UNROLL for (int p = 0; p < P; p++) UNROLL for (int v = 0; v < V; v++) *(loose *)(out + p * stride + v * LANES) = \
            a[p][v];                                                                                                    \
    }

#define EACH(DO)                                                                                                        \
    DO(1, 1) DO(1, 2) DO(1, 3) DO(1, 4) DO(1, 5) DO(1, 6) DO(1, 7) DO(1, 8) DO(1, 9) DO(1, 10) DO(1, 11) DO(1, 12)      \
    DO(2, 1) DO(2, 2) DO(2, 3) DO(2, 4) DO(2, 5) DO(2, 6) DO(3, 1) DO(3, 2) DO(3, 3)
#if MANY
#define MORE(DO)                                                                                                        \
    DO(1, 13) DO(1, 14) DO(2, 7) DO(2, 8) DO(2, 9) DO(2, 10) DO(2, 11) DO(2, 12) DO(2, 13) DO(2, 14) DO(3, 4) DO(3, 5)  \
    DO(3, 6) DO(3, 7) DO(3, 8) DO(3, 9)
#else
#define MORE(DO) DO(3, 4)
#endif
EACH(TILE)
MORE(TILE)
EACH(PRODUCT)
MORE(PRODUCT)

typedef void tiler(const layer *, const float *, const float *, const float *, float *, const float *, vec *, long);
#define ENTRY(V, P) [V][P] = tile_##V##_##P,
static tiler *const tilers[4][PIXELS + 1] = {EACH(ENTRY) MORE(ENTRY)};
typedef void multiplier(const float *, long, long, const float *, float *, long);
#define PRODUCT_ENTRY(V, P) [V][P] = product_##V##_##P,
static multiplier *const multipliers[4][PIXELS + 1] = {EACH(PRODUCT_ENTRY) MORE(PRODUCT_ENTRY)};

static inline long blocks_of(const layer *l) { return (l->outputs + LANES - 1) / LANES; }
/* Vectors of channels that a tile holds. The packing of the weights goes by it too. */
static inline int vectors(long blocks) { return blocks % 3 == 0 ? 3 : blocks > 1 ? 2 : 1; }
static inline long pixels(long blocks) {
    const int v = vectors(blocks);
    return MANY ? (v == 3 ? 9 : 14) : (v == 3 ? 4 : v == 2 ? 6 : 12);
}
/* Rows that are computed at once. */
static inline long step_of(const layer *l) { return l->winograd ? 2 : 1; }
static inline long units_of(const layer *l) { return (l->h + step_of(l) - 1) / step_of(l); }
