// wgmma and stmatrix. PTX ISA, "Asynchronous Warpgroup Level Matrix Instructions": fragments, shared-memory layouts
// with the 128-byte swizzle, matrix descriptor. A warp computes its own sixteen rows of the 64, when its lanes have all
// issued the instruction; results reach registers at the wait.
#include <bit>
#include <cstring>
#include <limits>
#include <vector>

#include "cluster.h"
#include "emulator/hopper_functions.h"
#include "executor.h"
#include "warp_instructions.h"

namespace hyperarc::emulator {
namespace {

constexpr uint32_t kAllLanes = 0xffffffffu;
constexpr int kMaxColumns = 256;
constexpr int kInner = 16;

/// Accumulators that a product under way owns.
struct Flying {
  float* d;
  std::vector<float> values;
  uint64_t group;  // of the latest product on them
};

/// Operands in shared memory of a product under way, to see that they stay.
struct Operands {
  uint64_t group;
  unsigned rank;
  WarpgroupProduct product;
  int warp;  // in the warpgroup
  uint64_t hash;
};

/// A store of stmatrix that the asynchronous proxy cannot see yet.
struct HeldStore {
  unsigned char* to;
  uint32_t word;
};

struct ThreadProducts {
  bool isFenced = false;
  uint64_t group = 0;  // under construction
  std::vector<Flying> flying;
  std::vector<Operands> operands;  // lane 0 of a warp keeps them
  std::vector<HeldStore> held;
};

auto& threads = *new std::vector<ThreadProducts>;  // never destroyed, as the executor

ThreadProducts& own() { return threads[Executor::instance().threadNumber()]; }

float bf16Value(uint32_t bits) { return std::bit_cast<float>(bits << 16); }

struct Descriptor {
  uint32_t start, leading, stride;  // bytes
};

Descriptor decode(uint64_t bits, const char* operand, Site site) {
  if (bits >> 62 != 1 || (bits >> 49 & 7u) != 0) {
    fail("wgmma (%s:%d): descriptor of %s 0x%016llx: the harness knows the 128-byte swizzle without base offset",
         site.file, site.line, operand, static_cast<unsigned long long>(bits));
  }
  const auto field = [bits](int shift) { return static_cast<uint32_t>(bits >> shift & 0x3fffu) << 4; };
  return {field(0), field(16), field(32)};
}

/// The element of 16 bits at a logical address of a block's shared memory. The pattern repeats every 1024 bytes:
/// 16-byte chunk c of 128-byte row r lies at chunk c ^ r.
uint32_t elementAt(unsigned rank, uint32_t address, Site site) {
  const uint32_t row = address / 128 % 8;
  const uint32_t chunk = address / 16 % 8;
  const uint32_t place = (address & ~0x7fu) + (chunk ^ row) * 16 + address % 16;
  if (place + 2 > Executor::instance().call()->sharedBytes) {
    fail("wgmma (%s:%d) reads byte %u of shared memory, beyond its %zu", site.file, site.line, place,
         Executor::instance().call()->sharedBytes);
  }
  uint16_t element;
  std::memcpy(&element, static_cast<const unsigned char*>(Executor::instance().sharedMemoryOf(rank)) + place, 2);
  return element;
}

/// K-major: rows of 128 bytes along K, groups of eight rows `stride` apart.
uint32_t kMajorElement(unsigned rank, const Descriptor& at, int row, int k, Site site) {
  return elementAt(rank,
                   at.start + static_cast<uint32_t>(row / 8) * at.stride + static_cast<uint32_t>(row % 8) * 128 +
                       static_cast<uint32_t>(k) * 2,
                   site);
}

/// MN-major: rows of 128 bytes along N, one for each k; groups of eight k `stride` apart, groups of 64 n `leading`
/// apart.
uint32_t nMajorElement(unsigned rank, const Descriptor& at, int n, int k, Site site) {
  return elementAt(rank,
                   at.start + static_cast<uint32_t>(n / 64) * at.leading + static_cast<uint32_t>(k / 8) * at.stride +
                       static_cast<uint32_t>(k % 8) * 128 + static_cast<uint32_t>(n % 64) * 2,
                   site);
}

struct Matrices {
  float a[kInner][kInner];       // [m][k], rows of this warp
  float b[kInner][kMaxColumns];  // [k][n]
  uint64_t hash;                 // of what came from shared memory
};

void gather(const WarpgroupProduct& product, unsigned rank, int warp, Site site, Matrices& out) {
  uint64_t hash = 0xcbf29ce484222325u;
  const auto take = [&hash](uint32_t bits) {
    hash = (hash ^ bits) * 0x100000001b3u;
    return bf16Value(bits);
  };
  if (product.aRegisters == nullptr) {
    const Descriptor at = decode(product.a, "A", site);
    for (int m = 0; m < kInner; ++m) {
      for (int k = 0; k < kInner; ++k) out.a[m][k] = take(kMajorElement(rank, at, 16 * warp + m, k, site));
    }
  }
  const Descriptor at = decode(product.b, "B", site);
  for (int k = 0; k < kInner; ++k) {
    for (int n = 0; n < product.columns; ++n) {
      out.b[k][n] =
          take(product.isTransposed ? nMajorElement(rank, at, n, k, site) : kMajorElement(rank, at, n, k, site));
    }
  }
  out.hash = hash;
}

const WarpgroupProduct& argumentOf(const Thread& lane) {
  return *reinterpret_cast<const WarpgroupProduct*>(static_cast<uintptr_t>(lane.value));
}

struct StoreArguments {
  uint32_t row;
  const uint32_t* r;
};

/// The accumulators that a product adds to, out of the registers or of an earlier product that has not been waited for.
std::vector<float> takeAccumulators(ThreadProducts& lane, const WarpgroupProduct& product) {
  const auto count = static_cast<size_t>(product.columns / 2);
  std::vector<float> values(product.d, product.d + count);
  for (auto flying = lane.flying.begin(); flying != lane.flying.end(); ++flying) {
    if (flying->d != product.d) continue;
    values = std::move(flying->values);
    lane.flying.erase(flying);
    break;
  }
  if (!product.accumulates) values.assign(count, 0.0f);
  return values;
}

}  // namespace

void startWarpgroups(uint32_t count) { threads.assign(count, {}); }

void fenceProducts() { own().isFenced = true; }

void commitProducts() { ++own().group; }

void multiplyAsync(const WarpgroupProduct& product, Site site) {
  if (!own().isFenced) {
    fail("wgmma (%s:%d) without wgmma.fence since the last wait: registers may have been written", site.file,
         site.line);
  }
  warpCollective(WarpOperation::kProduct, kAllLanes, reinterpret_cast<uintptr_t>(&product), 0, site);
}

void multiplyWarpgroup(Thread* lanes) {
  static Matrices matrices;  // one kernel runs at a time
  static float d[kInner][kMaxColumns];
  Executor& executor = Executor::instance();
  const uint32_t first = executor.threadNumber() / 32 * 32;
  const unsigned rank = executor.rank();
  const int warp = static_cast<int>(lanes[0].index.x / 32 % 4);
  const WarpgroupProduct& product = argumentOf(lanes[0]);
  const Site site = lanes[0].site;
  for (int lane = 1; lane < 32; ++lane) {
    const WarpgroupProduct& other = argumentOf(lanes[lane]);
    if (other.b != product.b || (product.aRegisters == nullptr && other.a != product.a) ||
        other.accumulates != product.accumulates) {
      fail("wgmma (%s:%d): lane %d has another descriptor than lane 0", site.file, site.line, lane);
    }
  }
  gather(product, rank, warp, site, matrices);
  std::vector<float> accumulators[32];
  for (int lane = 0; lane < 32; ++lane) {
    const WarpgroupProduct& argument = argumentOf(lanes[lane]);
    accumulators[lane] = takeAccumulators(threads[first + static_cast<uint32_t>(lane)], argument);
    const int row = lane / 4;
    const int pair = lane % 4 * 2;
    if (argument.aRegisters != nullptr) {
      for (int reg = 0; reg < 4; ++reg) {
        const uint32_t word = argument.aRegisters[reg];
        matrices.a[row + reg % 2 * 8][pair + reg / 2 * 8] = bf16Value(word & 0xffffu);
        matrices.a[row + reg % 2 * 8][pair + reg / 2 * 8 + 1] = bf16Value(word >> 16);
      }
    }
    for (int reg = 0; reg < product.columns / 2; ++reg)
      d[row + reg / 2 % 2 * 8][reg / 4 * 8 + pair + reg % 2] = accumulators[lane][static_cast<size_t>(reg)];
  }
  for (int m = 0; m < kInner; ++m) {
    for (int k = 0; k < kInner; ++k) {
      for (int n = 0; n < product.columns; ++n) d[m][n] += matrices.a[m][k] * matrices.b[k][n];
    }
  }
  for (int lane = 0; lane < 32; ++lane) {
    const WarpgroupProduct& argument = argumentOf(lanes[lane]);
    ThreadProducts& state = threads[first + static_cast<uint32_t>(lane)];
    const int row = lane / 4;
    const int pair = lane % 4 * 2;
    for (int reg = 0; reg < product.columns / 2; ++reg) {
      accumulators[lane][static_cast<size_t>(reg)] = d[row + reg / 2 % 2 * 8][reg / 4 * 8 + pair + reg % 2];
      argument.d[reg] = std::numeric_limits<float>::quiet_NaN();
    }
    state.flying.push_back({argument.d, std::move(accumulators[lane]), state.group});
  }
  WarpgroupProduct kept = product;
  if (kept.aRegisters != nullptr) kept.aRegisters = reinterpret_cast<const uint32_t*>(1);  // only that there are some
  threads[first].operands.push_back({threads[first].group, rank, kept, warp, matrices.hash});
}

void waitForProducts(int pending, Site site) {
  static Matrices matrices;
  ThreadProducts& state = own();
  state.isFenced = false;
  const auto isLanding = [&](uint64_t group) { return group + static_cast<uint64_t>(pending) < state.group; };
  std::erase_if(state.operands, [&](const Operands& operands) {
    if (!isLanding(operands.group)) return false;
    gather(operands.product, operands.rank, operands.warp, site, matrices);
    if (matrices.hash != operands.hash) {
      fail("wgmma.wait_group (%s:%d): an operand in shared memory changed while a product read it", site.file,
           site.line);
    }
    return true;
  });
  std::erase_if(state.flying, [&](const Flying& flying) {
    if (!isLanding(flying.group)) return false;
    std::memcpy(flying.d, flying.values.data(), flying.values.size() * sizeof(float));
    return true;
  });
}

void storeMatrices(uint32_t sharedRow, const uint32_t* r, Site site) {
  if (sharedRow % 16 != 0 || sharedRow + 16 > Executor::instance().call()->sharedBytes) {
    fail("stmatrix (%s:%d) to offset %u of shared memory: expected a multiple of 16 within it", site.file, site.line,
         sharedRow);
  }
  const StoreArguments arguments{sharedRow, r};
  warpCollective(WarpOperation::kStoreMatrix, kAllLanes, reinterpret_cast<uintptr_t>(&arguments), 0, site);
}

void collectMatrices(Thread* lanes) {
  Executor& executor = Executor::instance();
  const uint32_t first = executor.threadNumber() / 32 * 32;
  const auto argument = [lanes](int lane) {
    return *reinterpret_cast<const StoreArguments*>(static_cast<uintptr_t>(lanes[lane].value));
  };
  auto* shared = static_cast<unsigned char*>(executor.sharedMemory());
  for (int lane = 0; lane < 32; ++lane) {
    for (int matrix = 0; matrix < 4; ++matrix) {
      unsigned char* to = shared + argument(8 * matrix + lane / 4).row + lane % 4 * 4;
      std::memset(to, 0xff, 4);
      threads[first + static_cast<uint32_t>(lane)].held.push_back({to, argument(lane).r[matrix]});
    }
  }
}

void fenceAsyncProxy() {
  for (const HeldStore& store : own().held) std::memcpy(store.to, &store.word, sizeof store.word);
  own().held.clear();
}

}  // namespace hyperarc::emulator
