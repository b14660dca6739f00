// mma, ldmatrix, stmatrix and wgmma for a whole warp, from the arguments that its 32 lanes left in `value`.
#pragma once

#include "executor.h"

namespace hyperarc::emulator {

void multiplyFragments(Thread* lanes);
void distributeMatrices(Thread* lanes, bool isTransposed);
// warpgroup.cc
void collectMatrices(Thread* lanes);
void multiplyWarpgroup(Thread* lanes);

}  // namespace hyperarc::emulator
