/* Convolutions, LRP, VisualBackProp and how widely maps spread, compiled for the very processor they run on.

   Maps lie as rows of pixels, a pixel's channels behind one another. One file of the program is compiled, and includes the others. */

#include "vectors.h"

#include "tiles.h"

#include "winograd.h"

#include "convolution.h"

#include "lrp.h"

#include "mask.h"

#include "spread.h"

long lanes(void) { return LANES; }
long scratch_floats(void) { return SCRATCH; }
long size_of_layer(void) { return sizeof(layer); }
long size_of_step(void) { return sizeof(step); }
