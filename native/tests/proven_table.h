// The kernel table as it will be once every line has been proven on hardware.
#pragma once

#include <vector>

#include "cuda/dispatch/dispatch.h"

namespace hyperarc::test {

inline const std::vector<cuda::KernelRow>& provenTable() {
  static const std::vector<cuda::KernelRow> table = [] {
    const cuda::KernelTable rows = cuda::kernelTable();
    std::vector<cuda::KernelRow> proven(rows.begin(), rows.end());
    for (cuda::KernelRow& row : proven) row.provenOnHardware = true;
    return proven;
  }();
  return table;
}

}  // namespace hyperarc::test
