#include "tensorflow/margin_softmax_op.h"

#include <algorithm>
#include <array>
#include <exception>
#include <initializer_list>
#include <new>
#include <utility>
#include <vector>

#include "device_memory.h"
#include "hyperarc/registry.h"
#include "hyperarc/status.h"

#ifdef HYPERARC_EMULATED
#include "emulator/on_device.h"
#endif

namespace hyperarc::tensorflow {
namespace {

constexpr const char* kOpName = "HyperArcMarginSoftmax";

#ifdef HYPERARC_EMULATED
// The host harness of tests/emulator: TensorFlow's CPU tensors stand for a GPU's, copied to the harness's device memory
// for the time of the op, so that the GPU's way can be taken with a TensorFlow that has no GPU.
constexpr bool kCpuTensorsAreOnDevice = true;
#else
constexpr bool kCpuTensorsAreOnDevice = false;
#endif

/// Set before the kernel can run, never changed.
const CApi* gApi = nullptr;

struct StatusHandle {
  StatusHandle() : raw(gApi->newStatus()) {}
  ~StatusHandle() { gApi->deleteStatus(raw); }
  StatusHandle(const StatusHandle&) = delete;
  StatusHandle& operator=(const StatusHandle&) = delete;
  bool ok() const { return gApi->getCode(raw) == kOk; }
  std::string message() const { return gApi->message(raw); }
  TF_Status* const raw;
};

/// An input or output of the running op.
class Tensor {
 public:
  Tensor() = default;
  ~Tensor() {
    if (raw_) gApi->deleteTensor(raw_);
  }
  Tensor(const Tensor&) = delete;
  Tensor& operator=(const Tensor&) = delete;
  TF_Tensor** receive() { return &raw_; }
  void take(TF_Tensor* raw) { raw_ = raw; }
  int dims() const { return gApi->numDims(raw_); }
  int64_t dim(int index) const { return gApi->dim(raw_, index); }
  template <typename T>
  T* data() const {
    return static_cast<T*>(gApi->tensorData(raw_));
  }
  std::vector<int64_t> shape() const {
    std::vector<int64_t> sizes(dims());
    for (int i = 0; i < dims(); ++i) sizes[i] = dim(i);
    return sizes;
  }

 private:
  TF_Tensor* raw_ = nullptr;
};

/// Stands for any size in an expected shape.
constexpr int64_t kAny = -1;

std::string shapeText(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) {
    if (i > 0) text += ", ";
    text += shape[i] == kAny ? "any" : std::to_string(shape[i]);
  }
  text += "]";
  return text;
}

Status requireShape(const char* name, const Tensor& tensor, const std::vector<int64_t>& expected) {
  const std::vector<int64_t> received = tensor.shape();
  const auto fits = [](int64_t size, int64_t wanted) { return wanted == kAny || size == wanted; };
  if (std::ranges::equal(received, expected, fits)) return Status::ok();
  return {StatusCode::kShape,
          std::string(name) + ": expected shape " + shapeText(expected) + ", received " + shapeText(received)};
}

enum Input { kEmbeddings, kLabels, kRule, kRowParameters, kSampled, kHandles, kInputCount };
enum Output { kLoss, kLossPerSample, kEmbeddingGradient, kTargetCosine, kRowGradient, kOutputCount };

constexpr int64_t kRuleSize = 17;
enum Handle { kCentersId, kStepId, kUsesSampled, kFallback, kGradientMode, kFamily, kThreshold, kHandleCount };

/// The enums may hold any number: the engine checks them with the rest of the rule.
MarginRule ruleOf(const float* numbers, const int32_t* handles) {
  MarginRule rule;
  rule.scale = numbers[0];
  rule.m1 = numbers[1];
  rule.m2 = numbers[2];
  rule.m3 = numbers[3];
  rule.blend = numbers[4];
  rule.clipRadians = numbers[5];
  rule.fallback = static_cast<Fallback>(handles[kFallback]);
  rule.gradient = static_cast<GradientMode>(handles[kGradientMode]);
  rule.family = static_cast<MarginFamily>(handles[kFamily]);
  rule.negatives.threshold = static_cast<NegativeThreshold>(handles[kThreshold]);
  rule.negatives.fixed = numbers[6];
  const float* coefficients = numbers + 7;
  for (NegativeBranch* branch : {&rule.negatives.above, &rule.negatives.below}) {
    std::copy_n(coefficients, 3, branch->value);
    std::copy_n(coefficients + 3, 2, branch->slope);
    coefficients += 5;
  }
  return rule;
}

/// `onDevice`: embeddings and embedding_gradient are device memory, everything else host memory.
Status compute(TF_OpKernelContext* context, bool onDevice) {
  StatusHandle tfStatus;
  std::array<Tensor, kInputCount> inputs;
  for (int i = 0; i < kInputCount; ++i) {
    gApi->getInput(context, i, inputs[i].receive(), tfStatus.raw);
    if (!tfStatus.ok()) return {StatusCode::kInternal, tfStatus.message()};
  }
  const Tensor& embeddings = inputs[kEmbeddings];
  if (Status status = requireShape("handles", inputs[kHandles], {kHandleCount}); !status) return status;
  if (Status status = requireShape("rule", inputs[kRule], {kRuleSize}); !status) return status;
  const auto* handles = inputs[kHandles].data<const int32_t>();

  CentersConfig config;
  if (Status status = describeCenters(handles[kCentersId], &config); !status) return status;
  if (Status status = requireShape("embeddings", embeddings, {kAny, config.dim}); !status) return status;
  const int64_t batchSize = embeddings.dim(0);
  if (batchSize < 1) return {StatusCode::kShape, "embeddings: expected at least one row, received none"};
  if (Status status = requireShape("labels", inputs[kLabels], {batchSize}); !status) return status;
  const bool hasRowParameters = inputs[kRowParameters].shape() != std::vector<int64_t>{0, 4};
  if (hasRowParameters) {
    if (Status status = requireShape("rowParameters", inputs[kRowParameters], {batchSize, 4}); !status) return status;
  }
  if (Status status = requireShape("sampled", inputs[kSampled], {kAny}); !status) return status;

  Batch batch;
  batch.embeddingsBD = embeddings.data<const float>();
  batch.labelsB = inputs[kLabels].data<const int32_t>();
  batch.batch = batchSize;
  batch.embeddingsOnDevice = onDevice;
  batch.rule = ruleOf(inputs[kRule].data<const float>(), handles);
  if (hasRowParameters) batch.rowParametersB4 = inputs[kRowParameters].data<const float>();
  if (handles[kUsesSampled] != 0) {
    // An empty list still means "these classes": the pointer says that there is a list.
    static constexpr int32_t kNone = 0;
    batch.sampledCount = inputs[kSampled].dim(0);
    batch.sampledClasses = batch.sampledCount ? inputs[kSampled].data<const int32_t>() : &kNone;
  }

  std::array<Tensor, kOutputCount> outputs;
  const auto allocate = [&](Output output, std::initializer_list<int64_t> dims) {
    int64_t count = 1;
    for (int64_t dim : dims) count *= dim;
    outputs[output].take(gApi->allocateOutput(context, output, kFloat, dims.begin(), static_cast<int>(dims.size()),
                                              count * sizeof(float), tfStatus.raw));
    return tfStatus.ok();
  };
  if (!allocate(kLoss, {}) || !allocate(kLossPerSample, {batchSize}) ||
      !allocate(kEmbeddingGradient, {batchSize, config.dim}) || !allocate(kTargetCosine, {batchSize}) ||
      !allocate(kRowGradient, {batchSize, 4})) {
    return {StatusCode::kMemory, tfStatus.message()};
  }
  ForwardOutputs out;
  out.lossB = outputs[kLossPerSample].data<float>();
  out.embeddingGradientBD = outputs[kEmbeddingGradient].data<float>();
  out.targetCosineB = outputs[kTargetCosine].data<float>();
  out.rowGradientB4 = outputs[kRowGradient].data<float>();
  out.embeddingGradientOnDevice = onDevice;
#ifdef HYPERARC_EMULATED
  const emulator::OnDevice<const float> embeddingsOnDevice(batch.embeddingsBD, batchSize * config.dim);
  const emulator::OnDevice<float> gradientOnDevice(out.embeddingGradientBD, batchSize * config.dim);
  batch.embeddingsBD = embeddingsOnDevice.get();
  out.embeddingGradientBD = gradientOnDevice.get();
#endif
  if (Status status = forwardById(handles[kCentersId], handles[kStepId], batch, out); !status) return status;

  double sum = 0;
  for (int64_t i = 0; i < batchSize; ++i) sum += out.lossB[i];
  *outputs[kLoss].data<float>() = static_cast<float>(sum / static_cast<double>(batchSize));
  return Status::ok();
}

/// The kernel has no state of its own; TensorFlow wants a pointer.
void* createKernel(TF_OpKernelConstruction*) { return new (std::nothrow) char; }
void destroyKernel(void* kernel) { delete static_cast<char*>(kernel); }

template <bool OnDevice>
void computeKernel(void*, TF_OpKernelContext* context) {
  Status status;
  try {
    status = compute(context, OnDevice);
  } catch (const std::bad_alloc&) {
    status = {StatusCode::kMemory, "host memory: expected the allocation to succeed, received none"};
  } catch (const std::exception& error) {
    status = {StatusCode::kInternal, error.what()};
  }
  if (status) return;
  StatusHandle failure;
  const std::string message = std::string(codeName(status.code())) + ": " + status.message();
  gApi->setStatus(failure.raw, kInvalidArgument, message.c_str());
  gApi->contextFailure(context, failure.raw);
}

void inferShape(TF_ShapeInferenceContext* context, TF_Status* status) { gApi->setUnknownShape(context, status); }

constexpr std::array kInputSpecs{"embeddings: float",     "labels: int32",  "rule: float",
                                 "row_parameters: float", "sampled: int32", "handles: int32"};
constexpr std::array kOutputSpecs{"loss: float", "loss_per_sample: float", "embedding_gradient: float",
                                  "target_cosine: float", "row_gradient: float"};

/// `onDevice`: TensorFlow leaves embeddings and their gradient where they are and brings the small rest to the host.
/// Otherwise it brings everything, which on "CPU" is no work.
std::string registerKernel(const char* device, const char* name, bool onDevice) {
  TF_KernelBuilder* builder = gApi->newKernelBuilder(
      kOpName, device, createKernel, onDevice ? computeKernel<true> : computeKernel<false>, destroyKernel);
  const auto keepOnHost = [builder](const std::string& spec) {
    gApi->hostMemory(builder, spec.substr(0, spec.find(':')).c_str());
  };
  for (int i = 0; i < kInputCount; ++i) {
    if (!onDevice || i != kEmbeddings) keepOnHost(kInputSpecs[i]);
  }
  for (int i = 0; i < static_cast<int>(kOutputSpecs.size()); ++i) {
    if (!onDevice || i != kEmbeddingGradient) keepOnHost(kOutputSpecs[i]);
  }
  StatusHandle status;
  gApi->registerKernelBuilder(name, builder, status.raw);
  return status.ok() ? "" : std::string("TensorFlow refused the kernel of ") + kOpName + ": " + status.message();
}

}  // namespace

std::string registerMarginSoftmax(const CApi* api) {
  gApi = api;
  TF_OpDefinitionBuilder* op = gApi->newOpDefinitionBuilder(kOpName);
  for (const char* spec : kInputSpecs) gApi->addInput(op, spec);
  for (const char* spec : kOutputSpecs) gApi->addOutput(op, spec);
  gApi->setIsStateful(op, true);  // It fills a step: two calls are not one.
  gApi->setShapeInference(op, inferShape);
  StatusHandle status;
  gApi->registerOpDefinition(op, status.raw);
  if (!status.ok()) return std::string("TensorFlow refused the op ") + kOpName + ": " + status.message();
  if (std::string why = registerKernel("CPU", "HyperArcMarginSoftmaxCpu", kCpuTensorsAreOnDevice); !why.empty()) {
    return why;
  }
  return registerKernel("GPU", "HyperArcMarginSoftmaxGpu", readsDeviceMemory());
}

}  // namespace hyperarc::tensorflow
