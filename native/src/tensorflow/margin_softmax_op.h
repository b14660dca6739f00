// The TensorFlow op HyperArcMarginSoftmax: ClassCenters::forward on tensors' own memory, on the CPU and (in builds with
// CUDA) on a GPU, where embeddings and embedding_gradient stay in device memory and the small rest is on the host.
//
// Inputs. Everything comes as a tensor, not as an attribute: eager TensorFlow keeps a kernel for ever for each new
// combination of attributes, and the step's id changes at every training step.
//   embeddings      float32 [B, D]
//   labels          int32   [B]     global class indices
//   rule            float32 [17]    s, m1, m2, m3, blend, clipRadians, fixed threshold of the negatives, and of their
//                                   branches above and below: value [3], slope [2]
//   row_parameters  float32 [B, 4]  per-sample s, m1, m2, m3; an empty tensor for none
//   sampled         int32   [n]     sorted local classes that take part
//   handles         int32   [7]     centres' id, step's id (0: none), whether `sampled` is used, and of the rule:
//                                   fallback, gradient mode, family, kind of the negatives' threshold
// Outputs.
//   loss                float32 []      mean of loss_per_sample, summed in double
//   loss_per_sample     float32 [B]
//   embedding_gradient  float32 [B, D]  gradient of `loss`
//   target_cosine       float32 [B]
//   row_gradient        float32 [B, 4]  gradient of `loss` by each sample's s, m1, m2, m3
#pragma once

#include <string>

#include "tensorflow/c_api.h"

namespace hyperarc::tensorflow {

/// Registers the op, with kernels for "CPU" and "GPU". Empty, or why not.
/// To be called once a process; `api` is kept.
std::string registerMarginSoftmax(const CApi* api);

}  // namespace hyperarc::tensorflow
