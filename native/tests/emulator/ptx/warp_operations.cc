// shfl, vote, bar.warp, mma, ldmatrix. PTX ISA, "Data Movement" (shfl.sync), "Parallel Synchronization", "Warp Level
// Matrix". The harness's functions do the work; what is written out here is where the text has each operand.
#include "emulator/warp_functions.h"
#include "frame.h"
#include "operations.h"
#include "warp_emulation.h"

namespace hyperarc::emulator::ptx {
namespace {

enum class Mode : uint32_t { kUp, kDown, kButterfly, kIndex };

/// shfl.sync.MODE.b32 d{|p}, a, b, c, mask, after the ISA's own program. Elements: d and p.
void shuffleWords(Frame& frame, const Instruction& i) {
  const Operand& to = i.operands[0];
  const auto lane = static_cast<int>(laneIndex());
  const auto b = static_cast<int>(get<uint32_t>(frame, i, 2) & 31u);
  const uint32_t c = get<uint32_t>(frame, i, 3);
  const auto clamp = static_cast<int>(c & 31u);
  const auto segment = static_cast<int>(c >> 8 & 31u);
  const int maxLane = (lane & segment) | (clamp & ~segment & 31);
  const int minLane = lane & segment;
  int source = lane;
  bool isWithin = false;
  switch (static_cast<Mode>(i.number)) {
    case Mode::kUp:
      source = lane - b;
      isWithin = source >= maxLane;
      break;
    case Mode::kDown:
      source = lane + b;
      isWithin = source <= maxLane;
      break;
    case Mode::kButterfly:
      source = lane ^ b;
      isWithin = source <= maxLane;
      break;
    case Mode::kIndex:
      source = minLane | (b & ~segment & 31);
      isWithin = source <= maxLane;
      break;
  }
  if (!isWithin) source = lane;
  const uint64_t result = warpCollective(WarpOperation::kShuffle, get<uint32_t>(frame, i, 4),
                                         get<uint32_t>(frame, i, 1), source, siteOf(frame, i));
  put<uint32_t>(frame, element(i, to, 0), static_cast<uint32_t>(result));
  if (to.kind == Operand::Kind::kVector) put<uint32_t>(frame, element(i, to, 1), isWithin ? 1 : 0);
}

void ballot(Frame& frame, const Instruction& i) {
  const uint64_t votes = warpCollective(WarpOperation::kBallot, get<uint32_t>(frame, i, 2), holds(frame, i.operands[1]),
                                        0, siteOf(frame, i));
  put<uint32_t>(frame, i, 0, static_cast<uint32_t>(votes));
}

void syncWarp(Frame& frame, const Instruction& i) {
  warpCollective(WarpOperation::kSyncWarp, get<uint32_t>(frame, i, 0), 0, 0, siteOf(frame, i));
}

/// mma.m16n8k16 d, a, b, c.
void multiply(Frame& frame, const Instruction& i) {
  float d[4];
  uint32_t a[4];
  uint32_t b[2];
  for (uint32_t n = 0; n < 4; ++n) {
    d[n] = get<float>(frame, element(i, i.operands[3], n));
    a[n] = get<uint32_t>(frame, element(i, i.operands[1], n));
  }
  for (uint32_t n = 0; n < 2; ++n) b[n] = get<uint32_t>(frame, element(i, i.operands[2], n));
  mmaBf16(d, a, b, siteOf(frame, i));
  for (uint32_t n = 0; n < 4; ++n) put<float>(frame, element(i, i.operands[0], n), d[n]);
}

void loadFragments(Frame& frame, const Instruction& i) {
  uint32_t r[4];
  const void* row = place(frame, i, Space::kShared, bitsOf(frame, i.operands[1]), 16, 16);
  loadMatrices(r, row, i.isSecond, siteOf(frame, i));
  for (uint32_t n = 0; n < 4; ++n) put<uint32_t>(frame, element(i, i.operands[0], n), r[n]);
}

}  // namespace

Handler warpHandler(const Words& words, Instruction& instruction) {
  if (words.size() == 4 && words[0] == "shfl" && words[1] == "sync" && words[3] == "b32") {
    constexpr const char* kModes[] = {"up", "down", "bfly", "idx"};
    for (const char* mode : kModes) {
      if (words[2] == mode) return shuffleWords;
      ++instruction.number;
    }
    return nullptr;
  }
  if (words == Words{"vote", "sync", "ballot", "b32"}) return ballot;
  if (words == Words{"bar", "warp", "sync"}) return syncWarp;
  if (words == Words{"mma", "sync", "aligned", "m16n8k16", "row", "col", "f32", "bf16", "bf16", "f32"}) return multiply;
  if (words == Words{"ldmatrix", "sync", "aligned", "m8n8", "x4", "shared", "b16"}) return loadFragments;
  if (words == Words{"ldmatrix", "sync", "aligned", "m8n8", "x4", "trans", "shared", "b16"}) {
    instruction.isSecond = true;
    return loadFragments;
  }
  return nullptr;
}

}  // namespace hyperarc::emulator::ptx
