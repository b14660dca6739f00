#include "frame.h"

#include <string>

#include "../executor.h"
#include "../memory.h"
#include "emulator/hopper_functions.h"
#include "emulator/warp_functions.h"

namespace hyperarc::emulator::ptx {
namespace {

constexpr size_t kParameterAlignment = 128;

/// Static shared variables of the blocks of a cluster, new for each cluster that runs.
struct StaticShared {
  uint64_t serial = 0;
  std::vector<unsigned char> bytes;
};

unsigned char* staticShared(const Module& module, unsigned rank) {
  static StaticShared blocks[kMaxCluster];
  StaticShared& block = blocks[rank];
  const uint64_t serial = Executor::instance().clusterSerial();
  if (block.serial != serial) {
    block.serial = serial;
    block.bytes.assign(module.staticSharedBytes, 0xff);
  }
  return block.bytes.data();
}

bool isWithin(uint64_t address, size_t bytes, const void* begin, size_t size) {
  const auto from = reinterpret_cast<uintptr_t>(begin);
  return address >= from && address + bytes <= from + size;
}

unsigned char* sharedPlace(const Frame& frame, const Instruction& i, uint64_t address, size_t bytes) {
  const uint32_t window = static_cast<uint32_t>(address) >> kClusterWindowShift;
  const Executor& executor = Executor::instance();
  if (window > executor.call()->cluster || address >> 32 != 0) refuse(frame, i, "an address outside shared memory");
  const unsigned rank = window != 0 ? window - 1 : executor.rank();
  const auto offset = static_cast<uint32_t>(address) & ((1u << kClusterWindowShift) - 1);
  if (offset >= kStaticShared) {
    const uint64_t end = uint64_t{offset} - kStaticShared + bytes;
    if (end > frame.module.staticSharedBytes) refuse(frame, i, "reaches beyond the static shared variables");
    return staticShared(frame.module, rank) + (offset - kStaticShared);
  }
  if (offset + bytes > executor.call()->sharedBytes) {
    refuse(frame, i,
           "reaches byte " + std::to_string(offset + bytes) + " of " + std::to_string(executor.call()->sharedBytes) +
               " of dynamic shared memory");
  }
  return static_cast<unsigned char*>(executor.sharedMemoryOf(rank)) + offset;
}

/// Whether an address of the host is one that a kernel may use, besides its block's shared memory.
bool isGlobal(Frame& frame, uint64_t address, size_t bytes) {
  if (address >= frame.knownBegin && address + bytes <= frame.knownEnd) return true;
  const auto* pointer = reinterpret_cast<const void*>(static_cast<uintptr_t>(address));
  if (isDeviceRange(pointer, bytes)) {
    const Allocation* allocation = findAllocation(pointer);
    frame.knownBegin = reinterpret_cast<uintptr_t>(allocation->begin);
    frame.knownEnd = frame.knownBegin + allocation->bytes;
    return true;
  }
  for (const auto& [name, data] : frame.module.variables) {
    if (isWithin(address, bytes, data.get(), frame.module.variableBytes.at(name))) return true;
  }
  return false;
}

bool isOwn(const Frame& frame, uint64_t address, size_t bytes) {
  const Executor& executor = Executor::instance();
  return isWithin(address, bytes, frame.parameters.data(), frame.parameters.size()) ||
         isWithin(address, bytes, frame.local.data(), frame.local.size()) ||
         isWithin(address, bytes, executor.sharedMemory(), executor.call()->sharedBytes) ||
         isWithin(address, bytes, staticShared(frame.module, executor.rank()), frame.module.staticSharedBytes);
}

unsigned char* offsetIn(const Frame& frame, const Instruction& i, const Bytes& memory, const char* name,
                        uint64_t address, size_t bytes) {
  if (address > memory.size() || bytes > memory.size() - address) {
    refuse(frame, i,
           std::string("reaches byte ") + std::to_string(address + bytes) + " of " + std::to_string(memory.size()) +
               " of " + name);
  }
  return memory.data() + address;
}

}  // namespace

Bytes::Bytes(size_t size) : size_(size) {
  void* data = nullptr;
  if (posix_memalign(&data, kParameterAlignment, size + kParameterAlignment) != 0) fail("ptx: no host memory");
  std::memset(data, 0xff, size);
  data_.reset(static_cast<unsigned char*>(data));
}

Frame::Frame(const Module& itsModule, const Function& itsFunction)
    : module(itsModule),
      function(itsFunction),
      registers(itsFunction.slots, ~uint64_t{0}),
      parameters(itsFunction.parameterBytes),
      local(itsFunction.localBytes) {}

void refuse(const Frame& frame, const Instruction& instruction, const std::string& why) {
  fail("%s:%d: in %s: %s: %s", frame.module.file.c_str(), instruction.line, frame.function.symbol.c_str(),
       instruction.text.c_str(), why.c_str());
}

uint64_t specialValue(Special special) {
  const Thread& thread = *Executor::instance().current();
  switch (special) {
    case Special::kThreadX:
      return thread.index.x;
    case Special::kThreadY:
      return thread.index.y;
    case Special::kThreadZ:
      return thread.index.z;
    case Special::kBlockX:
      return blockIdx.x;
    case Special::kBlockY:
      return blockIdx.y;
    case Special::kBlockZ:
      return blockIdx.z;
    case Special::kThreadsX:
      return blockDim.x;
    case Special::kThreadsY:
      return blockDim.y;
    case Special::kThreadsZ:
      return blockDim.z;
    case Special::kBlocksX:
      return gridDim.x;
    case Special::kBlocksY:
      return gridDim.y;
    case Special::kBlocksZ:
      return gridDim.z;
    case Special::kClusterRank:
      return clusterRank();
    case Special::kLane:
      return laneIndex();
  }
  fail("ptx: a special register that is not known");
}

unsigned char* place(Frame& frame, const Instruction& i, Space space, uint64_t address, size_t bytes,
                     size_t alignment) {
  if (alignment > 1 && address % alignment != 0)
    refuse(frame, i, "an address that is no multiple of " + std::to_string(alignment));
  switch (space) {
    case Space::kParameter:
      return offsetIn(frame, i, frame.parameters, "parameters", address, bytes);
    case Space::kLocal:
      return offsetIn(frame, i, frame.local, "local memory", address, bytes);
    case Space::kShared:
      return sharedPlace(frame, i, address, bytes);
    case Space::kGlobal:
    case Space::kGeneric:
      break;
  }
  if (!isGlobal(frame, address, bytes) && (space == Space::kGlobal || !isOwn(frame, address, bytes)))
    refuse(frame, i, "an address outside every allocation of device memory");
  return reinterpret_cast<unsigned char*>(static_cast<uintptr_t>(address));
}

uint32_t dynamicOffset(const Frame& frame, const Instruction& i, uint64_t address) {
  if (address >= kStaticShared) refuse(frame, i, "an address outside dynamic shared memory");
  return static_cast<uint32_t>(address);
}

void run(Frame& frame) {
  const std::vector<Instruction>& instructions = frame.function.instructions;
  while (frame.next < instructions.size()) {
    const Instruction& instruction = instructions[frame.next++];
    if (instruction.guard.kind != Operand::Kind::kNone && !holds(frame, instruction.guard)) continue;
    instruction.run(frame, instruction);
  }
}

}  // namespace hyperarc::emulator::ptx
