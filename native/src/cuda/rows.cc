// Rows of class centres between host and device, seeding, resizing. All of it on the update stream.
#include <algorithm>
#include <cstring>
#include <utility>

#include "class_centers.h"
#include "common/plan.h"
#include "common/validation.h"
#include "kernels/kernels.h"
#include "plan.h"

namespace hyperarc::cuda {

namespace {

/// A buffer's rows on the device, in whichever precision they are kept.
struct Rows {
  float* fp32;
  Bf16* bf16;  // where fp32 is null
};

Rows rowsOf(const CentersView& view, Buffer buffer) {
  const bool isBf16 = view.precision == Precision::kBf16Master;
  const auto kept = [&](float* fp32, Bf16* bf16) { return isBf16 ? Rows{nullptr, bf16} : Rows{fp32, nullptr}; };
  switch (buffer) {
    case Buffer::kMomentum:
      return kept(view.momentum, view.momentumBf16);
    case Buffer::kSecondMoment:
      return kept(view.secondMoment, view.secondMomentBf16);
    case Buffer::kWeights:
      break;
  }
  return kept(view.weights, view.weightsBf16);
}

int64_t rowsPerChunk(int32_t dim) { return std::max<int64_t>(1, RowStaging::kBytes / (4 * int64_t{dim})); }

size_t rowBytes(int64_t count, int32_t dim) { return static_cast<size_t>(count * dim) * sizeof(float); }

}  // namespace

void CudaClassCenters::finishRowWork() {
  core_->updated.record(core_->updateStream.get());
  core_->updateStream.synchronize();
}

Status CudaClassCenters::seedNormal(uint64_t seed, float stddev) {
  return run("seedNormal", 1, 1.0, [&]() -> Status {
    if (Status status = checkStddev(stddev); !status) return status;
    launchSeedRows(view(), seed, stddev, 0, rowCount(), core_->updateStream.get());
    updates_ = 0;
    ++version_;
    finishRowWork();
    return Status::ok();
  });
}

Status CudaClassCenters::writeRows(Buffer buffer, int64_t firstRow, int64_t count, const float* valuesRD) {
  return run("writeRows", 1, 1.0, [&]() -> Status {
    if (Status status = checkRows(firstRow, count, rowCount(), valuesRD); !status) return status;
    if (Status status = checkBuffer(buffer, config_); !status) return status;
    if (count == 0) return Status::ok();
    if (Status status = checkRowValues(buffer, valuesRD, count, config_.dim); !status) return status;
    const CentersView centers = view();
    const Rows rows = rowsOf(centers, buffer);
    const int64_t chunk = std::min(count, rowsPerChunk(config_.dim));
    const cudaStream_t stream = core_->updateStream.get();
    float* passage =
        rows.fp32 == nullptr ? static_cast<float*>(core_->updateArena.take(rowBytes(chunk, config_.dim))) : nullptr;
    for (int64_t done = 0; done < count; done += chunk) {
      const int64_t some = std::min(chunk, count - done);
      const size_t bytes = rowBytes(some, config_.dim);
      Staging& staging = core_->rowStaging.next();
      void* host = staging.take(static_cast<int64_t>(bytes));
      std::memcpy(host, valuesRD + done * config_.dim, bytes);
      float* target = passage != nullptr ? passage : rows.fp32 + (firstRow + done) * config_.dim;
      check(cudaMemcpyAsync(target, host, bytes, cudaMemcpyHostToDevice, stream), "copy to the device");
      staging.release(stream);
      if (passage != nullptr) {
        launchNarrowRows(passage, config_.dim, centers.dimPadded, some,
                         rows.bf16 + (firstRow + done) * centers.dimPadded, stream);
      }
    }
    if (buffer == Buffer::kWeights) {
      launchRefreshRows(centers, firstRow, count, stream);
      ++version_;
    }
    finishRowWork();
    return Status::ok();
  });
}

Status CudaClassCenters::readRows(Buffer buffer, int64_t firstRow, int64_t count, float* valuesRD) const {
  return run("readRows", 1, 1.0, [&]() -> Status {
    if (Status status = checkRows(firstRow, count, rowCount(), valuesRD); !status) return status;
    if (Status status = checkBuffer(buffer, config_); !status) return status;
    if (count == 0) return Status::ok();
    const CentersView centers = view();
    const Rows rows = rowsOf(centers, buffer);
    const int64_t chunk = std::min(count, rowsPerChunk(config_.dim));
    const cudaStream_t stream = core_->updateStream.get();
    float* passage =
        rows.fp32 == nullptr ? static_cast<float*>(core_->updateArena.take(rowBytes(chunk, config_.dim))) : nullptr;
    // One chunk is copied while the one before it is taken out of its staging.
    const Staging* arriving = nullptr;
    int64_t arrivingFrom = 0;
    const auto takeOut = [&](int64_t end) {
      if (arriving == nullptr) return;
      std::memcpy(valuesRD + arrivingFrom * config_.dim, arriving->arrived(),
                  rowBytes(end - arrivingFrom, config_.dim));
    };
    for (int64_t done = 0; done < count; done += chunk) {
      const int64_t some = std::min(chunk, count - done);
      const size_t bytes = rowBytes(some, config_.dim);
      const float* source = passage != nullptr ? passage : rows.fp32 + (firstRow + done) * config_.dim;
      if (passage != nullptr) {
        launchWidenRows(rows.bf16 + (firstRow + done) * centers.dimPadded, centers.dimPadded, config_.dim, some,
                        passage, stream);
      }
      Staging& staging = core_->rowStaging.next();
      void* host = staging.take(static_cast<int64_t>(bytes));
      check(cudaMemcpyAsync(host, source, bytes, cudaMemcpyDeviceToHost, stream), "copy from the device");
      staging.release(stream);
      takeOut(done);
      arriving = &staging;
      arrivingFrom = done;
    }
    takeOut(count);
    core_->updateStream.synchronize();
    return Status::ok();
  });
}

Status CudaClassCenters::resize(int64_t classes, uint64_t seed, float stddev) {
  CentersConfig config;
  const Status status = core_->run("resize", [&]() -> Status {
    if (Status status = checkResize(config_, classes, stddev, &config); !status) return status;
    const cudaStream_t stream = core_->updateStream.get();
    core_->updateStream.synchronize();
    CentersMemory memory(config, stream);
    const int64_t rows = classes * config_.subCenters;
    const int64_t kept = std::min(rows, rowCount());
    const auto copy = [&](const DeviceBuffer& from, const DeviceBuffer& to, int64_t bytesPerRow) {
      if (from.bytes() == 0 || kept == 0) return;
      check(cudaMemcpyAsync(to.as(), from.as(), static_cast<size_t>(kept * bytesPerRow), cudaMemcpyDeviceToDevice,
                            stream),
            "copy on the device");
    };
    const int64_t floats = 4 * int64_t{config_.dim};
    const int64_t halves = 2 * int64_t{paddedDim(config_.dim)};
    copy(memory_.weights, memory.weights, floats);
    copy(memory_.momentum, memory.momentum, floats);
    copy(memory_.secondMoment, memory.secondMoment, floats);
    copy(memory_.weightsBf16, memory.weightsBf16, halves);
    copy(memory_.momentumBf16, memory.momentumBf16, halves);
    copy(memory_.secondMomentBf16, memory.secondMomentBf16, halves);
    copy(memory_.inverseNorms, memory.inverseNorms, 4);
    if (rows > kept) launchSeedRows(memory.view(config), seed, stddev, kept, rows - kept, stream);
    core_->updated.record(stream);
    core_->updateStream.synchronize();
    memory_ = std::move(memory);
    config_ = config;
    ++version_;
    return Status::ok();
  });
  if (status.code() != StatusCode::kMemory) return status;
  int64_t needed = 0;
  for (const PlanPart& part : centersParts(config)) needed += part.bytes;
  return {StatusCode::kMemory, "classes: expected new centres that fit beside the old on " + core_->device.name +
                                   ", received " + std::to_string(classes) + " classes of " + bytesText(needed) +
                                   "; save and load into new centres"};
}

}  // namespace hyperarc::cuda
