#include "class_centers.h"

#include "common/plan.h"
#include "common/validation.h"

namespace hyperarc::cuda {

namespace {

DeviceBuffer zeros(int64_t bytes, cudaStream_t stream) {
  DeviceBuffer buffer(bytes);
  if (bytes > 0) check(cudaMemsetAsync(buffer.as(), 0, static_cast<size_t>(bytes), stream), "clearing device memory");
  return buffer;
}

}  // namespace

CentersMemory::CentersMemory(const CentersConfig& config, cudaStream_t stream) {
  const int64_t rows = config.classes * config.subCenters;
  const int64_t floats = rows * config.dim * static_cast<int64_t>(sizeof(float));
  const int64_t halves = rows * paddedDim(config.dim) * static_cast<int64_t>(sizeof(Bf16));
  const bool isAdamW = config.optimizer == Optimizer::kAdamW;
  if (config.precision != Precision::kBf16Master) {
    weights = zeros(floats, stream);
    if (config.momentum) momentum = zeros(floats, stream);
    if (isAdamW) secondMoment = zeros(floats, stream);
  } else {
    if (config.momentum) momentumBf16 = zeros(halves, stream);
    if (isAdamW) secondMomentBf16 = zeros(halves, stream);
  }
  if (config.precision != Precision::kFp32) weightsBf16 = zeros(halves, stream);
  inverseNorms = zeros(rows * static_cast<int64_t>(sizeof(float)), stream);
}

CentersView CentersMemory::view(const CentersConfig& config) const {
  CentersView view = {};
  view.precision = config.precision;
  view.rows = config.classes * config.subCenters;
  view.firstGlobalRow = config.firstClass * config.subCenters;
  view.subCenters = config.subCenters;
  view.dim = config.dim;
  view.dimPadded = paddedDim(config.dim);
  view.weights = weights.as<float>();
  view.momentum = momentum.as<float>();
  view.secondMoment = secondMoment.as<float>();
  view.weightsBf16 = weightsBf16.as<Bf16>();
  view.momentumBf16 = momentumBf16.as<Bf16>();
  view.secondMomentBf16 = secondMomentBf16.as<Bf16>();
  view.inverseNorms = inverseNorms.as<float>();
  return view;
}

int64_t CentersMemory::bytes() const {
  return weights.bytes() + momentum.bytes() + secondMoment.bytes() + weightsBf16.bytes() + momentumBf16.bytes() +
         secondMomentBf16.bytes() + inverseNorms.bytes();
}

CudaClassCenters::CudaClassCenters(std::shared_ptr<Core> core, const CentersConfig& config, const KernelChoice& choice)
    : core_(std::move(core)),
      config_(config),
      passes_(core_->passes(*choice.row)),
      id_(nextCentersId()),
      memory_(config, core_->updateStream.get()) {
  core_->updated.record(core_->updateStream.get());
  core_->updateStream.synchronize();
}

CudaClassCenters::~CudaClassCenters() {
  // An update may be under way in the memory that goes now.
  core_->updateStream.drain();
}

Status CudaClassCenters::setUpdates(uint64_t updates) {
  if (Status status = checkHasUpdates(config_); !status) return status;
  updates_ = updates;
  return Status::ok();
}

std::string CudaClassCenters::kernels(int64_t batch) const {
  // The centres were made, so a step without a rule is served.
  KernelChoice choice;
  (void)kernelsFor(*core_, config_, {.samples = batch, .classes = config_.classes}, &choice);
  return choice.name;
}

Status CudaClassCenters::withPlan(const char* what, int64_t batch, double rate, const Status& status) const {
  Plan plan;
  const Status planned = core_->run(what, [&]() -> Status {
    plan = makePlan(*core_, config_, batch, rate);
    return Status::ok();
  });
  if (!planned) return status;
  return {StatusCode::kMemory, std::string(what) + ": expected memory for its buffers on " + core_->device.name +
                                   ", received a plan of " + describe(plan) +
                                   "; use a smaller batch or fewer classes, or end what else uses the device"};
}

Status CudaClassCenters::passesFor(const PassNeeds& needs, Passes** passes) const {
  KernelChoice choice;
  if (Status status = kernelsFor(*core_, config_, needs, &choice); !status) return status;
  *passes = &core_->passes(*choice.row);
  return Status::ok();
}

StepTimes CudaClassCenters::lastTimes() {
  StepTimes times;
  (void)core_->run("lastTimes", [&]() -> Status {
    if (!forwardEnd_.isRecorded() || !updateEnd_.isRecorded()) return Status::ok();
    forwardEnd_.wait();
    updateEnd_.wait();
    times = {elapsedMs(forwardBegin_, forwardEnd_), elapsedMs(updateBegin_, updateEnd_), true};
    return Status::ok();
  });
  return times;
}

}  // namespace hyperarc::cuda
