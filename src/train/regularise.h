// What is added to the gradients of a whole step, before they are clipped, against overfitting. Weight decay
// is the optimiser's, dropout the model's.
#pragma once
#include "models/instances/torch.h"

namespace volant {

// Adds the derivative of lambda * sum |w| over matrices, none over norms and biases; nothing where w is 0.
void add_l1_gradient(const TorchModel& model, double lambda);
// Adds to each gradient normal noise of the variance eta / (1 + step)^0.55 (Neelakantan et al. 2015), the
// same for the same seed and step.
void add_gradient_noise(const TorchModel& model, double eta, uint64_t seed, uint64_t step);

}  // namespace volant
