// The few functions of TensorFlow's C API that a custom op needs, found with dlsym in a library that is already loaded.
// Prototypes are ours: TensorFlow's own tensorflow/c/kernels.h and ops.h (stable since 2.4) pull internal headers in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

extern "C" {
struct TF_KernelBuilder;
struct TF_OpDefinitionBuilder;
struct TF_OpKernelConstruction;
struct TF_OpKernelContext;
struct TF_ShapeInferenceContext;
struct TF_Status;
struct TF_Tensor;
}

namespace hyperarc::tensorflow {

// tensorflow/c/tf_datatype.h and tsl/c/tsl_status.h.
inline constexpr int kFloat = 1;
inline constexpr int kInt32 = 3;
inline constexpr int kOk = 0;
inline constexpr int kInvalidArgument = 3;

struct CApi {
  TF_Status* (*newStatus)();
  void (*deleteStatus)(TF_Status*);
  void (*setStatus)(TF_Status*, int code, const char* message);
  int (*getCode)(const TF_Status*);
  const char* (*message)(const TF_Status*);

  TF_OpDefinitionBuilder* (*newOpDefinitionBuilder)(const char* opName);
  void (*addInput)(TF_OpDefinitionBuilder*, const char* spec);
  void (*addOutput)(TF_OpDefinitionBuilder*, const char* spec);
  void (*setIsStateful)(TF_OpDefinitionBuilder*, bool);
  void (*setShapeInference)(TF_OpDefinitionBuilder*, void (*)(TF_ShapeInferenceContext*, TF_Status*));
  void (*setUnknownShape)(TF_ShapeInferenceContext*, TF_Status*);
  void (*registerOpDefinition)(TF_OpDefinitionBuilder*, TF_Status*);

  TF_KernelBuilder* (*newKernelBuilder)(const char* opName, const char* device,
                                        void* (*create)(TF_OpKernelConstruction*),
                                        void (*compute)(void*, TF_OpKernelContext*), void (*destroy)(void*));
  void (*hostMemory)(TF_KernelBuilder*, const char* argument);
  void (*registerKernelBuilder)(const char* name, TF_KernelBuilder*, TF_Status*);

  void (*getInput)(TF_OpKernelContext*, int index, TF_Tensor**, TF_Status*);
  TF_Tensor* (*allocateOutput)(TF_OpKernelContext*, int index, int type, const int64_t* dims, int dimCount,
                               size_t bytes, TF_Status*);
  void (*contextFailure)(TF_OpKernelContext*, TF_Status*);
  int (*numDims)(const TF_Tensor*);
  int64_t (*dim)(const TF_Tensor*, int index);
  void* (*tensorData)(const TF_Tensor*);
  void (*deleteTensor)(TF_Tensor*);
};

/// The functions of the loaded libtensorflow; null, and why in `*why`, when there is none or it lacks one of them.
const CApi* findCApi(std::string* why);

}  // namespace hyperarc::tensorflow
