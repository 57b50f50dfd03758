// The losses against the papers' formulas, written out as they stand there, and their derivatives against
// differences.
#include "train/objectives/preference_loss.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"

namespace volant {
namespace {

using Loss = PreferenceJob::Loss;

double sigma(double x) { return 1 / (1 + std::exp(-x)); }

double paper(const PreferenceJob& job, const AnswerLogProb& w, const AnswerLogProb& l) {
  const double ratio_w = w.policy - w.reference, ratio_l = l.policy - l.reference;
  const double p_w = std::exp(w.policy / w.n_tokens), p_l = std::exp(l.policy / l.n_tokens);
  const double eps = job.label_smoothing;
  switch (job.loss) {
    case Loss::kDpo:
      return -(1 - eps) * std::log(sigma(job.beta * ratio_w - job.beta * ratio_l)) -
             eps * std::log(sigma(job.beta * ratio_l - job.beta * ratio_w));
    case Loss::kIpo:
      return std::pow(ratio_w - ratio_l - 0.5 / job.beta, 2);
    case Loss::kSimpo:
      return -std::log(
          sigma(job.beta / w.n_tokens * w.policy - job.beta / l.n_tokens * l.policy - job.gamma));
    case Loss::kOrpo:
      return -w.policy / w.n_tokens -
             job.beta * std::log(sigma(std::log((p_w / (1 - p_w)) / (p_l / (1 - p_l)))));
    case Loss::kKto:
      break;
  }
  return 0;
}

PreferenceJob job_of(Loss loss, double beta) {
  PreferenceJob job;
  job.loss = loss;
  job.beta = beta;
  return job;
}

std::vector<PreferenceJob> pair_jobs() {
  std::vector<PreferenceJob> jobs = {job_of(Loss::kDpo, 0.1), job_of(Loss::kDpo, 0.5),
                                     job_of(Loss::kIpo, 0.2), job_of(Loss::kSimpo, 2),
                                     job_of(Loss::kOrpo, 0.3)};
  jobs[1].label_smoothing = 0.2;
  jobs[3].gamma = 0.7;
  return jobs;
}

AnswerLogProb random_answer(Random& random) {
  const double n = static_cast<double>(1 + random.below(20));
  return {-n * (0.1 + 3 * random.uniform()), -n * (0.1 + 3 * random.uniform()), n};
}

TEST(PreferenceLoss, PairsGiveThePapersLosses) {
  Random random(1);
  for (const PreferenceJob& job : pair_jobs())
    for (int i = 0; i < 50; ++i) {
      const AnswerLogProb w = random_answer(random), l = random_answer(random);
      const double expected = paper(job, w, l);
      ASSERT_NEAR(pair_loss(job, w, l).loss, expected, 1e-9 * (1 + std::abs(expected))) << job.loss_name();
    }
}

TEST(PreferenceLoss, KnownValues) {
  const AnswerLogProb same{-3, -3, 2};
  EXPECT_NEAR(pair_loss(job_of(Loss::kDpo, 0.1), same, same).loss, 0.693147180559945, 1e-12);
  EXPECT_NEAR(pair_loss(job_of(Loss::kIpo, 0.1), same, same).loss, 25, 1e-12);
  EXPECT_NEAR(pair_loss(job_of(Loss::kOrpo, 0.1), same, same).loss, 1.5 + 0.1 * 0.693147180559945, 1e-12);
  // log p_c - log q_c = 2, log p_r - log q_r = -1, beta 0.5: -log sigma(1.5).
  EXPECT_NEAR(pair_loss(job_of(Loss::kDpo, 0.5), {-3, -5, 4}, {-6, -5, 4}).loss, 0.201413277982752, 1e-12);
  // 2 (-1) - 2 (-2) - 1 = 1: -log sigma(1).
  EXPECT_NEAR(pair_loss(job_of(Loss::kSimpo, 2), {-4, 0, 4}, {-6, 0, 3}).loss, 0.313261687518223, 1e-12);
}

TEST(PreferenceLoss, DerivativesOfPairsMatchDifferences) {
  Random random(2);
  for (const PreferenceJob& job : pair_jobs())
    for (int i = 0; i < 50; ++i) {
      const AnswerLogProb w = random_answer(random), l = random_answer(random);
      const PairLoss loss = pair_loss(job, w, l);
      const auto moved = [](AnswerLogProb answer, double by) {
        answer.policy += by;
        return answer;
      };
      const double h = 1e-5;
      const double d_w = (paper(job, moved(w, h), l) - paper(job, moved(w, -h), l)) / (2 * h);
      const double d_l = (paper(job, w, moved(l, h)) - paper(job, w, moved(l, -h))) / (2 * h);
      ASSERT_NEAR(loss.d_chosen, d_w, 1e-6 * (1 + std::abs(d_w))) << job.loss_name();
      ASSERT_NEAR(loss.d_rejected, d_l, 1e-6 * (1 + std::abs(d_l))) << job.loss_name();
    }
}

TEST(PreferenceLoss, JudgementsGiveThePapersLossAndItsDerivative) {
  Random random(3);
  PreferenceJob job = job_of(Loss::kKto, 0.3);
  job.desirable_weight = 1.5;
  job.undesirable_weight = 0.5;
  for (int i = 0; i < 100; ++i) {
    const bool good = i % 2 == 0;
    const AnswerLogProb answer = random_answer(random);
    const double z = random.uniform() * 5;
    // lambda_y - v(x, y)
    const auto value = [&](double policy) {
      const double r = policy - answer.reference;
      return good ? 1.5 - 1.5 * sigma(0.3 * (r - z)) : 0.5 - 0.5 * sigma(0.3 * (z - r));
    };
    const JudgedLoss loss = kto_loss(job, answer, good, z);
    ASSERT_NEAR(loss.loss, value(answer.policy), 1e-12);
    ASSERT_NEAR(loss.d_answer, (value(answer.policy + 1e-5) - value(answer.policy - 1e-5)) / 2e-5, 1e-8);
    ASSERT_NEAR(loss.reward, 0.3 * (answer.policy - answer.reference), 1e-12);
  }
}

TEST(PreferenceLoss, ExtremesStayNumbers) {
  for (PreferenceJob job : pair_jobs())
    for (const double p : {0.0, -1e-300, -1e4, -1e8})
      for (const double q : {0.0, -1e4, -1e8}) {
        const PairLoss loss = pair_loss(job, {p, q, 1}, {q, p, 1});
        EXPECT_TRUE(std::isfinite(loss.loss) && std::isfinite(loss.d_chosen) &&
                    std::isfinite(loss.d_rejected))
            << job.loss_name() << " " << p << " " << q;
      }
  EXPECT_NEAR(kto_loss(job_of(Loss::kKto, 1), {0, -1e8, 1}, true, 0).loss, 0, 1e-12);
  EXPECT_NEAR(kto_loss(job_of(Loss::kKto, 1), {-1e8, 0, 1}, true, 0).loss, 1, 1e-12);
}

}  // namespace
}  // namespace volant
