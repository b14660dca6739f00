#include "tensorflow/register.h"

#include <mutex>

#include "tensorflow/c_api.h"
#include "tensorflow/margin_softmax_op.h"

namespace hyperarc {
std::string registerTensorFlowOps() {
  static std::mutex mutex;
  static bool attempted = false;
  static std::string outcome;
  std::lock_guard lock(mutex);
  if (attempted) return outcome;

  std::string why;
  const tensorflow::CApi* api = tensorflow::findCApi(&why);
  if (!api) return why;  // TensorFlow may be loaded later.
  attempted = true;
  outcome = tensorflow::registerMarginSoftmax(api);
  return outcome;
}

}  // namespace hyperarc
