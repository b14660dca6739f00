#include "accumulated.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "common/classes.h"
#include "kernels/kernels.h"

namespace hyperarc::cuda {

namespace {

CudaStep& at(std::span<Step* const> steps, size_t n) { return static_cast<CudaStep&>(*steps[n]); }

/// Classes that any of the steps used, sorted; nothing in `sorted` and false where that is all of them.
bool unionOfClasses(std::span<Step* const> steps, std::vector<int32_t>* sorted) {
  for (size_t n = 0; n < steps.size(); ++n) {
    if (at(steps, n).allClasses) return false;
  }
  for (size_t n = 0; n < steps.size(); ++n) mergeClasses(sorted, at(steps, n).sampledClasses);
  return true;
}

int64_t classCount(const CudaStep& step, int64_t classes) {
  return step.allClasses ? classes : static_cast<int64_t>(step.sampledClasses.size());
}

/// The steps have different classes: pass 2 needs a mask.
bool needsMask(std::span<Step* const> steps, int64_t classes) {
  const CudaStep& first = at(steps, 0);
  for (size_t n = 1; n < steps.size(); ++n) {
    const CudaStep& step = at(steps, n);
    // A list that holds every class is as good as none.
    const bool bothAll = classCount(first, classes) == classes && classCount(step, classes) == classes;
    if (!bothAll && (first.allClasses || step.allClasses || first.sampledClasses != step.sampledClasses)) return true;
  }
  return false;
}

/// A rule of a pass whose thresholds are the samples': a step without one has the branches N(c) = c.
NegativeRule ruleInPass(const CudaStep& step) {
  return step.hasNegativeRule() ? step.rule.negatives : NegativeRule{.threshold = NegativeThreshold::kFixed};
}

bool haveSameBranches(const NegativeRule& a, const NegativeRule& b) {
  return std::memcmp(&a.above, &b.above, sizeof a.above) == 0 && std::memcmp(&a.below, &b.below, sizeof a.below) == 0;
}

/// 0 where no step has a rule.
int32_t differentRules(std::span<Step* const> steps) {
  std::vector<NegativeRule> different;
  bool hasAny = false;
  for (size_t n = 0; n < steps.size(); ++n) {
    const NegativeRule rule = ruleInPass(at(steps, n));
    hasAny |= at(steps, n).hasNegativeRule();
    const auto isSame = [&](const NegativeRule& other) { return haveSameBranches(rule, other); };
    if (std::none_of(different.begin(), different.end(), isSame)) different.push_back(rule);
  }
  return hasAny ? static_cast<int32_t>(different.size()) : 0;
}

Accumulated single(Core& core, CudaStep& step, int64_t classes) {
  const StepLayout& layout = step.layout;
  launchTargetCoefficients(step.at<float>(layout.targetError), step.at<float>(layout.slope), step.samples,
                           static_cast<double>(step.samples), step.at<float>(layout.coefficient),
                           core.updateStream.get());
  Accumulated all = {};
  all.samples = step.samplesView();
  all.targets = {step.targetCount,
                 step.at<int32_t>(layout.entryPosition),
                 step.at<int32_t>(layout.entrySample),
                 step.at<int32_t>(layout.winner),
                 step.at<float>(layout.coefficient),
                 step.at<float>(layout.tangentW)};
  all.classes = step.classList(classes);
  all.isPartial = !step.allClasses;
  all.rule = step.rule.negatives;
  return all;
}

/// Where the arrays of several steps lie in the arena; the first `uploadBytes` come from the host.
struct Layout {
  Layout(int64_t samples, int32_t dim, bool isBf16, int64_t listed, int64_t maskBytes, int64_t rules) {
    const int64_t padded = paddedSamples(samples);
    int64_t used = 0;
    const auto take = [&](int64_t bytes) {
      const int64_t offset = used;
      used += (bytes + 255) / 256 * 256;
      return offset;
    };
    targetPosition = take(4 * padded);
    entryPosition = take(4 * samples);
    entrySample = take(4 * samples);
    list = take(4 * listed);
    stepOfSample = take(4 * padded);
    hasClass = take(maskBytes);
    ruleOfStep = take(static_cast<int64_t>(sizeof(NegativeRule)) * rules);
    uploadBytes = used;
    unit = take(4 * samples * dim);
    unitBf16 = take(isBf16 ? 2 * padded * paddedDim(dim) : 0);
    scale = take(4 * padded);
    shift = take(4 * padded);
    threshold = take(4 * padded);
    gradientShift = take(4 * padded);
    gradientFactor = take(4 * padded);
    winner = take(4 * samples);
    coefficient = take(4 * samples);
    tangentW = take(4 * samples * dim);
    bytes = used;
  }
  int64_t targetPosition, entryPosition, entrySample, list, stepOfSample, hasClass, ruleOfStep, uploadBytes;
  int64_t unit, unitBf16, scale, shift, threshold, gradientShift, gradientFactor, winner, coefficient, tangentW, bytes;
};

/// The uploads of `layout`, made in staging memory.
void fillUploads(std::span<Step* const> steps, const std::vector<int32_t>& list, bool isPartial, bool isMasked,
                 int64_t classes, const Layout& layout, int64_t samples, char* host, int32_t* targetCount) {
  const auto array = [&](int64_t offset) { return reinterpret_cast<int32_t*>(host + offset); };
  const auto positionOf = [&](int32_t localClass) {
    if (!isPartial) return localClass;
    return static_cast<int32_t>(std::lower_bound(list.begin(), list.end(), localClass) - list.begin());
  };
  std::memset(host, 0, static_cast<size_t>(layout.uploadBytes));
  std::fill_n(array(layout.targetPosition), paddedSamples(samples), -1);
  std::vector<TargetEntry> entries;
  int64_t first = 0;
  for (size_t n = 0; n < steps.size(); ++n) {
    const CudaStep& step = at(steps, n);
    for (int64_t i = 0; i < step.samples; ++i) {
      array(layout.stepOfSample)[first + i] = static_cast<int32_t>(n);
      if (step.localClass[i] < 0) continue;
      const int32_t position = positionOf(step.localClass[i]);
      array(layout.targetPosition)[first + i] = position;
      entries.push_back({position, static_cast<int32_t>(first + i)});
    }
    first += step.samples;
    if (!isMasked) continue;
    auto* mask = reinterpret_cast<uint8_t*>(host + layout.hasClass) + static_cast<int64_t>(n) * classes;
    if (step.allClasses) {
      std::fill_n(mask, classes, uint8_t{1});
    } else {
      for (int32_t j : step.sampledClasses) mask[positionOf(j)] = 1;
    }
  }
  sortEntries(&entries);
  *targetCount = static_cast<int32_t>(entries.size());
  for (size_t n = 0; n < entries.size(); ++n) {
    array(layout.entryPosition)[n] = entries[n].position;
    array(layout.entrySample)[n] = entries[n].sample;
  }
  std::copy(list.begin(), list.end(), array(layout.list));
}

Accumulated several(Core& core, std::span<Step* const> steps, int64_t allClasses) {
  const cudaStream_t stream = core.updateStream.get();
  const int32_t dim = at(steps, 0).dim;
  const bool isBf16 = at(steps, 0).isBf16;
  const int32_t dimPadded = paddedDim(dim);
  int64_t samples = 0;
  for (size_t n = 0; n < steps.size(); ++n) samples += at(steps, n).samples;
  std::vector<int32_t> list;
  const bool isPartial = unionOfClasses(steps, &list);
  const bool isMasked = needsMask(steps, allClasses);
  const int32_t rules = differentRules(steps);
  const int64_t classes = isPartial ? static_cast<int64_t>(list.size()) : allClasses;
  const Layout layout(samples, dim, isBf16, static_cast<int64_t>(list.size()),
                      isMasked ? static_cast<int64_t>(steps.size()) * classes : 0,
                      rules > 1 ? static_cast<int64_t>(steps.size()) : 0);

  char* device = static_cast<char*>(core.updateArena.take(layout.bytes));
  char* host = static_cast<char*>(core.updateStaging.take(layout.uploadBytes));
  int32_t targetCount = 0;
  fillUploads(steps, list, isPartial, isMasked, classes, layout, samples, host, &targetCount);
  for (size_t n = 0; rules > 1 && n < steps.size(); ++n) {
    reinterpret_cast<NegativeRule*>(host + layout.ruleOfStep)[n] = ruleInPass(at(steps, n));
  }
  check(cudaMemcpyAsync(device, host, static_cast<size_t>(layout.uploadBytes), cudaMemcpyHostToDevice, stream),
        "copy to the device");
  core.updateStaging.release(stream);

  const auto copy = [&](int64_t offset, int64_t firstByte, const void* source, int64_t bytes) {
    check(cudaMemcpyAsync(device + offset + firstByte, source, static_cast<size_t>(bytes), cudaMemcpyDeviceToDevice,
                          stream),
          "copy on the device");
  };
  int64_t first = 0;
  for (size_t n = 0; n < steps.size(); ++n) {
    const CudaStep& step = at(steps, n);
    const StepLayout& own = step.layout;
    const int64_t count = step.samples;
    copy(layout.unit, 4 * first * dim, step.at<void>(own.unit), 4 * count * dim);
    copy(layout.tangentW, 4 * first * dim, step.at<void>(own.tangentW), 4 * count * dim);
    if (isBf16) {
      copy(layout.unitBf16, 2 * first * dimPadded, step.at<void>(own.unitBf16), 2 * count * dimPadded);
    }
    copy(layout.scale, 4 * first, step.at<void>(own.scale), 4 * count);
    copy(layout.shift, 4 * first, step.at<void>(own.shift), 4 * count);
    copy(layout.threshold, 4 * first, step.at<void>(own.threshold), 4 * count);
    copy(layout.gradientShift, 4 * first, step.at<void>(own.gradientShift), 4 * count);
    copy(layout.gradientFactor, 4 * first, step.at<void>(own.gradientFactor), 4 * count);
    copy(layout.winner, 4 * first, step.at<void>(own.winner), 4 * count);
    launchTargetCoefficients(step.at<float>(own.targetError), step.at<float>(own.slope), count,
                             static_cast<double>(samples),
                             reinterpret_cast<float*>(device + layout.coefficient) + first, stream);
    first += count;
  }
  const auto clearPadding = [&](int64_t offset, int64_t bytesPerSample) {
    const int64_t padding = paddedSamples(samples) - samples;
    if (padding == 0) return;
    check(cudaMemsetAsync(device + offset + samples * bytesPerSample, 0, static_cast<size_t>(padding * bytesPerSample),
                          stream),
          "clearing device memory");
  };
  if (isBf16) clearPadding(layout.unitBf16, 2 * dimPadded);
  for (int64_t offset : {layout.scale, layout.shift, layout.threshold, layout.gradientShift, layout.gradientFactor}) {
    clearPadding(offset, 4);
  }

  const auto floats = [&](int64_t offset) { return reinterpret_cast<const float*>(device + offset); };
  const auto integers = [&](int64_t offset) { return reinterpret_cast<const int32_t*>(device + offset); };
  Accumulated all = {};
  all.samples = {samples,
                 floats(layout.unit),
                 isBf16 ? reinterpret_cast<const Bf16*>(device + layout.unitBf16) : nullptr,
                 floats(layout.scale),
                 floats(layout.shift),
                 floats(layout.gradientShift),
                 floats(layout.gradientFactor),
                 integers(layout.targetPosition),
                 floats(layout.threshold)};
  all.targets = {targetCount,
                 integers(layout.entryPosition),
                 integers(layout.entrySample),
                 integers(layout.winner),
                 floats(layout.coefficient),
                 floats(layout.tangentW)};
  all.classes = {classes, isPartial ? integers(layout.list) : nullptr};
  all.isPartial = isPartial;
  all.hasClass = isMasked ? reinterpret_cast<const uint8_t*>(device + layout.hasClass) : nullptr;
  all.stepOfSample = isMasked || rules > 1 ? integers(layout.stepOfSample) : nullptr;
  if (rules > 0) all.rule = ruleInPass(at(steps, 0));
  if (rules > 1) all.ruleOfStep = reinterpret_cast<const NegativeRule*>(device + layout.ruleOfStep);
  return all;
}

}  // namespace

PassNeeds needsOf(std::span<Step* const> steps, int64_t classes) {
  PassNeeds needs = {needsMask(steps, classes), differentRules(steps), 0, 0};
  for (size_t n = 0; n < steps.size(); ++n) {
    const CudaStep& step = at(steps, n);
    needs.samples += step.samples;
    // Without a mask all have the same classes; with one there are at least these.
    needs.classes = std::max(needs.classes, classCount(step, classes));
  }
  return needs;
}

Accumulated accumulate(Core& core, std::span<Step* const> steps, int64_t classes) {
  return steps.size() == 1 ? single(core, at(steps, 0), classes) : several(core, steps, classes);
}

}  // namespace hyperarc::cuda
