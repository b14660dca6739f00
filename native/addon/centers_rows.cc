// NativeClassCenters: what reads and writes rows without a pass.
#include <cmath>

#include "objects.h"

namespace hyperarc::addon {
namespace {

/// Row ranges are checked before memory for them is taken.
int64_t checkRows(const CentersConfig& config, int64_t firstRow, int64_t rowCount) {
  const int64_t rows = config.classes * config.subCenters;
  if (firstRow + rowCount > rows) {
    fail(StatusCode::kRange, "firstRow: expected rows within [0, " + std::to_string(rows) + "), received [" +
                                 std::to_string(firstRow) + ", " + std::to_string(firstRow + rowCount) + ")");
  }
  return rowCount;
}

/// The largest whole number that JavaScript counts with.
constexpr int64_t kMaxUpdates = (int64_t{1} << 53) - 1;
constexpr int64_t kMaxRows = int64_t{1} << 36;

/// Row numbers come as doubles: int32 does not hold them all.
std::vector<int64_t> toRows(Napi::Value value, const CentersConfig& config) {
  const std::span<const double> given = requireFloat64(value, "rows");
  if (given.empty()) fail(StatusCode::kShape, "rows: expected at least one row, received none");
  const int64_t total = config.classes * config.subCenters;
  std::vector<int64_t> rows;
  rows.reserve(given.size());
  for (size_t n = 0; n < given.size(); ++n) {
    // The negated form also catches NaN.
    if (!(given[n] >= 0 && given[n] < static_cast<double>(total)) || given[n] != std::floor(given[n])) {
      fail(StatusCode::kRange, "rows[" + std::to_string(n) + "]: expected a whole number in [0, " +
                                   std::to_string(total) + "), received " + formatNumber(given[n]));
    }
    rows.push_back(static_cast<int64_t>(given[n]));
  }
  return rows;
}

}  // namespace

Napi::Value CentersObject::seedNormal(const Napi::CallbackInfo& info) {
  live();
  const uint64_t seed = requireUint64(info[0], "seed");
  const float stddev = requireFloat(info[1], "stddev");
  runNow({}, [&] { return core_->centers->seedNormal(seed, stddev); });
  return info.Env().Undefined();
}

Napi::Value CentersObject::setUpdates(const Napi::CallbackInfo& info) {
  live();
  const int64_t updates = requireInteger(info[0], "updates", 0, kMaxUpdates);
  runNow({}, [&] { return core_->centers->setUpdates(static_cast<uint64_t>(updates)); });
  return info.Env().Undefined();
}

Napi::Value CentersObject::writeRows(const Napi::CallbackInfo& info) {
  live();
  const Buffer buffer = toBuffer(info[0], "buffer");
  const int64_t firstRow = requireInteger(info[1], "firstRow", 0, kMaxRows);
  const std::span<const float> values = requireFloat32(info[2], "values");
  if (values.empty() || values.size() % static_cast<size_t>(config_.dim) != 0) {
    fail(StatusCode::kShape, "values: expected a positive multiple of dim " + std::to_string(config_.dim) +
                                 " elements, received " + std::to_string(values.size()));
  }
  const int64_t rowCount = checkRows(config_, firstRow, static_cast<int64_t>(values.size()) / config_.dim);
  runNow({}, [&] { return core_->centers->writeRows(buffer, firstRow, rowCount, values.data()); });
  return info.Env().Undefined();
}

Napi::Value CentersObject::readRows(const Napi::CallbackInfo& info) {
  live();
  const Buffer buffer = toBuffer(info[0], "buffer");
  const int64_t firstRow = requireInteger(info[1], "firstRow", 0, kMaxRows);
  const int64_t rowCount = checkRows(config_, firstRow, requireInteger(info[2], "rowCount", 1, kMaxRows));
  Napi::Float32Array rows = environment_->newFloat32Array(rowCount * config_.dim, "readRows");
  const std::span<float> values = requireFloat32(rows, "rows");
  runNow({}, [&] { return core_->centers->readRows(buffer, firstRow, rowCount, values.data()); });
  return rows;
}

Napi::Value CentersObject::writeRowsAt(const Napi::CallbackInfo& info) {
  live();
  const Buffer buffer = toBuffer(info[0], "buffer");
  const std::vector<int64_t> rows = toRows(info[1], config_);
  const auto count = static_cast<int64_t>(rows.size());
  const std::span<const float> values =
      requireFloat32(info[2], "values", count * config_.dim,
                     "rows.length " + std::to_string(count) + " × dim " + std::to_string(config_.dim));
  runNow({}, [&] { return core_->centers->writeRowsAt(buffer, rows.data(), count, values.data()); });
  return info.Env().Undefined();
}

Napi::Value CentersObject::readRowsAt(const Napi::CallbackInfo& info) {
  live();
  const Buffer buffer = toBuffer(info[0], "buffer");
  const std::vector<int64_t> rows = toRows(info[1], config_);
  const auto count = static_cast<int64_t>(rows.size());
  Napi::Float32Array result = environment_->newFloat32Array(count * config_.dim, "readRowsAt");
  const std::span<float> values = requireFloat32(result, "rows");
  runNow({}, [&] { return core_->centers->readRowsAt(buffer, rows.data(), count, values.data()); });
  return result;
}

Napi::Value CentersObject::resize(const Napi::CallbackInfo& info) {
  live();
  const int64_t classes = requireInteger(info[0], "classes", 1, kMaxClasses);
  const uint64_t seed = requireUint64(info[1], "seed");
  const float stddev = requireFloat(info[2], "stddev");
  runNow({}, [&] { return core_->centers->resize(classes, seed, stddev); });
  config_ = core_->centers->config();
  reportMemory(core_->bytes);
  return info.Env().Undefined();
}

}  // namespace hyperarc::addon
