// Compute capability 9.0: mbarrier, bulk copies, clusters, wgmma, stmatrix, setmaxnreg. PTX ISA, sections of the same
// names. The harness's functions (cluster.cc, warpgroup.cc) do the work; what is written out here is where the text has
// each operand, and that nothing touches the registers of a wgmma under way.
#include <algorithm>
#include <bit>

#include "../executor.h"
#include "emulator/hopper_functions.h"
#include "emulator/prefetches.h"
#include "frame.h"
#include "operations.h"

namespace hyperarc::emulator::ptx {
namespace {

constexpr uint32_t kAllLanes = 0xffffffffu;
/// In a register that a wgmma under way owns: a NaN that no arithmetic makes, so that a write shows.
constexpr uint64_t kOwnedMark = 0x5eed0000ffc0ffeeu;

void requireWarp(Frame& frame, const Instruction& i) {
  warpCollective(WarpOperation::kSyncWarp, kAllLanes, 0, 0, siteOf(frame, i));
}

// ---- mbarrier.

void initialise(Frame& frame, const Instruction& i) {
  initBarrier(dynamicOffset(frame, i, bitsOf(frame, i.operands[0])), get<int32_t>(frame, i, 1), siteOf(frame, i));
}

/// mbarrier.try_wait may give up at any time; here every third one does, at once.
void tryWait(Frame& frame, const Instruction& i) {
  const uint32_t barrier = dynamicOffset(frame, i, bitsOf(frame, i.operands[1]));
  const bool givesUp = frame.waits++ % 3 == 2;
  if (!givesUp) waitBarrier(barrier, get<uint32_t>(frame, i, 2), siteOf(frame, i));
  put<uint32_t>(frame, i, 0, givesUp ? 0 : 1);
}

/// mbarrier.arrive.shared::cta or ::cluster _, [barrier].
void arriveAt(Frame& frame, const Instruction& i) {
  const auto address = get<uint32_t>(frame, i, 1);
  const uint32_t window = address >> kClusterWindowShift;
  if (window != 0 && !i.isSecond)
    refuse(frame, i, "an address of the cluster's window where one of the block is asked for");
  arriveBarrier(dynamicOffset(frame, i, address & ((1u << kClusterWindowShift) - 1)),
                window != 0 ? window - 1 : clusterRank(), siteOf(frame, i));
}
void arriveExpecting(Frame& frame, const Instruction& i) {
  expectBytes(dynamicOffset(frame, i, bitsOf(frame, i.operands[1])), get<uint32_t>(frame, i, 2), siteOf(frame, i));
}
/// mapa d, address, rank.
void mapToRank(Frame& frame, const Instruction& i) {
  const uint32_t rank = get<uint32_t>(frame, i, 2);
  if (rank >= Executor::instance().call()->cluster) refuse(frame, i, "a rank that the cluster does not have");
  put<uint32_t>(frame, i, 0, get<uint32_t>(frame, i, 1) | (rank + 1) << kClusterWindowShift);
}

// ---- Bulk copies.

/// cp.async.bulk.tensor.Nd [to], [map, {coordinates}], [barrier]{, ctas}: `number` is N, `isSecond`: multicast.
void copyTensor(Frame& frame, const Instruction& i) {
  const Operand& coordinates = i.operands[2];
  if (coordinates.count != i.number) refuse(frame, i, "another number of coordinates than the name says");
  int at[2] = {};
  for (uint32_t n = 0; n < i.number; ++n) at[n] = get<int32_t>(frame, element(i, coordinates, n));
  CUtensorMap map;
  std::memcpy(&map, place(frame, i, Space::kGeneric, bitsOf(frame, i.operands[1]), sizeof map, 64), sizeof map);
  const uint32_t ctas = i.isSecond ? get<uint16_t>(frame, i, 4) : 1u << clusterRank();
  copyBulk(dynamicOffset(frame, i, bitsOf(frame, i.operands[0])), map,
           dynamicOffset(frame, i, bitsOf(frame, i.operands[3])), at, static_cast<int>(i.number), ctas,
           siteOf(frame, i));
}

void prefetchRange(Frame& frame, const Instruction& i) {
  prefetchBulk(reinterpret_cast<const void*>(static_cast<uintptr_t>(bitsOf(frame, i.operands[0]))),
               get<uint32_t>(frame, i, 1), siteOf(frame, i));
}

// ---- Fences, clusters, registers.

void nothing(Frame&, const Instruction&) {}
void fenceProxy(Frame&, const Instruction&) { fenceAsyncProxy(); }
/// Its other half, barrier.cluster.arrive, is told from the wait alone: they follow one another.
void waitForCluster(Frame& frame, const Instruction& i) { joinCluster(siteOf(frame, i)); }
void setRegisters(Frame& frame, const Instruction& i) {
  const auto count = get<uint32_t>(frame, i, 0);
  if (count < 24 || count > 256 || count % 8 != 0) refuse(frame, i, "expected a multiple of 8 from 24 to 256");
  requireWarp(frame, i);
}

void storeFragments(Frame& frame, const Instruction& i) {
  uint32_t r[4];
  for (uint32_t n = 0; n < 4; ++n) r[n] = get<uint32_t>(frame, element(i, i.operands[1], n));
  storeMatrices(dynamicOffset(frame, i, bitsOf(frame, i.operands[0])), r, siteOf(frame, i));
}

// ---- wgmma.

void fenceWgmma(Frame& frame, const Instruction& i) {
  requireWarp(frame, i);
  fenceProducts();
}
void commitWgmma(Frame& frame, const Instruction& i) {
  requireWarp(frame, i);
  commitProducts();
  ++frame.group;
}

OwnedRegisters& ownedRegisters(Frame& frame, const Instruction& i, const Operand& d) {
  std::vector<uint32_t> slots(d.count);
  for (uint32_t n = 0; n < d.count; ++n) slots[n] = element(i, d, n).slot;
  OwnedRegisters* found = nullptr;
  for (const auto& owned : frame.owned) {
    if (owned->slots == slots) {
      found = owned.get();
    } else if (owned->isUnderWay) {
      for (const uint32_t slot : slots) {
        if (std::find(owned->slots.begin(), owned->slots.end(), slot) != owned->slots.end())
          refuse(frame, i, "accumulators that another wgmma under way has in another order");
      }
    }
  }
  if (found == nullptr) {
    frame.owned.push_back(std::make_unique<OwnedRegisters>());
    found = frame.owned.back().get();
    found->slots = std::move(slots);
    found->values.resize(d.count);
  }
  return *found;
}

/// wgmma d, a, b, scale-d, 1, 1, {transpose-a,} transpose-b: `number` columns; a in braces comes from registers and has
/// no transpose.
void multiplyWgmma(Frame& frame, const Instruction& i) {
  const Operand& d = i.operands[0];
  const Operand& a = i.operands[1];
  const bool isFromRegisters = a.kind == Operand::Kind::kVector;
  const size_t flags = isFromRegisters ? 1 : 2;
  if (d.count != i.number / 2 || i.operands.size() != 6 + flags || (isFromRegisters && a.count != 4))
    refuse(frame, i, "another number of operands than the shape has");
  if (get<int32_t>(frame, i, 4) != 1 || get<int32_t>(frame, i, 5) != 1) refuse(frame, i, "a negated operand");
  if (!isFromRegisters && get<int32_t>(frame, i, 6) != 0) refuse(frame, i, "a transposed A");
  uint32_t fragment[4] = {};
  if (isFromRegisters) {
    ReadRegisters read{{}, {}, frame.group};
    for (uint32_t n = 0; n < 4; ++n) {
      const Operand& part = element(i, a, n);
      fragment[n] = get<uint32_t>(frame, part);
      read.slots.push_back(part.slot);
      read.values.push_back(frame.registers[part.slot]);
    }
    frame.read.push_back(std::move(read));
  }
  OwnedRegisters& owned = ownedRegisters(frame, i, d);
  if (!owned.isUnderWay) {
    for (uint32_t n = 0; n < d.count; ++n) owned.values[n] = get<float>(frame, element(i, d, n));
  }
  WarpgroupProduct product{};
  product.d = owned.values.data();
  product.columns = static_cast<int>(i.number);
  product.aRegisters = isFromRegisters ? fragment : nullptr;
  product.a = isFromRegisters ? 0 : bitsOf(frame, a);
  product.b = bitsOf(frame, i.operands[2]);
  product.isTransposed = get<int32_t>(frame, i, 5 + flags) != 0;
  product.accumulates = holds(frame, i.operands[3]);
  multiplyAsync(product, siteOf(frame, i));
  owned.group = frame.group;
  owned.isUnderWay = true;
  for (const uint32_t slot : owned.slots) frame.registers[slot] = kOwnedMark;
}

/// wgmma.wait_group N.
void waitWgmma(Frame& frame, const Instruction& i) {
  requireWarp(frame, i);
  const auto pending = get<uint32_t>(frame, i, 0);
  const auto lands = [&](uint64_t group) { return group + pending < frame.group; };
  for (const auto& owned : frame.owned) {
    if (!owned->isUnderWay || !lands(owned->group)) continue;
    for (const uint32_t slot : owned->slots) {
      if (frame.registers[slot] != kOwnedMark)
        refuse(frame, i, "an accumulator was written while its wgmma was under way");
    }
  }
  std::erase_if(frame.read, [&](const ReadRegisters& read) {
    if (!lands(read.group)) return false;
    for (size_t n = 0; n < read.slots.size(); ++n) {
      if (frame.registers[read.slots[n]] != read.values[n])
        refuse(frame, i, "a register of A was written while its wgmma was under way");
    }
    return true;
  });
  waitForProducts(static_cast<int>(pending), siteOf(frame, i));
  for (const auto& owned : frame.owned) {
    if (!owned->isUnderWay || !lands(owned->group)) continue;
    owned->isUnderWay = false;
    for (size_t n = 0; n < owned->slots.size(); ++n)
      frame.registers[owned->slots[n]] = std::bit_cast<uint32_t>(owned->values[n]);
  }
}

Handler bulkCopy(const Words& words, Instruction& instruction) {
  if (words == Words{"cp", "async", "bulk", "prefetch", "L2", "global"}) return prefetchRange;
  if (words.size() < 8 || words[3] != "tensor" || words[5] != "shared::cluster" || words[6] != "global" ||
      words[7] != "mbarrier::complete_tx::bytes") {
    return nullptr;
  }
  if (words[4] != "1d" && words[4] != "2d") return nullptr;
  instruction.number = words[4] == "1d" ? 1 : 2;
  instruction.isSecond = words.size() == 9 && words[8] == "multicast::cluster";
  return words.size() == 8 || instruction.isSecond ? copyTensor : nullptr;
}

Handler wgmma(const Words& words, Instruction& instruction) {
  if (words == Words{"wgmma", "fence", "sync", "aligned"}) return fenceWgmma;
  if (words == Words{"wgmma", "commit_group", "sync", "aligned"}) return commitWgmma;
  if (words == Words{"wgmma", "wait_group", "sync", "aligned"}) return waitWgmma;
  if (words.size() != 8 || words[1] != "mma_async" || words[5] != "f32" || words[6] != "bf16" || words[7] != "bf16")
    return nullptr;
  unsigned columns = 0;
  int read = 0;
  if (std::sscanf(words[4].c_str(), "m64n%uk16%n", &columns, &read) != 1 ||
      static_cast<size_t>(read) != words[4].size())
    return nullptr;
  instruction.number = columns;
  return multiplyWgmma;
}

}  // namespace

Handler hopperHandler(const Words& words, Instruction& instruction) {
  const std::string& name = words[0];
  if (name == "mbarrier") {
    if (words == Words{"mbarrier", "init", "shared::cta", "b64"}) return initialise;
    if (words == Words{"mbarrier", "try_wait", "parity", "shared::cta", "b64"}) return tryWait;
    if (words == Words{"mbarrier", "arrive", "shared::cta", "b64"}) return arriveAt;
    if (words == Words{"mbarrier", "arrive", "expect_tx", "shared::cta", "b64"}) return arriveExpecting;
    if (words == Words{"mbarrier", "arrive", "shared::cluster", "b64"}) {
      instruction.isSecond = true;
      return arriveAt;
    }
    return nullptr;
  }
  if (words == Words{"mapa", "shared::cluster", "u32"}) return mapToRank;
  if (name == "cp" && words.size() > 3 && words[2] == "bulk") return bulkCopy(words, instruction);
  if (words == Words{"fence", "proxy", "async", "shared::cta"}) return fenceProxy;
  if (words == Words{"fence", "mbarrier_init", "release", "cluster"}) return nothing;
  if (words == Words{"barrier", "cluster", "arrive", "release"}) return nothing;
  if (words == Words{"barrier", "cluster", "wait", "acquire"}) return waitForCluster;
  if (name == "setmaxnreg" && words.size() == 5 && (words[1] == "inc" || words[1] == "dec")) return setRegisters;
  if (words == Words{"stmatrix", "sync", "aligned", "m8n8", "x4", "shared", "b16"}) return storeFragments;
  return name == "wgmma" ? wgmma(words, instruction) : nullptr;
}

}  // namespace hyperarc::emulator::ptx
