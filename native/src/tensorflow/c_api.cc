#include "tensorflow/c_api.h"

#include <dlfcn.h>

#include <array>
#include <mutex>

namespace hyperarc::tensorflow {
namespace {

/// Handles of what is already in the process. A wheel splits the API over two libraries, the C archive has both in one
/// name or another; a handle also finds the symbols of the libraries that its own one depends on.
class LoadedLibraries {
 public:
  LoadedLibraries() {
    constexpr std::array kNames{"libtensorflow_cc.so.2", "libtensorflow.so.2", "libtensorflow_framework.so.2"};
    for (size_t i = 0; i < kNames.size(); ++i) handles_[i] = dlopen(kNames[i], RTLD_LAZY | RTLD_NOLOAD);
  }
  ~LoadedLibraries() {
    for (void* handle : handles_) {
      if (handle) dlclose(handle);
    }
  }
  LoadedLibraries(const LoadedLibraries&) = delete;
  LoadedLibraries& operator=(const LoadedLibraries&) = delete;

  bool any() const { return handles_[0] || handles_[1] || handles_[2]; }

  template <typename Function>
  void find(const char* name, Function** function) {
    *function = nullptr;
    for (void* handle : handles_) {
      if (!*function && handle) *function = reinterpret_cast<Function*>(dlsym(handle, name));
    }
    if (!*function && missing_.empty()) missing_ = name;
  }

  const std::string& missing() const { return missing_; }

 private:
  std::array<void*, 3> handles_{};
  std::string missing_;
};

}  // namespace

const CApi* findCApi(std::string* why) {
  static std::mutex mutex;
  static CApi api;
  static bool found = false;
  std::lock_guard lock(mutex);
  if (found) return &api;

  LoadedLibraries libraries;
  if (!libraries.any()) {
    *why = "no libtensorflow is loaded in this process; load @tensorflow/tfjs-node-gpu first";
    return nullptr;
  }
  libraries.find("TF_NewStatus", &api.newStatus);
  libraries.find("TF_DeleteStatus", &api.deleteStatus);
  libraries.find("TF_SetStatus", &api.setStatus);
  libraries.find("TF_GetCode", &api.getCode);
  libraries.find("TF_Message", &api.message);
  libraries.find("TF_NewOpDefinitionBuilder", &api.newOpDefinitionBuilder);
  libraries.find("TF_OpDefinitionBuilderAddInput", &api.addInput);
  libraries.find("TF_OpDefinitionBuilderAddOutput", &api.addOutput);
  libraries.find("TF_OpDefinitionBuilderSetIsStateful", &api.setIsStateful);
  libraries.find("TF_OpDefinitionBuilderSetShapeInferenceFunction", &api.setShapeInference);
  libraries.find("TF_ShapeInferenceContextSetUnknownShape", &api.setUnknownShape);
  libraries.find("TF_RegisterOpDefinition", &api.registerOpDefinition);
  libraries.find("TF_NewKernelBuilder", &api.newKernelBuilder);
  libraries.find("TF_KernelBuilder_HostMemory", &api.hostMemory);
  libraries.find("TF_RegisterKernelBuilder", &api.registerKernelBuilder);
  libraries.find("TF_GetInput", &api.getInput);
  libraries.find("TF_AllocateOutput", &api.allocateOutput);
  libraries.find("TF_OpKernelContext_Failure", &api.contextFailure);
  libraries.find("TF_NumDims", &api.numDims);
  libraries.find("TF_Dim", &api.dim);
  libraries.find("TF_TensorData", &api.tensorData);
  libraries.find("TF_DeleteTensor", &api.deleteTensor);
  if (!libraries.missing().empty()) {
    *why = "the libtensorflow in this process has no " + libraries.missing() + "; TensorFlow 2.9 or newer is needed";
    return nullptr;
  }
  found = true;
  return &api;
}

}  // namespace hyperarc::tensorflow
