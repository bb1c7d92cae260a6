/* Winograd's minimal filtering F(2x2, 3x3) (Lavin and Gray 2016): 16 products where a window of 3x3 takes 36. Squares of
   4x4 inputs overlap by two and give 2x2 outputs; between the transforms stand 16 products of matrices. */
#define SQUARES 36     /* of a strip, at most */
#define SCRATCH 131072 /* floats of a thread */

static inline long padded_outputs(const layer *l) { return blocks_of(l) * LANES; }
static inline long strip_of(const layer *l) {
    const long fit = SCRATCH / (16 * (l->channels + padded_outputs(l))), most = pixels(blocks_of(l));
    return fit < most ? fit : SQUARES / most * most < fit ? SQUARES / most * most : fit / most * most;
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
