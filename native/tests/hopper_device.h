// Tests of the engine on a device of compute capability 9.0, or on the host harness made one.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>

#include "engines.h"

namespace hyperarc::test {

/// Each test once for each bf16 precision; skipped where there is no such device.
class OnHopper : public testing::TestWithParam<Precision> {
 protected:
  void SetUp() override {
#ifdef HYPERARC_EMULATED
    setenv("HYPERARC_EMULATED_SM", "90", 1);
#endif
    const std::vector<DeviceInfo> devices = listDevices();
    if (devices.size() < 2 || devices[1].instructionSet != "sm_90a") GTEST_SKIP() << "no device of sm_90a";
    engine = open();
  }
  void TearDown() override {
    engine.reset();
#ifdef HYPERARC_EMULATED
    unsetenv("HYPERARC_EMULATED_SM");
#endif
  }
  /// The engine under test.
  virtual std::unique_ptr<Engine> open() const = 0;

  Problem problem(int64_t batch, int64_t classes, int64_t dim) const {
    return inPrecision(makeProblem(batch, classes, 1, dim, 11), GetParam());
  }

  std::unique_ptr<Engine> engine;
};

inline const auto kBf16Precisions = testing::Values(Precision::kBf16Compute, Precision::kBf16Master);

}  // namespace hyperarc::test
