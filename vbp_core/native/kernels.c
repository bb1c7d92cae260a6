/* Convolutions, LRP and VisualBackProp on one processor, compiled for the very processor it runs on.

   Maps lie as rows of pixels, a pixel's channels behind one another. A tile is up to 14 neighbouring pixels of a row
   of outputs by up to 3 vectors of channels, all in registers; each weight that is loaded serves every pixel of the
   tile, each pixel that is loaded every vector. What comes next is done while the results are still in registers: the
   bias, the ReLU, the mean over the channels (VisualBackProp's only large read), the quotient of LRP. */

#include <string.h>

#if defined(__AVX512F__)
#define LANES 16
#elif defined(__AVX__)
#define LANES 8
#else
#define LANES 4
#endif
#if defined(__AVX512F__) || defined(__aarch64__) /* 32 vector registers, or 16 */
#define MANY 1
#define PIXELS 14 /* of the widest tile */
#else
#define MANY 0
#define PIXELS 12
#endif

typedef float vec __attribute__((vector_size(LANES * 4)));
typedef float loose __attribute__((vector_size(LANES * 4), aligned(4), may_alias)); /* at any address */
typedef int bits __attribute__((vector_size(LANES * 4)));

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

static inline float sum(vec v) {
    float s[LANES];
    memcpy(s, &v, sizeof v);
    for (int n = LANES / 2; n; n /= 2)
        for (int i = 0; i < n; i++) s[i] += s[i + n];
    return s[0];
}

#if defined(__AVX512F__)
#include <immintrin.h>
/* a's and b's lanes, added in pairs of groups: what is left of each is half as long, a's first. */
#define FOLD(a, b, low, high)                                                                                           \
    ((vec)_mm512_permutex2var_ps((__m512)(a), low, (__m512)(b)) + (vec)_mm512_permutex2var_ps((__m512)(a), high, (__m512)(b)))
/* The sums of 16 vectors at once, as a vector: v is overwritten. */
static inline vec sums_of(vec *v) {
    static const int places[4][16] = {{0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23},
                                      {0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27},
                                      {0, 1, 4, 5, 8, 9, 12, 13, 16, 17, 20, 21, 24, 25, 28, 29},
                                      {0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30}};
    for (int level = 0, count = 8; level < 4; level++, count /= 2) {
        const __m512i low = _mm512_loadu_si512(places[level]), high = _mm512_add_epi32(low, _mm512_set1_epi32(8 >> level));
        for (int i = 0; i < count; i++) v[i] = FOLD(v[2 * i], v[2 * i + 1], low, high);
    }
    return v[0];
}
static inline void means_of(vec *sums, long count, float by, float *out) {
    _mm512_mask_storeu_ps(out, (__mmask16)((1u << count) - 1), (__m512)(sums_of(sums) * by));
}
#else
static inline void means_of(vec *sums, long count, float by, float *out) {
    for (long p = 0; p < count; p++) out[p] = sum(sums[p]) * by;
}
#endif

static inline float largest(vec v) {
    float s[LANES], top = 0;
    memcpy(s, &v, sizeof v);
    for (int i = 0; i < LANES; i++) top = s[i] > top ? s[i] : top;
    return top;
}

#if defined(__AVX512F__)
#include <immintrin.h>
static inline vec larger(vec a, vec b) { return (vec)_mm512_max_ps((__m512)a, (__m512)b); }
static inline vec smaller(vec a, vec b) { return (vec)_mm512_min_ps((__m512)a, (__m512)b); }
#else
static inline vec larger(vec a, vec b) { return (vec)(((bits)a & (a > b)) | ((bits)b & ~(a > b))); }
static inline vec smaller(vec a, vec b) { return (vec)(((bits)a & (a < b)) | ((bits)b & ~(a < b))); }
#endif

static inline vec load(const float *from, long lanes) {
    if (lanes >= LANES) return *(const loose *)from;
    vec v = {0};
    memcpy(&v, from, lanes * 4);
    return v;
}

static inline void store(float *to, vec v, long lanes) {
    if (lanes >= LANES) *(loose *)to = v;
    else memcpy(to, &v, lanes * 4);
}

/* a / b of finite numbers, b not 0, to the last bit or the one before it. */
static inline vec quotient(vec a, vec b) {
#if defined(__AVX512F__)
    const vec r = (vec)_mm512_rcp14_ps((__m512)b);
    return a * (r * (2.0f - b * r));
#else
    return a / b;
#endif
}

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

/* Winograd's minimal filtering F(2x2, 3x3) (Lavin and Gray 2016): 16 products where a window of 3x3 takes 36. Squares of
   4x4 inputs overlap by two and give 2x2 outputs; between the transforms stand 16 products of matrices. */
#define SQUARES 36     /* of a strip, at most */
#define SCRATCH 131072 /* floats of a thread */

static inline long padded_outputs(const layer *l) { return blocks_of(l) * LANES; }
static inline long strip_of(const layer *l) {
    const long fit = SCRATCH / (16 * (l->channels + padded_outputs(l))), most = pixels(blocks_of(l));
    return fit < most ? fit : SQUARES / most * most < fit ? SQUARES / most * most : fit / most * most;
}
/* Pieces of a row, or of two, that are computed one after the other. */
static inline long pieces_of(const layer *l) {
    const long each = l->winograd ? strip_of(l) : pixels(blocks_of(l)), all = l->winograd ? (l->w + 1) / 2 : l->w;
    return (all + each - 1) / each;
}

/* A column of four inputs, transformed. */
static inline __attribute__((always_inline)) void column_of(const float *from, long row, long last, vec *to) {
    const vec a = *(const loose *)from, b = *(const loose *)(from + row), c = *(const loose *)(from + 2 * row);
    to[0] = a - c;
    to[1] = b + c;
    to[2] = c - b;
    to[3] = b - *(const loose *)(from + last * row);
}

static void into_squares(const layer *l, const float *x, long rows, long at, long count, float *to) {
    const long place = count * l->channels, row = l->x_row, pixel = l->x_pixel, end = l->w + 1;
    for (long c = 0; c < l->channels; c += LANES) {
        const float *from = x + 2 * at * pixel + c;
        vec d[4][4]; /* column, row */
        column_of(from, row, rows - 1, d[0]);
        column_of(from + pixel, row, rows - 1, d[1]);
        for (long s = 0; s < count; s++) {
            /* Beyond the end, as below the last row, any value will do: what becomes of it is dropped. */
            const long second = 2 * (at + s) + 3 <= end ? 3 : 2;
            column_of(from + (2 * s + 2) * pixel, row, rows - 1, d[2]);
            column_of(from + (2 * s + second) * pixel, row, rows - 1, d[3]);
            float *o = to + s * l->channels + c;
            UNROLL for (int i = 0; i < 4; i++, o += 4 * place) {
                *(loose *)o = d[0][i] - d[2][i];
                *(loose *)(o + place) = d[1][i] + d[2][i];
                *(loose *)(o + 2 * place) = d[2][i] - d[1][i];
                *(loose *)(o + 3 * place) = d[1][i] - d[3][i];
                d[0][i] = d[2][i];
                d[1][i] = d[3][i];
            }
        }
    }
}

/* Where the outputs of a square go: its first pixel in each of the maps, and how much of it there is. */
typedef struct {
    float *out;
    const float *below;
    vec *sums;
    long rows, columns;
} square;

/* whole: all four outputs are there, behind a ReLU, and all channels of each vector. */
static inline __attribute__((always_inline)) void out_of_square(const layer *l, const float *from, long place, square to,
                                                                vec *largest_one, int whole) {
    const long outputs = padded_outputs(l), full = 2 * SQUARES + 16;
    const vec zero = {0};
    vec sums[2][2] = {{zero, zero}, {zero, zero}};
    for (long k = 0; k < outputs; k += LANES) {
        vec m[2][4];
        UNROLL for (int j = 0; j < 4; j++) {
            const float *o = from + j * place + k;
            const vec a = *(const loose *)o, b = *(const loose *)(o + 4 * place);
            const vec c = *(const loose *)(o + 8 * place), d = *(const loose *)(o + 12 * place);
            m[0][j] = a + b + c;
            m[1][j] = b - c - d;
        }
        const vec bias = *(const loose *)(l->bias + k);
        UNROLL for (int i = 0; i < 2; i++) {
            const vec both[2] = {m[i][0] + m[i][1] + m[i][2] + bias, m[i][1] - m[i][2] - m[i][3] + bias};
            UNROLL for (int j = 0; j < 2; j++) {
                float *o = to.out + i * l->out_row + j * l->out_pixel + k;
                if (whole) {
                    const vec r = (vec)((bits)both[j] & ~(both[j] < zero));
                    *(loose *)o = r;
                    sums[i][j] += r;
                } else if (i < to.rows && j < to.columns) {
                    const long left = l->outputs - k;
                    const float *below = to.below ? to.below + i * l->below_row + j * l->below_pixel + k : 0;
                    const vec r = finish(l, both[j], below, left);
                    store(o, r, left);
                    sums[i][j] += r;
                    if (below) *largest_one = larger((vec)((bits)r & 0x7fffffff), *largest_one);
                }
            }
        }
    }
    UNROLL for (int i = 0; i < 2; i++) UNROLL for (int j = 0; j < 2; j++) to.sums[i * full + j] = sums[i][j];
}

/* rows: 2, or 1 at the end of an odd number. */
static void out_of_squares(const layer *l, const float *from, long frame, long y, long at, long count, long rows,
                           vec *largest_one) {
    const long outputs = padded_outputs(l), place = count * outputs, first = 2 * at;
    const long columns = (first + 2 * count < l->w ? first + 2 * count : l->w) - first;
    const int simple = rows == 2 && l->relu && l->outputs == outputs;
    float *out = l->out + frame * l->out_frame + y * l->out_row + first * l->out_pixel;
    const float *below = l->below ? l->below + y * l->below_row + first * l->below_pixel : 0;
    vec sums[2][2 * SQUARES + 16];
    for (long s = 0; s < count; s++, from += outputs) {
        const square to = {out + 2 * s * l->out_pixel, below ? below + 2 * s * l->below_pixel : 0, sums[0] + 2 * s, rows,
                           columns - 2 * s};
        if (simple && to.columns >= 2) out_of_square(l, from, place, to, largest_one, 1);
        else out_of_square(l, from, place, to, largest_one, 0);
    }
    if (!l->mean) return;
    for (long i = 0; i < rows; i++) {
        memset(sums[i] + columns, 0, 16 * sizeof(vec));
        for (long c = 0; c < columns; c += 16)
            means_of(sums[i] + c, columns - c < 16 ? columns - c : 16, 1.0f / (float)l->outputs,
                     l->mean + (frame * l->h + y + i) * l->w + first + c);
    }
}

static void run_squares(const layer *l, long frame, long y, long at, long count, float *scratch, vec *largest_one) {
    const long blocks = blocks_of(l), outputs = blocks * LANES, rows = l->h - y < 2 ? l->h - y : 2;
    const long most = pixels(blocks), groups = (count + most - 1) / most;
    const int wide = vectors(blocks);
    float *in = scratch, *out = scratch + 16 * count * l->channels;
    into_squares(l, l->x + frame * l->x_frame + y * l->x_row, rows + 2, at, count, in);
    for (long place = 0; place < 16; place++) {
        const float *w = l->weight + place * l->channels * outputs;
        for (long b = 0; b < blocks; b += wide) {
            const int now = blocks - b < wide ? (int)(blocks - b) : wide;
            for (long g = 0; g < groups; g++) {
                const long from = place * count + g * count / groups, to = place * count + (g + 1) * count / groups;
                multipliers[now][to - from](in + from * l->channels, l->channels, l->channels, w,
                                            out + from * outputs + b * LANES, outputs);
            }
            w += l->channels * now * LANES;
        }
    }
    out_of_squares(l, out, frame, y, at, count, rows, largest_one);
}

/* A tile: pixels `at` to `at + count` of row y. */
static void run_tile(const layer *l, long frame, long y, long at, long count, vec *largest_one) {
    const long blocks = blocks_of(l);
    const int most = vectors(blocks);
    const float *x = l->x + frame * l->x_frame + y * l->x_row + at * l->x_pixel, *w = l->weight;
    float *out = l->out + frame * l->out_frame + y * l->out_row + at * l->out_pixel;
    vec sums[16];
    memset(sums, 0, sizeof sums);
    for (long b = 0; b < blocks; b += most) {
        const int now = blocks - b < most ? (int)(blocks - b) : most;
        const float *below = l->below ? l->below + y * l->below_row + at * l->below_pixel + b * LANES : 0;
        tilers[now][count](l, x, w, l->bias + b * LANES, out + b * LANES, below, sums, l->outputs - b * LANES);
        w += l->taps * l->channels * now * LANES;
    }
    if (l->mean) means_of(sums, count, 1.0f / (float)l->outputs, l->mean + (frame * l->h + y) * l->w + at);
    if (l->below) *largest_one = larger(sums[0], *largest_one);
}

/* Pieces `from` to `to` of a unit of rows: of equal width but for a pixel. */
static void run_pieces(const layer *l, long frame, long unit, long from, long to, float *scratch) {
    const long pieces = pieces_of(l), all = l->winograd ? (l->w + 1) / 2 : l->w;
    for (long piece = from; piece < to; piece++) {
        const long at = piece * all / pieces, count = (piece + 1) * all / pieces - at;
        vec largest_one = {0};
        if (l->winograd) run_squares(l, frame, 2 * unit, at, count, scratch, &largest_one);
        else run_tile(l, frame, unit, at, count, &largest_one);
        if (l->top) l->top[unit * pieces + piece] = largest(largest_one);
    }
}

/* The rows of layer `at` up to `upto`, and before each the rows of the layers before it that it looks at. */
static void advance(const layer *layers, long at, long frame, long *done, long upto, float *scratch) {
    const layer *l = layers + at;
    for (; done[at] < upto; done[at] += step_of(l)) {
        if (at) {
            const long end = l->first + (done[at] + step_of(l) - 1) * l->stride + l->rows, all = layers[at - 1].h;
            advance(layers, at - 1, frame, done, end < all ? end : all, scratch);
        }
        run_pieces(l, frame, done[at] / step_of(l), 0, pieces_of(l), scratch);
    }
}

#define DEEPEST 8
/* Layers that follow one another, a row at a time, so that what one puts out is still in the cache when the next takes
   it. Where the threads' shares meet, both compute the few rows that both need, to the same bits.
   scratch: SCRATCH floats for each thread. */
void run(const layer *layers, long count, int threads, float *scratch) {
    const layer *last = layers + count - 1;
    /* A share is a stretch of rows of the last layer; a layer alone is shared by pieces of rows, as it may have few. */
    const long parts = count == 1 ? pieces_of(last) : 1, units = units_of(last), all = last->frames * units * parts;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int thread = 0; thread < threads; thread++) {
        const long start = all * thread / threads, stop = all * (thread + 1) / threads;
        float *own = scratch + thread * SCRATCH;
        for (long at = start; at < stop;) {
            const long row = at / parts, frame = row / units, unit = row % units;
            if (count == 1) {
                const long from = at % parts, to = from + (stop - at) < parts ? from + (stop - at) : parts;
                run_pieces(last, frame, unit, from, to, own);
                at += to - from;
                continue;
            }
            const long end = units < unit + stop - at ? units : unit + stop - at;
            long done[DEEPEST];
            done[count - 1] = unit * step_of(last);
            for (long k = count - 1; k > 0; k--) {
                const long need = layers[k].first + done[k] * layers[k].stride, step = step_of(layers + k - 1);
                done[k - 1] = need < 0 ? 0 : need / step * step;
            }
            /* The first share of a frame also has the rows that no later layer looks at, before and after. */
            if (unit == 0) memset(done, 0, sizeof done);
            const long rows = end * step_of(last);
            advance(layers, count - 1, frame, done, rows < last->h ? rows : last->h, own);
            if (end == units)
                for (long k = 0; k < count - 1; k++) advance(layers, k, frame, done, layers[k].h, own);
            at += end - unit;
        }
    }
}

/* Pixels `at` to `at + count`, 16 at most, of one output of a layer that has few: sums over taps and channels, a vector of
   channels at a time. weight: output, tap, channel in whole vectors. */
static inline __attribute__((always_inline)) void few_sums(const layer *l, const float *x, const float *w, long count,
                                                           vec *sums) {
    const long channels = (l->channels + LANES - 1) / LANES * LANES, step = l->x_pixel;
    for (long p = 0; p < count; p += 4) {
        vec a[4] = {{0}, {0}, {0}, {0}};
        const float *weight = w;
        for (long t = 0; t < l->taps; t++) {
            const float *from = x + p * step + l->offset[t];
            for (long c = 0; c < channels; c += LANES, weight += LANES) {
                const vec v = *(const loose *)weight;
                UNROLL for (int i = 0; i < 4; i++) a[i] += *(const loose *)(from + (p + i < count ? i : 0) * step + c) * v;
            }
        }
        for (int i = 0; i < 4; i++) sums[p + i] = a[i];
    }
}

/* The relevance of a row of the picture: what each of its channels gets times what it is, summed. */
static void run_few(const layer *l, long y) {
    const long channels = (l->channels + LANES - 1) / LANES * LANES;
    for (long p = 0; p < l->w; p += 16) {
        const long count = l->w - p < 16 ? l->w - p : 16;
        float relevance[16] = {0};
        for (long k = 0; k < l->outputs; k++) {
            vec sums[16];
            float got[16];
            memset(sums, 0, sizeof sums);
            few_sums(l, l->x + y * l->x_row + p * l->x_pixel, l->weight + k * l->taps * channels, count, sums);
            means_of(sums, count, 1, got);
            const float *below = l->below + y * l->below_row + p * l->below_pixel + k;
            for (long i = 0; i < count; i++) relevance[i] += got[i] * below[i * l->below_pixel];
        }
        for (long i = 0; i < count; i++) l->out[y * l->out_row + (p + i) * l->out_pixel] = relevance[i];
    }
}

/* LRP through convolutions, one frame. Each has `phases` layers, one for each place of its stride; those of the first
   convolution give the relevance of the picture. After each convolution what goes on is divided by its largest. */
void lrp(layer *layers, const long *phases, long convolutions, int threads, float *scratch) {
    float factor = 1;
    for (long at = 0; at < convolutions; layers += phases[at], at++) {
        float top = 0;
        for (long k = 0; k < phases[at]; k++) {
            layer *l = layers + k;
            l->factor = factor;
            if (at + 1 < convolutions) {
                run(l, 1, threads, scratch);
                const long count = units_of(l) * pieces_of(l);
                for (long i = 0; i < count; i++) top = l->top[i] > top ? l->top[i] : top;
            } else {
#pragma omp parallel for num_threads(threads) schedule(static)
                for (long y = 0; y < l->h; y++) run_few(l, y);
            }
        }
        factor = top > 0 ? 1 / top : 1;
    }
}

typedef struct {
    const float *mean;                   /* (frames, h, w), or none */
    long h, w;                           /* of what the operation puts out */
    long kernel[2], stride[2], padding[2], dilation[2];
    long size[2];                        /* of what the operation takes */
    int moves;                           /* 0: nothing, 1: a window, 2: padding by `padding` at the top and the left */
} step;

static float top_of(const float *m, long count) {
    vec top = {0};
    long i = 0;
    for (; i + LANES <= count; i += LANES) top = larger(*(const loose *)(m + i), top);
    return largest(larger(load(m + i, count - i < 0 ? 0 : count - i), top));
}

static float lowest(const float *m, long count) {
    float low = m[0];
    long i = 0;
    if (count >= LANES) {
        vec lows = *(const loose *)m;
        for (; i + LANES <= count; i += LANES) lows = smaller(*(const loose *)(m + i), lows);
        for (int k = 0; k < LANES; k++) low = lows[k] < low ? lows[k] : low;
    }
    for (; i < count; i++) low = m[i] < low ? m[i] : low;
    return low;
}

/* m *= a, both divided by their largest, so that neither can overflow. Returns the largest of the product. */
static float times(float *restrict m, float top, const float *restrict a, long count) {
    const float by = top_of(a, count), x = top > 0 ? 1 / top : 1, y = by > 0 ? 1 / by : 1;
    for (long i = 0; i < count; i++) m[i] = (m[i] * x) * (a[i] * y);
    return top_of(m, count);
}

/* A row, `stride` apart among zeros, summed over the window: the transposed convolution of ones along a row. */
static void spread(const float *restrict in, long count, float *restrict out, long size, long kernel, long stride,
                   long padding, long dilation) {
    if (kernel == 3 && stride <= 2 && dilation == 1 && padding == 0 && count > 2) {
        const long end = (count - 1) * stride + 3;
        if (end <= size) {
            memset(out + end, 0, (size - end) * sizeof *out);
            if (stride == 1) {
                out[0] = in[0];
                out[1] = in[0] + in[1];
                for (long i = 2; i < count; i++) out[i] = in[i] + in[i - 1] + in[i - 2];
                out[count] = in[count - 1] + in[count - 2];
                out[count + 1] = in[count - 1];
            } else {
                out[0] = out[1] = in[0];
                for (long i = 1; i < count; i++) {
                    out[2 * i] = in[i] + in[i - 1];
                    out[2 * i + 1] = in[i];
                }
                out[2 * count] = in[count - 1];
            }
            return;
        }
    }
    memset(out, 0, size * sizeof *out);
    for (long k = 0; k < kernel; k++) {
        const long at = k * dilation - padding;
        if (size - 1 < at) continue;
        const long from = at < 0 ? (-at + stride - 1) / stride : 0, to = (size - 1 - at) / stride + 1;
        for (long i = from; i < (to < count ? to : count); i++) out[at + stride * i] += in[i];
    }
}

typedef struct {
    float low, high;
} range;

/* out = sum of rows * by, times a row of means * mean_by where there is one. Returns its range. */
static inline __attribute__((always_inline)) range combine(const float *const *rows, long count, long width, float by,
                                                           const float *mean, float mean_by, float *out) {
    vec high = {0}, low = high + 3e38f;
    long i = 0;
    for (; i + LANES <= width; i += LANES) {
        vec a = {0};
        for (long r = 0; r < count; r++) a += *(const loose *)(rows[r] + i);
        a *= by;
        if (mean) a *= *(const loose *)(mean + i) * mean_by;
        *(loose *)(out + i) = a;
        high = larger(a, high);
        low = smaller(a, low);
    }
    range found = {3e38f, largest(high)};
    for (int k = 0; k < LANES; k++) found.low = low[k] < found.low ? low[k] : found.low;
    for (; i < width; i++) {
        float a = 0;
        for (long r = 0; r < count; r++) a += rows[r][i];
        a *= by;
        if (mean) a *= mean[i] * mean_by;
        out[i] = a;
        found.high = a > found.high ? a : found.high;
        found.low = a < found.low ? a : found.low;
    }
    return found;
}

#define TALLEST 128     /* rows of a window */
#define WORTH_TWO 16384 /* pixels of a map that more than one thread is for */
/* The transposed convolution of ones, divided by the largest of what goes in, and times the next averaged map (divided by
   its largest) where there is one. rows: room for the window's rows at the width of out, for each thread. Returns the
   range of out. */
static range scale_up(const step *s, const float *in, float top, const float *mean, float *out, float *rows, int threads) {
    const long height = s->size[0], width = s->size[1], kernel = s->kernel[0], stride = s->stride[0], all = height * width;
    const long ring = (kernel - 1) * s->dilation[0] + 1;
    const float by = top > 0 ? 1 / top : 1;
    const int shares = all < WORTH_TWO ? 1 : threads;
    float low = 3e38f, high = 0, most = 0;
#pragma omp parallel num_threads(shares) if (shares > 1)
    {
        if (mean) { /* its largest */
#pragma omp for schedule(static) reduction(max : most)
            for (int share = 0; share < shares; share++) {
                const long from = all * share / shares, to = all * (share + 1) / shares;
                const float own = top_of(mean + from, to - from);
                most = own > most ? own : most;
            }
        }
        const float mean_by = most > 0 ? 1 / most : 1;
#pragma omp for schedule(static) reduction(max : high) reduction(min : low)
        for (int share = 0; share < shares; share++) {
            float *own = rows + share * ring * width;
            long held[TALLEST]; /* of in's rows, spread, which go round in `own` */
            for (long k = 0; k < ring; k++) held[k] = -1;
            for (long y = height * share / shares; y < height * (share + 1) / shares; y++) {
                const float *taken[TALLEST], *with = mean ? mean + y * width : 0;
                float *to = out + y * width;
                long count = 0;
                for (long k = kernel - 1; k >= 0; k--) {
                    const long at = y + s->padding[0] - k * s->dilation[0], i = at / stride;
                    if (at < 0 || at % stride || i >= s->h) continue;
                    float *row = own + i % ring * width;
                    if (held[i % ring] != i) {
                        spread(in + i * s->w, s->w, row, width, s->kernel[1], s->stride[1], s->padding[1], s->dilation[1]);
                        held[i % ring] = i;
                    }
                    taken[count++] = row;
                }
                const range found = count == 3   ? combine(taken, 3, width, by, with, mean_by, to)
                                    : count == 2 ? combine(taken, 2, width, by, with, mean_by, to)
                                    : count == 1 ? combine(taken, 1, width, by, with, mean_by, to)
                                                 : combine(taken, count, width, by, with, mean_by, to);
                low = found.low < low ? found.low : low;
                high = found.high > high ? found.high : high;
            }
        }
    }
    return (range){low, high};
}

/* Rows and columns that were added are dropped, those that were left out come back as zeros. */
static void unpad(const step *s, const float *in, float *out) {
    const long height = s->size[0], width = s->size[1];
    memset(out, 0, height * width * sizeof *out);
    for (long y = 0; y < height; y++) {
        const long from = y + s->padding[0], left = s->padding[1];
        if (from < 0 || from >= s->h) continue;
        const long start = left < 0 ? -left : 0, stop = s->w - left < width ? s->w - left : width;
        if (stop > start) memcpy(out + y * width + start, in + from * s->w + start + left, (stop - start) * sizeof *out);
    }
}

/* VisualBackProp of one frame from the averaged maps, the deepest first: (h, w) of the picture into out, in [0, 1].
   maps: two, each as large as the largest; rows: as `scale_up` takes them. */
static void mask_of(const step *steps, long count, long frame, float *out, float *maps, long largest_map, float *rows,
                    int threads) {
    float *now = maps, *next = maps + largest_map;
    int begun = 0, multiplied = 0;
    long size = 0;
    range r = {0, 0};
    for (long i = 0; i < count; i++) {
        const step *s = steps + i;
        size = s->h * s->w;
        if (s->mean && !multiplied) {
            const float *mean = s->mean + frame * size;
            if (begun) times(now, r.high, mean, size);
            else memcpy(now, mean, size * sizeof *now);
            begun = 1;
            r = (range){lowest(now, size), top_of(now, size)};
        }
        multiplied = 0;
        if (!begun || !s->moves) continue;
        size = s->size[0] * s->size[1];
        if (s->moves == 2) {
            unpad(s, now, next);
            r = (range){lowest(next, size), top_of(next, size)};
        } else {
            const float *mean = i + 1 < count ? steps[i + 1].mean : 0;
            r = scale_up(s, now, r.high, mean ? mean + frame * size : 0, next, rows, threads);
            multiplied = mean != 0;
        }
        float *other = now;
        now = next;
        next = other;
    }
    const float by = r.high > r.low ? r.high - r.low : 1;
    for (long i = 0; i < size; i++) out[i] = (now[i] - r.low) / by;
}

/* maps: 2 * largest_map floats for each thread, or for each frame where they are fewer; rows: rows_each for each thread. */
void mask(const step *steps, long count, long frames, float *out, long size, float *maps, long largest_map, float *rows,
          long rows_each, int threads) {
    if (frames == 1) { /* not within a parallel region: threads of a nested one would be made anew each time */
        mask_of(steps, count, 0, out, maps, largest_map, rows, threads);
        return;
    }
    const int shares = frames < threads ? (int)frames : threads;
#pragma omp parallel for num_threads(shares) schedule(static)
    for (int share = 0; share < shares; share++)
        for (long frame = share; frame < frames; frame += shares)
            mask_of(steps, count, frame, out + frame * size, maps + share * 2 * largest_map, largest_map,
                    rows + share * rows_each, 1);
}

long lanes(void) { return LANES; }
long scratch_floats(void) { return SCRATCH; }
long size_of_layer(void) { return sizeof(layer); }
long size_of_step(void) { return sizeof(step); }
