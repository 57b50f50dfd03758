// Rows of a table changed at random for training: noise on numbers, fields that go missing.
#pragma once
#include "tasks/table/table_encoder.h"

namespace volant {

struct TableAugmentation {
  double noise = 0;  // deviation, in deviations of the field
  double drop = 0;   // share of the fields that are made missing
};

class TableAugmenter : public Augmenter {
 public:
  TableAugmenter(const TableEncoder& encoder, const TableAugmentation& how)
      : fields_(encoder.fields().begin(), encoder.fields().end()), how_(how) {}
  // kInvalidArgument names what it does not know.
  static Result<std::unique_ptr<Augmenter>> make(const Json& augment, const InputEncoder& encoder);
  EncodedInput operator()(const Json& input, const EncodedInput& encoded, Random& random) const override;

 private:
  std::vector<TableField> fields_;
  TableAugmentation how_;
};

}  // namespace volant
