// Predicting the next token: pretraining on documents and fine-tuning on conversations, where only the
// answers count.
#pragma once
#include "train/batches.h"
#include "train/objective.h"

namespace volant {

Result<std::unique_ptr<Objective>> make_language_objective(const ObjectiveContext& context);

// An example as a person would read it, cut where what is learned begins and ends.
std::vector<Objective::Piece> pieces_of(const Example& example, const Tokenizer& tokenizer);

// Forward and backward pass of a batch: three times the forward products, and attention (two products
// forward, four backward).
double batch_flops(const ModelConfig& config, const TrainBatch& batch);

// What a model keeps of so many rows for its backward pass.
uint64_t activation_bytes_of(const ModelConfig& config, int64_t rows);

Json to_json(const Cursor& cursor);
Result<Cursor> cursor_from_json(const Json& json);

}  // namespace volant
