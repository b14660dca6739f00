// Registers HyperArc's ops in the libtensorflow that this process has loaded.
#pragma once

#include <string>

namespace hyperarc {

/// Registers HyperArcMarginSoftmax (margin_softmax_op.h). Once a process, from any thread; later calls do nothing.
/// The library that holds this code must stay mapped until the process ends (linked with -z nodelete): TensorFlow keeps
/// pointers to it. Empty on success, else why not in a sentence; a failed call may be made again once TensorFlow is
/// loaded.
std::string registerTensorFlowOps();

}  // namespace hyperarc
