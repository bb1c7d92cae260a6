/* How much of a map holds half of it. */

/* Values, without their sign, are told apart by their power of two and the 7 bits after it: from WEAKEST, below which all are one
   class, as they hold next to nothing of a map whose largest is 1, to STRONGEST, that of 1. */
#define WEAKEST (95 << 7)
#define STRONGEST (127 << 7)

/* Of a map whose largest magnitude is 1 the number of values that hold half of the sum of magnitudes, the strongest first; of the class
   that is needed only in part, its mean stands for each, so that the number is right to 1 %. NaN of a map of zeros, or of what is no
   number. */
static double half_of(const float *map, long size) {
    double sums[STRONGEST - WEAKEST + 1] = {0}, total = 0;
    long counts[STRONGEST - WEAKEST + 1] = {0};
    for (long i = 0; i < size; i++) {
        union {
            float value;
            unsigned bits;
        } v = {map[i]};
        v.bits &= 0x7fffffffu;
        const int class = (int)(v.bits >> 16) - WEAKEST;
        if (class > STRONGEST - WEAKEST) return NAN;
        const int at = class < 0 ? 0 : class;
        sums[at] += v.value;
        counts[at]++;
    }
    for (int k = 0; k <= STRONGEST - WEAKEST; k++) total += sums[k];
    double left = total / 2, found = 0;
    for (int k = STRONGEST - WEAKEST; k >= 0 && total > 0; k--) {
        if (sums[k] >= left) return found + left * counts[k] / sums[k];
        left -= sums[k];
        found += counts[k];
    }
    return NAN;
}

/* Of each of `frames` maps of `size` values what `half_of` returns. */
void halves(const float *maps, long frames, long size, double *out, int threads) {
    const int shares = frames < threads ? (int)frames : threads;
#pragma omp parallel for num_threads(shares) schedule(static) if (shares > 1)
    for (long frame = 0; frame < frames; frame++) out[frame] = half_of(maps + frame * size, size);
}
