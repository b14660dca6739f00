#include "reference.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <random>

#include "margins/margin.h"

namespace hyperarc::test {

namespace {

Doubles unitVector(const float* x, int64_t dim, double* norm) {
  double squares = 0.0;
  for (int64_t d = 0; d < dim; ++d) squares += double(x[d]) * double(x[d]);
  *norm = std::sqrt(squares);
  Doubles unit(dim, 0.0);
  for (int64_t d = 0; *norm >= 1e-12 && d < dim; ++d) unit[d] = x[d] / *norm;
  return unit;
}

double dot(const Doubles& x, const Doubles& y) {
  double sum = 0.0;
  for (size_t d = 0; d < x.size(); ++d) sum += x[d] * y[d];
  return sum;
}

void add(double* out, const Doubles& x, double factor) {
  for (size_t d = 0; d < x.size(); ++d) out[d] += factor * x[d];
}

/// A class that is not the sample's own.
struct ReferenceNegative {
  int64_t row;  // the winner's
  double logit;
  double slope;  // dN/dc
};

/// v's part across the unit vector u.
Doubles tangentPart(const Doubles& v, const Doubles& u) {
  const double along = dot(v, u);
  Doubles result = v;
  add(result.data(), u, -along);
  return result;
}

}  // namespace

Batch Problem::asBatch() const {
  Batch input;
  input.embeddingsBD = embeddingsBD.data();
  input.labelsB = labelsB.data();
  input.batch = batch;
  input.rule = rule;
  input.rowParametersB4 = rowParametersB4.empty() ? nullptr : rowParametersB4.data();
  static const int32_t kNothing = 0;
  if (isSampled) input.sampledClasses = sampled.empty() ? &kNothing : sampled.data();
  input.sampledCount = static_cast<int64_t>(sampled.size());
  return input;
}

Problem Problem::slice(int64_t first, int64_t last) const {
  Problem part = *this;
  part.batch = last - first;
  part.embeddingsBD.assign(embeddingsBD.begin() + first * dim, embeddingsBD.begin() + last * dim);
  part.labelsB.assign(labelsB.begin() + first, labelsB.begin() + last);
  if (!rowParametersB4.empty())
    part.rowParametersB4.assign(rowParametersB4.begin() + 4 * first, rowParametersB4.begin() + 4 * last);
  return part;
}

ReferenceStep referenceStep(const Problem& p, const Doubles* rowsB4) {
  const int64_t dim = p.dim;
  std::vector<Doubles> centers;
  Doubles centerNorms(p.rows());
  for (int64_t r = 0; r < p.rows(); ++r) centers.push_back(unitVector(&p.weightsRD[r * dim], dim, &centerNorms[r]));
  // What the products of the negatives are made of. Bf16 rows are rounded before they are normalised.
  const bool isBf16 = p.precision != Precision::kFp32;
  std::vector<Doubles> operands = centers;
  for (int64_t r = 0; isBf16 && r < p.rows(); ++r) {
    for (int64_t d = 0; d < dim && centerNorms[r] >= 1e-12; ++d) {
      operands[r][d] = roundedToBf16(p.weightsRD[r * dim + d]) / centerNorms[r];
    }
  }
  std::vector<int32_t> taking = p.sampled;
  if (!p.isSampled) {
    for (int64_t j = 0; j < p.classes; ++j) taking.push_back(static_cast<int32_t>(j));
  }

  ReferenceStep step;
  step.centerGradientRD.assign(p.rows() * dim, 0.0);
  for (int64_t i = 0; i < p.batch; ++i) {
    double norm = 0.0;
    const Doubles x = unitVector(&p.embeddingsBD[i * dim], dim, &norm);
    Doubles operand = x;
    for (double& value : operand) value = isBf16 ? roundedToBf16(value) : value;
    margins::Row<double> row = {p.rule.scale, p.rule.m1, p.rule.m2, p.rule.m3};
    if (const float* own = p.rowParametersB4.empty() ? nullptr : &p.rowParametersB4[4 * i])
      row = {own[0], own[1], own[2], own[3]};
    if (const double* own = rowsB4 == nullptr ? nullptr : &(*rowsB4)[4 * i]) row = {own[0], own[1], own[2], own[3]};
    const auto winnerOf = [&](const Doubles& vector, const std::vector<Doubles>& rows, int64_t j, double* cosine) {
      int64_t winner = j * p.subCenters;
      *cosine = dot(vector, rows[winner]);
      for (int64_t r = winner + 1; r < (j + 1) * p.subCenters; ++r) {
        if (dot(vector, rows[r]) > *cosine) {
          winner = r;
          *cosine = dot(vector, rows[r]);
        }
      }
      return winner;
    };

    double cosine = 0.0;
    const int64_t y = winnerOf(x, centers, p.labelsB[i], &cosine);
    Doubles across = centers[y];
    add(across.data(), x, -cosine);
    const bool isZero = norm < 1e-12 || centerNorms[y] < 1e-12;
    const double sine = isZero ? 1.0 : std::sqrt(dot(across, across));
    const margins::Angle<double> angle = margins::angleOf(cosine, sine);
    const auto target = margins::target(row, angle, p.rule);
    const bool moves = !isZero && sine >= 1e-6;

    const NegativeRule& rule = p.rule.negatives;
    const bool hasRule = rule.threshold != NegativeThreshold::kNone;
    const double threshold = rule.threshold == NegativeThreshold::kTarget ? margins::targetThreshold(row, angle, p.rule)
                                                                          : double(rule.fixed);
    if (hasRule) step.thresholdB.push_back(threshold);
    std::vector<ReferenceNegative> negatives;
    double largest = -std::numeric_limits<double>::infinity();
    for (int32_t j : taking) {
      if (j == p.labelsB[i]) continue;
      double c = 0.0;
      const int64_t r = winnerOf(operand, operands, j, &c);
      ReferenceNegative negative = {r, row.scale * c, 1.0};
      if (hasRule) {
        const NegativeBranch& branch = c > threshold ? rule.above : rule.below;
        negative.logit = row.scale * (branch.value[0] + branch.value[1] * c + branch.value[2] * c * c);
        negative.slope = branch.slope[0] + branch.slope[1] * c;
        ++(c > threshold ? step.above : step.below);
        step.nearest = std::min(step.nearest, std::abs(c - threshold));
      }
      negatives.push_back(negative);
      largest = std::max(largest, negative.logit);
    }
    double sum = 0.0;
    for (const ReferenceNegative& negative : negatives) sum += std::exp(negative.logit - largest);
    const double logSum = negatives.empty() ? largest : largest + std::log(sum);
    const double total = std::max(logSum, target.logit) + std::log1p(std::exp(-std::abs(logSum - target.logit)));
    const double gap = logSum - target.logit;
    const double loss = negatives.empty() ? 0.0 : std::max(gap, 0.0) + std::log1p(std::exp(-std::abs(gap)));
    const double error = negatives.empty() ? 0.0 : 1.0 / (1.0 + std::exp(target.logit - logSum));
    step.lossB.push_back(loss);
    step.targetCosineB.push_back(cosine);
    step.sumExpLogB.push_back(logSum);

    Doubles toX(dim, 0.0);
    for (const auto& [r, logit, slope] : negatives) {
      const double weight = std::exp(logit - total) * row.scale * slope;
      add(toX.data(), operands[r], weight);
      add(&step.centerGradientRD[r * dim], tangentPart(operand, centers[r]), weight / p.batch);
    }
    // The cosines of the loss are those of the operands.
    const double byScale = hasRule ? std::numeric_limits<double>::quiet_NaN()
                                   : dot(toX, operand) / row.scale - error * target.logit / row.scale;
    for (double value : {byScale, -error * target.byM1, -error * target.byM2, error * row.scale * p.rule.blend})
      step.rowGradientB4.push_back(value / p.batch);
    if (moves) {
      add(toX.data(), centers[y], -error * target.h / sine);
      Doubles toW = x;
      add(toW.data(), centers[y], -cosine);
      add(&step.centerGradientRD[y * dim], toW, -error * target.h / sine / p.batch);
    }
    Doubles gradient = tangentPart(toX, x);
    for (double& value : gradient) value = norm < 1e-12 ? 0.0 : value / norm / p.batch;
    step.embeddingGradientBD.insert(step.embeddingGradientBD.end(), gradient.begin(), gradient.end());
  }
  for (int64_t r = 0; r < p.rows(); ++r) {
    for (int64_t d = 0; d < dim; ++d) {
      double& value = step.centerGradientRD[r * dim + d];
      value = centerNorms[r] < 1e-12 ? 0.0 : value / centerNorms[r];
    }
  }
  return step;
}

Problem makeProblem(int64_t batch, int64_t classes, int64_t subCenters, int64_t dim, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  Problem p;
  p.batch = batch;
  p.classes = classes;
  p.subCenters = subCenters;
  p.dim = dim;
  for (int64_t n = 0; n < batch * dim; ++n) p.embeddingsBD.push_back(normal(random));
  for (int64_t n = 0; n < p.rows() * dim; ++n) p.weightsRD.push_back(0.05f * normal(random));
  for (int64_t n = 0; n < p.rows() * dim; ++n) p.momentumRD.push_back(0.01f * normal(random));
  for (int64_t i = 0; i < batch; ++i) p.labelsB.push_back(static_cast<int32_t>(random() % classes));
  if (classes > 4) std::fill_n(&p.weightsRD[2 * subCenters * dim], dim, 0.0f);
  for (int64_t i = 0; i < batch; ++i) {
    // Near its own class, near a wrong class, opposite its own class (θ + m > π), and as it came.
    const int64_t near = i % 4 == 1 ? (p.labelsB[i] + 1) % classes : p.labelsB[i];
    if (i % 4 == 3) continue;
    const float sign = i % 4 == 2 ? -1.0f : 1.0f;
    for (int64_t d = 0; d < dim; ++d) {
      p.embeddingsBD[i * dim + d] =
          20.0f * sign * p.weightsRD[near * subCenters * dim + d] + 0.1f * p.embeddingsBD[i * dim + d];
    }
  }
  if (batch > 4) std::fill_n(&p.embeddingsBD[4 * dim], dim, 0.0f);
  return p;
}

float roundedToBf16(double value) {
  const auto bits = std::bit_cast<uint32_t>(static_cast<float>(value));
  return std::bit_cast<float>((bits + 0x7fffu + ((bits >> 16) & 1u)) & 0xffff0000u);
}

Problem inPrecision(Problem problem, Precision precision) {
  problem.precision = precision;
  if (precision == Precision::kBf16Master) {
    for (float& w : problem.weightsRD) w = roundedToBf16(w);
    for (float& v : problem.momentumRD) v = roundedToBf16(v);
  }
  return problem;
}

double relativeError(std::span<const float> actual, const Doubles& expected) {
  double difference = 0.0, size = 0.0;
  for (size_t n = 0; n < expected.size(); ++n) {
    difference += (actual[n] - expected[n]) * (actual[n] - expected[n]);
    size += expected[n] * expected[n];
  }
  return std::isnan(difference) ? difference : std::sqrt(difference) / std::max(std::sqrt(size), 1e-30);
}

double worstRowError(std::span<const float> actual, const Doubles& expected, int64_t rowLength) {
  const int64_t rows = static_cast<int64_t>(expected.size()) / rowLength;
  Doubles differences(rows), sizes(rows);
  for (int64_t n = 0; n < rows * rowLength; ++n) {
    const double difference = actual[n] - expected[n];
    differences[n / rowLength] += difference * difference;
    sizes[n / rowLength] += expected[n] * expected[n];
  }
  const double largest = std::sqrt(*std::max_element(sizes.begin(), sizes.end()));
  double worst = 0.0;
  for (int64_t r = 0; r < rows; ++r) {
    const double error = std::sqrt(differences[r]) / std::max({std::sqrt(sizes[r]), 1e-6 * largest, 1e-30});
    if (!(error <= worst)) worst = error;
  }
  return worst;
}

}  // namespace hyperarc::test
