#include "tasks/table/table_augmenter.h"

#include "tasks/settings.h"

namespace volant {

EncodedInput TableAugmenter::operator()(const Json&, const EncodedInput& encoded, Random& random) const {
  EncodedInput out = encoded;
  for (const TableField& field : fields_) {
    if (how_.drop > 0 && random.uniform() < how_.drop)
      TableEncoder::write_missing(field, out.features);
    else if (how_.noise > 0 && field.is_number)
      out.features[static_cast<size_t>(field.begin)] += static_cast<float>(how_.noise * random.normal());
  }
  return out;
}

Result<std::unique_ptr<Augmenter>> TableAugmenter::make(const Json& augment, const InputEncoder& encoder) {
  const auto* table = dynamic_cast<const TableEncoder*>(&encoder);
  if (table == nullptr) return fail(ErrorCode::kInternal, "expected the encoder of a table");
  Settings settings(augment, "train.augment");
  TableAugmentation how;
  how.noise = settings.number("noise", 0, 0, 10);
  how.drop = settings.number("drop", 0, 0, 1);
  TRY(settings.finish());
  return std::unique_ptr<Augmenter>(std::make_unique<TableAugmenter>(*table, how));
}

}  // namespace volant
