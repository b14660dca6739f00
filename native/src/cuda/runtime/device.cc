#include "runtime/device.h"

#include "runtime/build.h"
#include "runtime/error.h"

namespace hyperarc::cuda {

namespace {

/// CUDA's numbers are 1000·major + 10·minor.
std::string versionText(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

int attribute(cudaDeviceAttr name, int device) {
  int value = 0;
  check(cudaDeviceGetAttribute(&value, name, device), "device");
  return value;
}

Device findDevice(int index) {
  cudaDeviceProp properties;
  check(cudaGetDeviceProperties(&properties, index), "device");
  Device device;
  device.index = index;
  device.major = properties.major;
  device.minor = properties.minor;
  device.multiprocessors = properties.multiProcessorCount;
  device.sharedBytesPerBlock = attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin, index);
  device.totalMemoryBytes = static_cast<int64_t>(properties.totalGlobalMem);
  device.name = properties.name;
  return device;
}

bool isNewEnough(const Device& device) { return device.capability() >= kMinCapability; }

std::string builtText() { return std::string(builtArchitectures()); }

/// What a build for the device needs.
std::string howToBuildFor(const Device& device) {
  return "build with HYPERARC_CUDA_ARCHITECTURES=" + std::to_string(device.capability()) + "-real";
}

/// Why none of the devices will do; empty if one does.
std::string whyNoneWillDo() {
  std::string found;
  const Device* notBuiltFor = nullptr;
  const std::vector<Device> devices = findDevices();
  for (const Device& device : devices) {
    if (checkDevice(device)) return "";
    found += (found.empty() ? "" : ", ") + device.name + " of " + device.architecture();
    if (isNewEnough(device)) notBuiltFor = &device;
  }
  if (notBuiltFor == nullptr)
    return "no device here is of sm_" + std::to_string(kMinCapability) + " or newer (" + found + ")";
  return "no device here runs this build's kernels, which are for " + builtText() + " (" + found + "); " +
         howToBuildFor(*notBuiltFor);
}

}  // namespace

std::string Device::architecture() const {
  return "sm_" + std::to_string(capability()) + (kHasWgmma && major == 9 && minor == 0 ? "a" : "");
}

Status checkDevice(const Device& device) {
  const std::string received = "received " + device.name + " (" + device.architecture() + "); ";
  if (!isNewEnough(device))
    return {StatusCode::kDevice, "index: expected a device of sm_" + std::to_string(kMinCapability) + " or newer, " +
                                     received + "use device 'cpu'"};
  if (!hasCodeFor(builtArchitectures(), device.major, device.minor))
    return {StatusCode::kDevice, "index: expected a device that this build has kernels for (" + builtText() + "), " +
                                     received + howToBuildFor(device) + ", or use device 'cpu'"};
  return Status::ok();
}

std::string whyNoDevice() {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error == cudaSuccess && count > 0) {
    try {
      return whyNoneWillDo();
    } catch (const CudaError& failure) {
      return std::string("the NVIDIA driver does not answer (") + failure.what() + "); check nvidia-smi";
    }
  }
  (void)cudaGetLastError();
  int driver = 0, runtime = 0;
  if (cudaDriverGetVersion(&driver) != cudaSuccess) driver = 0;
  if (cudaRuntimeGetVersion(&runtime) != cudaSuccess) runtime = 0;
  (void)cudaGetLastError();
  if (driver == 0) return "this machine has no NVIDIA driver (libcuda.so.1 was not found); install one";
  if (error == cudaErrorInsufficientDriver)
    return "the NVIDIA driver is too old: it serves CUDA " + versionText(driver) + ", this build needs " +
           versionText(runtime) + "; update the driver";
  if (error == cudaErrorNoDevice || error == cudaSuccess)
    return "the NVIDIA driver shows this process no device; check nvidia-smi and CUDA_VISIBLE_DEVICES";
  return std::string("the NVIDIA driver does not answer: ") + cudaGetErrorName(error) + " (" +
         cudaGetErrorString(error) + "); check nvidia-smi";
}

std::vector<Device> findDevices() {
  int count = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess) {
    (void)cudaGetLastError();
    return {};
  }
  std::vector<Device> devices;
  for (int index = 0; index < count; ++index) devices.push_back(findDevice(index));
  return devices;
}

int64_t freeMemoryBytes() {
  size_t free = 0, total = 0;
  check(cudaMemGetInfo(&free, &total), "device memory");
  return static_cast<int64_t>(free);
}

DeviceInfo describe(const Device& device) {
  DeviceInfo info;
  info.kind = DeviceKind::kCuda;
  info.index = device.index;
  info.name = device.name;
  info.instructionSet = device.architecture();
  info.totalMemoryBytes = device.totalMemoryBytes;
  return info;
}

Status checkDeviceMemory(const char* name, const void* memory, const Device& device) {
  cudaPointerAttributes attributes{};
  check(cudaPointerGetAttributes(&attributes, memory), name);
  const bool isManaged = attributes.type == cudaMemoryTypeManaged;
  if (isManaged || (attributes.type == cudaMemoryTypeDevice && attributes.device == device.index)) return Status::ok();
  const std::string received =
      attributes.type == cudaMemoryTypeDevice ? "cuda:" + std::to_string(attributes.device) : "the host";
  return {StatusCode::kDevice, std::string(name) + ": expected memory of cuda:" + std::to_string(device.index) +
                                   ", received memory of " + received + "; copy it, or use that device's engine"};
}

}  // namespace hyperarc::cuda
