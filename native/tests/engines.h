// Making engines and centres in tests.
#pragma once

#include <gtest/gtest.h>

#include <memory>
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

inline std::unique_ptr<Engine> makeEngine(CpuIsa isa = CpuIsa::kAuto, int threads = 2) {
  std::unique_ptr<Engine> engine;
  const Status status = createEngine({.isa = isa, .threads = threads}, &engine);
  EXPECT_TRUE(status) << status.message();
  return engine;
}

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
