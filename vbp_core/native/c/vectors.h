/* Vectors of floats as wide as the processor has them, and what is asked of them. */

#include <math.h>
#include <string.h>
#if defined(__AVX512F__)
#include <immintrin.h>
#endif

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

static inline float sum(vec v) {
    float s[LANES];
    memcpy(s, &v, sizeof v);
    for (int n = LANES / 2; n; n /= 2)
        for (int i = 0; i < n; i++) s[i] += s[i + n];
    return s[0];
}

#if defined(__AVX512F__)
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
