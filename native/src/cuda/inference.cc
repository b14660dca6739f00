// What reads class centres without a step: cosines, and the draw of partial FC.
#include <algorithm>
#include <cstring>
#include <vector>

#include "class_centers.h"
#include "common/classes.h"
#include "common/plan.h"
#include "common/validation.h"
#include "kernels/kernels.h"

namespace hyperarc::cuda {

Status CudaClassCenters::cosines(const float* embeddingsBD, int64_t batch, float* cosinesBC) {
  constexpr int64_t kSamples = 256;
  return run("cosines", std::clamp<int64_t>(batch, 1, kSamples), 1.0, [&]() -> Status {
    if (Status status = checkEmbeddings(embeddingsBD, batch, config_.dim); !status) return status;
    if (cosinesBC == nullptr)
      return {StatusCode::kShape, "cosinesBC: expected a buffer [B, C], received none; pass one"};
    const cudaStream_t stream = core_->forwardStream.get();
    // x̂ comes from a step's first stage; the class plays no part in it.
    const std::vector<int32_t> labels(kSamples, static_cast<int32_t>(config_.firstClass));
    for (int64_t i0 = 0; i0 < batch; i0 += kSamples) {
      const int64_t samples = std::min(kSamples, batch - i0);
      Batch part;
      part.embeddingsBD = embeddingsBD + i0 * config_.dim;
      part.labelsB = labels.data();
      part.batch = samples;
      CudaStep step(core_, passes_, id_, version_, config_, part);
      enqueueTargets(step);
      const int64_t chunk = std::min(config_.classes, RowStaging::kBytes / 4 / samples);
      auto* out = static_cast<float*>(core_->forwardArena.take(4 * samples * chunk));
      for (int64_t first = 0; first < config_.classes; first += chunk) {
        const int64_t count = std::min(chunk, config_.classes - first);
        launchCosines(view(), step.at<float>(step.layout.unit), samples, first, count, out, stream);
        const auto bytes = static_cast<size_t>(4 * samples * count);
        auto* host = static_cast<float*>(core_->forwardStaging.take(static_cast<int64_t>(bytes)));
        check(cudaMemcpyAsync(host, out, bytes, cudaMemcpyDeviceToHost, stream), "copy from the device");
        core_->forwardStaging.release(stream);
        core_->forwardStream.synchronize();
        for (int64_t i = 0; i < samples; ++i) {
          std::copy_n(host + i * count, count, cosinesBC + (i0 + i) * config_.classes + first);
        }
      }
    }
    return Status::ok();
  });
}

Status CudaClassCenters::sample(const int32_t* labelsB, int64_t batch, const SampleOptions& options,
                                std::vector<int32_t>* classes) const {
  return run("sample", std::max<int64_t>(1, batch), 1.0, [&]() -> Status {
    if (Status status = checkLabels(labelsB, batch, config_.globalClasses); !status) return status;
    if (Status status = checkSample(options); !status) return status;
    const std::vector<int32_t> positives = positivesOf(labelsB, batch, config_);
    const auto positiveCount = static_cast<int64_t>(positives.size());
    const int64_t total = std::max(positiveCount, sampleSize(options.rate, config_.classes));
    if (total == positiveCount) {
      *classes = positives;
      return Status::ok();
    }
    const cudaStream_t stream = core_->forwardStream.get();
    auto* device = static_cast<int32_t*>(core_->forwardArena.take(4 * (positiveCount + total)));
    auto* host = static_cast<int32_t*>(core_->forwardStaging.take(4 * (positiveCount + total)));
    std::copy(positives.begin(), positives.end(), host);
    check(cudaMemcpyAsync(device, host, static_cast<size_t>(4 * positiveCount), cudaMemcpyHostToDevice, stream),
          "copy to the device");
    SamplerArgs args = {};
    args.classes = config_.classes;
    args.positives = device;
    args.positiveCount = positiveCount;
    args.total = total;
    args.seed = options.seed;
    args.step = options.step;
    args.shard = options.shard;
    args.out = device + positiveCount;
    launchSampler(args, core_->forwardScratch, stream);
    check(
        cudaMemcpyAsync(host + positiveCount, args.out, static_cast<size_t>(4 * total), cudaMemcpyDeviceToHost, stream),
        "copy from the device");
    core_->forwardStaging.release(stream);
    core_->forwardStream.synchronize();
    classes->assign(host + positiveCount, host + positiveCount + total);
    return Status::ok();
  });
}

}  // namespace hyperarc::cuda
