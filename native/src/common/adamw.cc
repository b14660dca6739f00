#include "common/adamw.h"

#include <cmath>

namespace hyperarc {

AdamWFactors adamwFactors(const UpdateOptions& options, uint64_t t) {
  const double rate = options.learningRate;
  const double correction1 = 1.0 - std::pow(options.beta1, static_cast<double>(t));
  const double root2 = std::sqrt(1.0 - std::pow(options.beta2, static_cast<double>(t)));
  AdamWFactors factors;
  factors.decay = static_cast<float>(1.0 - rate * options.weightDecay);
  factors.beta1 = static_cast<float>(options.beta1);
  factors.share1 = static_cast<float>(1.0 - options.beta1);
  factors.beta2 = static_cast<float>(options.beta2);
  factors.share2 = static_cast<float>(1.0 - options.beta2);
  factors.rate = static_cast<float>(rate * root2 / correction1);
  factors.epsilon = static_cast<float>(options.epsilon * root2);
  return factors;
}

}  // namespace hyperarc
