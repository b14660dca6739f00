// Making engines and centres in tests.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "hyperarc/engine.h"
#include "reference.h"

namespace hyperarc::test {

inline std::vector<CpuIsa> supportedIsas() {
  std::vector<CpuIsa> isas;
  for (CpuIsa isa : {CpuIsa::kPortable, CpuIsa::kAvx2, CpuIsa::kAvx512}) {
    if (isaSupported(isa)) isas.push_back(isa);
  }
  return isas;
}

inline std::unique_ptr<Engine> makeEngine(const EngineConfig& config) {
  std::unique_ptr<Engine> engine;
  const Status status = createEngine(config, &engine);
  EXPECT_TRUE(status) << status.message();
  return engine;
}

inline std::unique_ptr<Engine> makeEngine(CpuIsa isa = CpuIsa::kAuto, int threads = 2) {
  return makeEngine({.isa = isa, .threads = threads});
}

/// An engine and a precision that the suites run on.
struct Variant {
  std::string name;
  EngineConfig config;
  Precision precision = Precision::kFp32;

  bool isCuda() const { return config.kind == DeviceKind::kCuda; }
};
/// How GoogleTest prints it.
inline void PrintTo(const Variant& variant, std::ostream* out) { *out << variant.name; }

/// Every instruction set of this processor; where there is a CUDA device (tests/emulator makes one), every precision
/// with the kernels the table chooses, and bf16 on the plain kernels too.
inline std::vector<Variant> variants() {
  std::vector<Variant> all;
  for (CpuIsa isa : supportedIsas()) {
    const char* names[] = {"auto", "portable", "avx2", "avx512"};
    all.push_back({std::string("cpu_") + names[static_cast<int>(isa)], {.isa = isa, .threads = 2}});
  }
  if (!whyNoCuda().empty()) return all;
  const EngineConfig cuda = {.kind = DeviceKind::kCuda};
  const EngineConfig plain = {.kind = DeviceKind::kCuda, .kernels = Kernels::kPlain};
  all.push_back({"cuda_fp32", cuda, Precision::kFp32});
  all.push_back({"cuda_bf16", cuda, Precision::kBf16Compute});
  all.push_back({"cuda_bf16_master", cuda, Precision::kBf16Master});
  all.push_back({"cuda_bf16_plain", plain, Precision::kBf16Compute});
  return all;
}

/// A test on each variant: its engine, and problems in its precision.
class EachEngine : public testing::TestWithParam<Variant> {
 protected:
  Problem problem(int64_t batch, int64_t classes, int64_t subCenters, int64_t dim, uint32_t seed) const {
    return inPrecision(makeProblem(batch, classes, subCenters, dim, seed), GetParam().precision);
  }
  /// What results of fp32 arithmetic, or of bf16 operands, may differ from the reference, as a share of the norm.
  double tolerance() const { return GetParam().precision == Precision::kFp32 ? 1e-5 : 2e-3; }
  /// What a stored weight or momentum of about `value` may differ by its rounding alone.
  double storedTolerance(double value, double ofFp32) const {
    return GetParam().precision == Precision::kBf16Master ? std::abs(value) / 128 + 1e-30 : ofFp32;
  }

  std::unique_ptr<Engine> engine = makeEngine(GetParam().config);
};

inline std::string nameOf(const testing::TestParamInfo<Variant>& info) { return info.param.name; }

/// Centres that own [firstClass, firstClass + count) of the problem.
inline std::unique_ptr<ClassCenters> makeCenters(Engine& engine, const Problem& p, int64_t firstClass = 0,
                                                 int64_t count = -1) {
  if (count < 0) count = p.classes - firstClass;
  CentersConfig config;
  config.classes = count;
  config.subCenters = static_cast<int32_t>(p.subCenters);
  config.dim = static_cast<int32_t>(p.dim);
  config.firstClass = firstClass;
  config.globalClasses = p.classes;
  config.precision = p.precision;
  std::unique_ptr<ClassCenters> centers;
  Status status = engine.createCenters(config, &centers);
  EXPECT_TRUE(status) << status.message();
  const int64_t offset = firstClass * p.subCenters * p.dim;
  status = centers->writeRows(Buffer::kWeights, 0, count * p.subCenters, p.weightsRD.data() + offset);
  EXPECT_TRUE(status) << status.message();
  status = centers->writeRows(Buffer::kMomentum, 0, count * p.subCenters, p.momentumRD.data() + offset);
  EXPECT_TRUE(status) << status.message();
  return centers;
}

inline std::unique_ptr<Step> forwardOf(ClassCenters& centers, const Batch& batch) {
  std::unique_ptr<Step> step;
  const Status status = centers.forward(batch, &step);
  EXPECT_TRUE(status) << status.message();
  return step;
}

inline std::vector<float> copyOf(std::span<const float> values) { return {values.begin(), values.end()}; }

inline std::vector<float> rowsOf(const ClassCenters& centers, Buffer buffer = Buffer::kWeights) {
  const CentersConfig& config = centers.config();
  std::vector<float> rows(config.classes * config.subCenters * config.dim);
  const Status status = centers.readRows(buffer, 0, config.classes * config.subCenters, rows.data());
  EXPECT_TRUE(status) << status.message();
  return rows;
}

inline std::vector<float> gradientOf(ClassCenters& centers, std::vector<Step*> steps) {
  const CentersConfig& config = centers.config();
  std::vector<float> gradient(config.classes * config.subCenters * config.dim, 7.0f);
  const Status status = centers.gradients(steps, gradient.data());
  EXPECT_TRUE(status) << status.message();
  return gradient;
}

}  // namespace hyperarc::test
