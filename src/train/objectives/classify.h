// Classes of texts, of pairs of texts, or of words (rows in label_rows.h): cross-entropy with label smoothing
// and class weights; judged by accuracy and macro F1.
#pragma once
#include "train/objective.h"

namespace volant {

Result<std::unique_ptr<Objective>> make_classify_objective(const ObjectiveContext& context);

// The configuration of a classifier on the model of job.init_from (config.json as read): its own labels when
// it is one, else a new head for the labels of the rows.
Result<JsonObject> classifier_config(const TrainJob& job, const JsonObject& config);

// config.json of a body with the head `head` ("ForSequenceClassification") and these labels; as it is when it
// has such a head already. kUnsupported when the architecture's name says no family.
Result<JsonObject> labelled_config(const JsonObject& config, const std::string& head,
                                   const std::vector<std::string>& labels);
// id2label and label2id of config.json, in place of what it says of labels.
void write_labels(const std::vector<std::string>& labels, JsonObject& config);

}  // namespace volant
