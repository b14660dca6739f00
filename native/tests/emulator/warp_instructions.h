// mma and ldmatrix for a whole warp, from the arguments that its 32 lanes left in `value`.
#pragma once

#include "executor.h"

namespace hyperarc::emulator {

void multiplyFragments(Thread* lanes);
void distributeMatrices(Thread* lanes, bool isTransposed);

}  // namespace hyperarc::emulator
