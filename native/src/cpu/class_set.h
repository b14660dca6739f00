// The local classes that take part in a pass: all of them, or a sorted list.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace hyperarc::cpu {

class ClassSet {
 public:
  static ClassSet all(int64_t classes) { return ClassSet(nullptr, classes, false); }
  /// `sorted` must outlive the set.
  static ClassSet of(const std::vector<int32_t>& sorted) {
    return ClassSet(sorted.data(), static_cast<int64_t>(sorted.size()), true);
  }

  int64_t size() const { return size_; }
  int64_t at(int64_t position) const { return isList_ ? list_[position] : position; }
  /// Position of the first class ≥ localClass.
  int64_t lowerBound(int64_t localClass) const {
    if (!isList_) return std::clamp<int64_t>(localClass, 0, size_);
    return std::lower_bound(list_, list_ + size_, localClass) - list_;
  }

 private:
  ClassSet(const int32_t* list, int64_t size, bool isList) : list_(list), size_(size), isList_(isList) {}

  const int32_t* list_;
  int64_t size_;
  bool isList_;
};

}  // namespace hyperarc::cpu
