/* VisualBackProp's own part: from the averaged maps to the mask. */

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

/* What divides by `top` as near as a float can; nothing is divided by zero. */
static float inverse(float top) {
    const float x = 1 / top;
    return top > 0 ? x < 3e38f ? x : 3e38f : 1;
}

/* m *= a, both divided by their largest, so that neither can overflow; divided: its logarithm grows by theirs. Returns the
   largest of the product. */
static float times(float *restrict m, float top, const float *restrict a, long count, double *divided) {
    const float x = inverse(top), y = inverse(top_of(a, count));
    *divided -= log10(x) + log10(y);
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

#define TALLEST 128 /* rows of a window */
/* The transposed convolution of ones, divided by the largest of what goes in, and times the next averaged map (divided by
   its largest) where there is one; divided: as in `times`. rows: room for the window's rows at the width of out. Returns the
   range of out. */
static range scale_up(const step *s, const float *in, float top, const float *mean, float *out, float *rows,
                      double *divided) {
    const long height = s->size[0], width = s->size[1], kernel = s->kernel[0], stride = s->stride[0];
    const long ring = (kernel - 1) * s->dilation[0] + 1;
    const float by = inverse(top), mean_by = mean ? inverse(top_of(mean, height * width)) : 1;
    *divided -= log10(by) + log10(mean_by);
    range all = {3e38f, 0};
    long held[TALLEST]; /* of in's rows, spread, which go round in `rows` */
    for (long k = 0; k < ring; k++) held[k] = -1;
    for (long y = 0; y < height; y++) {
        const float *taken[TALLEST], *with = mean ? mean + y * width : 0;
        float *to = out + y * width;
        long count = 0;
        for (long k = kernel - 1; k >= 0; k--) {
            const long at = y + s->padding[0] - k * s->dilation[0], i = at / stride;
            if (at < 0 || at % stride || i >= s->h) continue;
            float *row = rows + i % ring * width;
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
        all.low = found.low < all.low ? found.low : all.low;
        all.high = found.high > all.high ? found.high : all.high;
    }
    return all;
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
   maps: two, each as large as the largest; rows: as `scale_up` takes them. Returns the logarithm, to base 10, of its largest
   value before it was divided by anything. */
static double mask_of(const step *steps, long count, long frame, float *out, float *maps, long largest_map, float *rows) {
    float *now = maps, *next = maps + largest_map;
    int begun = 0, multiplied = 0;
    double divided = 0;
    long size = 0;
    range r = {0, 0};
    for (long i = 0; i < count; i++) {
        const step *s = steps + i;
        size = s->h * s->w;
        if (s->mean && !multiplied) {
            const float *mean = s->mean + frame * size;
            if (begun) times(now, r.high, mean, size, &divided);
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
            r = scale_up(s, now, r.high, mean ? mean + frame * size : 0, next, rows, &divided);
            multiplied = mean != 0;
        }
        float *other = now;
        now = next;
        next = other;
    }
    const float by = r.high > r.low ? r.high - r.low : 1;
    for (long i = 0; i < size; i++) out[i] = (now[i] - r.low) / by;
    return divided + log10(r.high);
}

/* Frames are shared by the threads; one frame is done by one, as a fifth of a millisecond is not worth waiting for another that
   something else may have taken the processor from. maps: 2 * largest_map floats for each share, rows: rows_each. strengths: of
   each frame what `mask_of` returns. */
void mask(const step *steps, long count, long frames, float *out, long size, float *maps, long largest_map, float *rows,
          long rows_each, double *strengths, int threads) {
    const int shares = frames < threads ? (int)frames : threads;
#pragma omp parallel for num_threads(shares) schedule(static) if (shares > 1)
    for (int share = 0; share < shares; share++)
        for (long frame = share; frame < frames; frame += shares)
            strengths[frame] = mask_of(steps, count, frame, out + frame * size, maps + share * 2 * largest_map, largest_map,
                    rows + share * rows_each);
}
