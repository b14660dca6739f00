#pragma once

#include <cstdint>
#include <functional>

namespace hyperarc::gradients {

/// Calls body(i) once for each i in [0, count), on several threads when `flops` is enough to pay for them. The bodies
/// must write to separate memory, so that the answer does not depend on the threads.
void parallelFor(int64_t count, double flops, const std::function<void(int64_t)>& body);

}  // namespace hyperarc::gradients
