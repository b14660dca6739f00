// Times a full head step (forward and update) of the CPU engine beside OpenBLAS sgemm, one after the other in turn, so
// that both see the same machine. Prints medians and the ratio of the rates.
//
//   hyperarc_bench_cpu [C] [B] [D] [rounds] [threads] [isa: auto|portable|avx2|avx512]
#include <dlfcn.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "hyperarc/engine.h"

namespace {

using Clock = std::chrono::steady_clock;

double secondsSince(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

double cpuSeconds() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_utime.tv_sec + usage.ru_stime.tv_sec + 1e-6 * (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

struct Times {
  std::vector<double> wall;
  std::vector<double> cpu;
  template <typename Body>
  void measure(Body body) {
    const double cpuStart = cpuSeconds();
    const auto start = Clock::now();
    body();
    wall.push_back(secondsSince(start));
    cpu.push_back(cpuSeconds() - cpuStart);
  }
  void print(const char* name, double flops) const {
    if (wall.empty()) return;
    std::printf("%-10s median %8.1f ms  best %8.1f ms  cpu %8.1f ms  %6.1f GFLOP/s (best %6.1f, a cpu second %6.1f)\n",
                name, 1e3 * median(wall), 1e3 * *std::min_element(wall.begin(), wall.end()), 1e3 * median(cpu),
                1e-9 * flops / median(wall), 1e-9 * flops / *std::min_element(wall.begin(), wall.end()),
                1e-9 * flops / median(cpu));
  }
};

using Sgemm = void (*)(int order, int transA, int transB, int m, int n, int k, float alpha, const float* a, int lda,
                       const float* b, int ldb, float beta, float* c, int ldc);

void require(const hyperarc::Status& status) {
  if (status) return;
  std::fprintf(stderr, "%s\n", status.message().c_str());
  std::exit(1);
}

}  // namespace

int main(int argc, char** argv) {
  using namespace hyperarc;
  const auto argument = [&](int n, int64_t fallback) { return argc > n ? std::atoll(argv[n]) : fallback; };
  const int64_t classes = argument(1, 100000), batch = argument(2, 128), dim = argument(3, 512),
                rounds = argument(4, 7);
  EngineConfig config;
  config.threads = static_cast<int32_t>(argument(5, 2));
  const char* isa = argc > 6 ? argv[6] : "auto";
  config.isa = !std::strcmp(isa, "portable") ? CpuIsa::kPortable
               : !std::strcmp(isa, "avx2")   ? CpuIsa::kAvx2
               : !std::strcmp(isa, "avx512") ? CpuIsa::kAvx512
                                             : CpuIsa::kAuto;
  std::unique_ptr<Engine> engine;
  require(createEngine(config, &engine));
  std::unique_ptr<ClassCenters> centers;
  require(engine->createCenters({.classes = classes, .dim = static_cast<int32_t>(dim)}, &centers));
  require(centers->seedNormal(1, 0.01f));

  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> embeddings(batch * dim);
  for (float& value : embeddings) value = normal(random);
  std::vector<int32_t> labels(batch);
  for (int32_t& label : labels) label = static_cast<int32_t>(random() % classes);
  Batch input;
  input.embeddingsBD = embeddings.data();
  input.labelsB = labels.data();
  input.batch = batch;

  // The ceiling. rounds < 0: that many rounds without it, for a peak of memory that is the engine's alone.
  Sgemm sgemm = nullptr;
  if (void* library = rounds < 0 ? nullptr : dlopen("libopenblas.so.0", RTLD_NOW)) {
    sgemm = reinterpret_cast<Sgemm>(dlsym(library, "cblas_sgemm"));
    if (auto setThreads = reinterpret_cast<void (*)(int)>(dlsym(library, "openblas_set_num_threads")))
      setThreads(config.threads);
  }
  // Square, where OpenBLAS is at its best; the head's own skinny shape is slower there.
  const int gemmSize = 2048;
  const int64_t gemmFloats = int64_t{gemmSize} * gemmSize;
  std::vector<float> a(sgemm ? gemmFloats : 0, 0.5f), b(a.size(), 0.25f), c(a.size());
  const double gemmFlops = 2.0 * gemmSize * gemmFloats;
  const double stepFlops = 4.0 * 2.0 * classes * batch * dim;

  Times forward, update, step, gemm;
  for (int64_t round = 0; round < std::abs(rounds) + 1; ++round) {
    const bool counts = round > 0;  // the first round warms up
    Times warm;
    std::unique_ptr<Step> memory;
    (counts ? step : warm).measure([&] {
      (counts ? forward : warm).measure([&] { require(centers->forward(input, &memory)); });
      Step* steps[] = {memory.get()};
      (counts ? update : warm).measure([&] { require(centers->update(steps, {.learningRate = 0.01f})); });
    });
    if (sgemm == nullptr) continue;
    (counts ? gemm : warm).measure([&] {
      sgemm(101, 111, 111, gemmSize, gemmSize, gemmSize, 1.0f, a.data(), gemmSize, b.data(), gemmSize, 0.0f, c.data(),
            gemmSize);
    });
  }
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  std::printf("%s, C %ld, B %ld, D %ld, %d threads, peak %.1f MB beyond weights and momentum\n",
              engine->device().instructionSet.c_str(), static_cast<long>(classes), static_cast<long>(batch),
              static_cast<long>(dim), engine->device().threads,
              usage.ru_maxrss / 1024.0 - 2.0 * classes * dim * sizeof(float) / 1048576.0);
  forward.print("forward", stepFlops / 2);
  update.print("update", stepFlops / 2);
  step.print("step", stepFlops);
  gemm.print("sgemm", gemmFlops);
  if (sgemm == nullptr) {
    std::printf("no ceiling to compare with: OpenBLAS (libopenblas0-pthread) not installed, or rounds < 0\n");
  } else {
    std::printf("step rate / sgemm rate: median %.3f, best %.3f, per cpu second %.3f\n",
                (stepFlops / median(step.wall)) / (gemmFlops / median(gemm.wall)),
                (stepFlops / *std::min_element(step.wall.begin(), step.wall.end())) /
                    (gemmFlops / *std::min_element(gemm.wall.begin(), gemm.wall.end())),
                (stepFlops / median(step.cpu)) / (gemmFlops / median(gemm.cpu)));
  }
}
