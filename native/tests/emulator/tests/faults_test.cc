// Trouble on request: no driver, no device, a failing kernel, settings that make no sense.
#include "harness.h"

namespace hyperarc::emulator {
namespace {

TEST(Faults, DriversAreMissingOrOld) {
  int count = -1, version = -1;
  {
    const ScopedSetting setting("DRIVER", "0");
    EXPECT_EQ(cudaDriverGetVersion(&version), cudaSuccess);
    EXPECT_EQ(version, 0);
    EXPECT_EQ(cudaGetDeviceCount(&count), cudaErrorInsufficientDriver);
    EXPECT_EQ(count, 0);
  }
  {
    const ScopedSetting setting("DRIVER", "12040");
    EXPECT_EQ(cudaDriverGetVersion(&version), cudaSuccess);
    EXPECT_EQ(version, 12040);
    EXPECT_EQ(cudaGetDeviceCount(&count), cudaErrorInsufficientDriver);
    void* pointer = nullptr;
    EXPECT_EQ(cudaMalloc(&pointer, 4), cudaErrorInsufficientDriver);
    EXPECT_STREQ(cudaGetErrorName(cudaGetLastError()), "cudaErrorInsufficientDriver");
  }
  EXPECT_EQ(cudaRuntimeGetVersion(&version), cudaSuccess);
  EXPECT_EQ(version, 13000);
  EXPECT_EQ(cudaGetDeviceCount(&count), cudaSuccess);
  EXPECT_EQ(count, 1);
}

TEST(Faults, DevicesAreMissingOrSeveral) {
  int count = -1;
  {
    const ScopedSetting setting("DEVICES", "0");
    EXPECT_EQ(cudaGetDeviceCount(&count), cudaErrorNoDevice);
    EXPECT_EQ(cudaSetDevice(0), cudaErrorNoDevice);
    EXPECT_EQ(cudaDeviceSynchronize(), cudaErrorNoDevice);
  }
  const ScopedSetting setting("DEVICES", "3");
  EXPECT_EQ(cudaGetDeviceCount(&count), cudaSuccess);
  EXPECT_EQ(count, 3);
  EXPECT_EQ(cudaSetDevice(3), cudaErrorInvalidDevice);
  ASSERT_EQ(cudaSetDevice(2), cudaSuccess);
  int device = -1;
  EXPECT_EQ(cudaGetDevice(&device), cudaSuccess);
  EXPECT_EQ(device, 2);
  cudaStream_t stream;
  ASSERT_EQ(cudaStreamCreate(&stream), cudaSuccess);
  void* pointer = nullptr;
  ASSERT_EQ(cudaMalloc(&pointer, 1000), cudaSuccess);
  ASSERT_EQ(cudaSetDevice(1), cudaSuccess);
  size_t free = 0, total = 0;
  EXPECT_EQ(cudaMemGetInfo(&free, &total), cudaSuccess);
  EXPECT_EQ(free, total);                                                               // a device's memory is its own
  EXPECT_EQ(launch("kernel", 1, 1, 0, stream, [] {}), cudaErrorInvalidResourceHandle);  // as are its streams
  EXPECT_EQ(cudaFree(pointer), cudaSuccess);
  EXPECT_EQ(cudaStreamDestroy(stream), cudaSuccess);
}

TEST(Faults, PropertiesFollowTheCapability) {
  const ScopedSetting setting("SM", "90");
  cudaDeviceProp properties;
  ASSERT_EQ(cudaGetDeviceProperties(&properties, 0), cudaSuccess);
  EXPECT_EQ(properties.major, 9);
  EXPECT_EQ(properties.minor, 0);
  EXPECT_EQ(properties.sharedMemPerBlockOptin, 227u * 1024);
  int value = 0;
  ASSERT_EQ(cudaDeviceGetAttribute(&value, cudaDevAttrMaxSharedMemoryPerBlockOptin, 0), cudaSuccess);
  EXPECT_EQ(value, 227 * 1024);
  const ScopedSetting limit("SHARED_BYTES", "50000");
  ASSERT_EQ(cudaDeviceGetAttribute(&value, cudaDevAttrMaxSharedMemoryPerBlockOptin, 0), cudaSuccess);
  EXPECT_EQ(value, 50000);
}

TEST(Faults, AFailedKernelMakesItsDeviceUnusable) {
  bool ran = false, ranLater = false;
  void* pointer = nullptr;
  const ScopedSetting devices("DEVICES", "2");
  {
    const ScopedSetting setting("FAIL_KERNEL", "bad");
    ASSERT_EQ(cudaMalloc(&pointer, 16), cudaSuccess);
    EXPECT_EQ(launch("good", 1, 1, 0, nullptr, [&ran] { ran = true; }), cudaSuccess);
    EXPECT_EQ(launch("a-bad-kernel", 1, 1, 0, nullptr, [] { FAIL(); }), cudaSuccess);  // the launch itself is fine
    EXPECT_EQ(launch("later", 1, 1, 0, nullptr, [&ranLater] { ranLater = true; }), cudaSuccess);
    EXPECT_EQ(cudaGetLastError(), cudaSuccess);
    EXPECT_EQ(cudaDeviceSynchronize(), cudaErrorLaunchFailure);
    EXPECT_TRUE(ran);
    EXPECT_FALSE(ranLater);
    for (int i = 0; i < 2; ++i) EXPECT_EQ(cudaGetLastError(), cudaErrorLaunchFailure);  // sticky
    EXPECT_EQ(launch("good", 1, 1, 0, nullptr, [] {}), cudaErrorLaunchFailure);
    void* other = nullptr;
    EXPECT_EQ(cudaMalloc(&other, 16), cudaErrorLaunchFailure);
    EXPECT_EQ(cudaFree(pointer), cudaErrorLaunchFailure);
    ASSERT_EQ(cudaSetDevice(1), cudaSuccess);  // the other device works on
    EXPECT_EQ(cudaMalloc(&other, 16), cudaSuccess);
    EXPECT_EQ(cudaFree(other), cudaSuccess);
    EXPECT_EQ(cudaSetDevice(0), cudaErrorLaunchFailure);
  }
  EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);  // after reset()
}

TEST(FaultsDeathTest, SettingsMustMakeSense) {
  int count = 0;
  const auto dies = [&count](const char* name, const char* value, const char* message) {
    const ScopedSetting setting(name, value);
    EXPECT_DEATH(cudaGetDeviceCount(&count), message);
  };
  dies("DEVICES", "two", "HYPERARC_EMULATED_DEVICES is 'two'; expected a whole number");
  dies("DEVICES", "-1", "HYPERARC_EMULATED_DEVICES is '-1'");
  dies("SM", "9", "HYPERARC_EMULATED_SM is '9'");
  dies("MEMORY_BYTES", "0", "HYPERARC_EMULATED_MEMORY_BYTES is '0'");
  dies("SCHEDULE", "1x", "HYPERARC_EMULATED_SCHEDULE is '1x'");
  dies("DEVICE", "1", "HYPERARC_EMULATED_DEVICE is not a variable");
}

}  // namespace
}  // namespace hyperarc::emulator
