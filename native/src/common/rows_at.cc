// Rows by number, on top of the ranges that each engine reads and writes.
#include <algorithm>
#include <string>
#include <vector>

#include "common/guard.h"
#include "common/validation.h"

namespace hyperarc {

namespace {

Status checkListed(const int64_t* rows, int64_t count, int64_t total, const void* values) {
  if (count < 0 || (count > 0 && (rows == nullptr || values == nullptr))) {
    return {StatusCode::kShape, "rows: expected a list and a buffer [" + std::to_string(count) + ", D], pass both"};
  }
  for (int64_t n = 0; n < count; ++n) {
    if (rows[n] < 0 || rows[n] >= total) {
      return {StatusCode::kRange, "rows[" + std::to_string(n) + "]: expected a row in [0, " + std::to_string(total) +
                                      "), received " + std::to_string(rows[n]) + "; a row is class*subCenters + k"};
    }
  }
  return Status::ok();
}

Status checkDistinct(const int64_t* rows, int64_t count) {
  std::vector<int64_t> sorted(rows, rows + count);
  std::ranges::sort(sorted);
  const auto twice = std::ranges::adjacent_find(sorted);
  if (twice == sorted.end()) return Status::ok();
  return {StatusCode::kRange, "rows: expected each row once, received " + std::to_string(*twice) +
                                  " twice; add up what belongs to one row"};
}

}  // namespace

Status ClassCenters::readRowsAt(Buffer buffer, const int64_t* rows, int64_t count, float* valuesRD) const {
  return guarded("readRowsAt", [&]() -> Status {
    const CentersConfig& own = config();
    if (Status status = checkListed(rows, count, own.classes * own.subCenters, valuesRD); !status) return status;
    for (int64_t n = 0; n < count; ++n) {
      if (Status status = readRows(buffer, rows[n], 1, valuesRD + n * own.dim); !status) return status;
    }
    return Status::ok();
  });
}

Status ClassCenters::writeRowsAt(Buffer buffer, const int64_t* rows, int64_t count, const float* valuesRD) {
  return guarded("writeRowsAt", [&]() -> Status {
    const CentersConfig& own = config();
    if (Status status = checkListed(rows, count, own.classes * own.subCenters, valuesRD); !status) return status;
    if (Status status = checkDistinct(rows, count); !status) return status;
    if (Status status = checkBuffer(buffer, own); !status) return status;
    if (Status status = checkRowValues(buffer, valuesRD, count, own.dim); !status) return status;
    for (int64_t n = 0; n < count; ++n) {
      if (Status status = writeRows(buffer, rows[n], 1, valuesRD + n * own.dim); !status) return status;
    }
    return Status::ok();
  });
}

}  // namespace hyperarc
