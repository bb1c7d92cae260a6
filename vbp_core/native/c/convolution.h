/* Layers by tiles or by Winograd, alone or several that follow one another, shared by threads. */

/* Pieces of a row, or of two, that are computed one after the other. */
static inline long pieces_of(const layer *l) {
    const long each = l->winograd ? strip_of(l) : pixels(blocks_of(l)), all = l->winograd ? (l->w + 1) / 2 : l->w;
    return (all + each - 1) / each;
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

/* The first row of each layer that a share looks at which begins with this unit of the last layer's rows. */
static void begin(const layer *layers, long count, long unit, long *rows) {
    rows[count - 1] = unit * step_of(layers + count - 1);
    for (long k = count - 1; k > 0; k--) {
        const long need = layers[k].first + rows[k] * layers[k].stride, step = step_of(layers + k - 1);
        rows[k - 1] = need < 0 ? 0 : need / step * step;
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
            long done[DEEPEST], next[DEEPEST];
            begin(layers, count, unit, done);
            /* The first share of a frame also has the rows that no later layer looks at, before and after. */
            if (unit == 0) memset(done, 0, sizeof done);
            const long rows = end * step_of(last);
            advance(layers, count - 1, frame, done, rows < last->h ? rows : last->h, own);
            /* What a stride leaves out before the next share, and at the end, is nobody's but ours. */
            begin(layers, count, end, next);
            for (long k = 0; k < count - 1; k++)
                advance(layers, k, frame, done, end == units || next[k] > layers[k].h ? layers[k].h : next[k], own);
            at += end - unit;
        }
    }
}
