// What the environment asks of the harness (docs/testing-cuda.md). Read at each use, so that a test may change it.
#pragma once

#include <cstdint>
#include <string>

namespace hyperarc::emulator {

inline constexpr int kMostDevices = 16;

struct Settings {
  int devices = 1;                         // HYPERARC_EMULATED_DEVICES
  int driverVersion = 13000;               // HYPERARC_EMULATED_DRIVER, 0: no driver
  int computeCapability = 80;              // HYPERARC_EMULATED_SM
  int64_t memoryBytes = int64_t{8} << 30;  // HYPERARC_EMULATED_MEMORY_BYTES, of each device
  int64_t sharedBytes = 163 * 1024;        // HYPERARC_EMULATED_SHARED_BYTES, of a block
  uint64_t schedule = 0;                   // HYPERARC_EMULATED_SCHEDULE
  std::string ptxFolder;    // HYPERARC_EMULATED_PTX: kernels run from its .ptx files; empty: as compiled for the host
  std::string ptxLaunched;  // HYPERARC_EMULATED_PTX_LAUNCHED: file to which each kernel run from PTX adds its name
  std::string failKernel;   // HYPERARC_EMULATED_FAIL_KERNEL: part of a name; empty: none
};

/// Aborts with a clear message on a value it does not understand, or a variable HYPERARC_EMULATED_* that it does not
/// know.
Settings readSettings();

}  // namespace hyperarc::emulator
