/* The epsilon rule backwards through convolutions; see lrp.py. */

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
   convolution give the relevance of the picture. After each convolution what goes on is divided by its largest: returned is
   the logarithm, to base 10, of all that was. */
double lrp(layer *layers, const long *phases, long convolutions, int threads, float *scratch) {
    float factor = 1;
    double divided = 0;
    for (long at = 0; at < convolutions; layers += phases[at], at++) {
        float top = 0;
        if (at + 1 < convolutions) divided -= log10(factor);
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
    return divided;
}
