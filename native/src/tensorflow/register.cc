#include "tensorflow/register.h"

#include <dlfcn.h>

#include <mutex>

#include "tensorflow/c_api.h"
#include "tensorflow/margin_softmax_op.h"

namespace hyperarc {
namespace {

/// Keeps this library mapped until the process ends: TensorFlow will hold pointers to its functions, and Node unloads
/// an addon when the last worker that required it exits.
bool pinThisLibrary() {
  Dl_info info;
  if (!dladdr(reinterpret_cast<const void*>(&pinThisLibrary), &info) || !info.dli_fname) return false;
  return dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE) != nullptr;
}

}  // namespace

std::string registerTensorFlowOps() {
  static std::mutex mutex;
  static bool attempted = false;
  static std::string outcome;
  std::lock_guard lock(mutex);
  if (attempted) return outcome;

  std::string why;
  const tensorflow::CApi* api = tensorflow::findCApi(&why);
  if (!api) return why;  // TensorFlow may be loaded later.
  if (!pinThisLibrary()) return "this library cannot be kept in memory, which TensorFlow's pointers to it need";
  attempted = true;
  outcome = tensorflow::registerMarginSoftmax(api);
  return outcome;
}

}  // namespace hyperarc
