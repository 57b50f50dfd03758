#include "tasks/image/image_task.h"

#include <algorithm>
#include <array>

#include "tasks/image/idx.h"
#include "tasks/image/image_augmenter.h"
#include "tasks/image/image_encoder.h"
#include "tasks/settings.h"

namespace volant {
namespace {

struct Source {
  const char* part;
  std::vector<Path> images, labels;  // idx: a file of labels for each of images; folders: no labels
};

struct ImageData {
  bool folders = false;
  std::vector<Source> sources;
  ImageEncoder::Size size;
};

Result<ImageData> parse_data(const Json& data, const Path& base) {
  Settings settings(data, "data");
  ImageData out;
  out.folders = settings.choice("format", {"idx", "folders"}) == "folders";
  for (const char* part : {"train", "validation", "test"}) {
    Source source{.part = part, .images = {}, .labels = {}};
    const std::string name = part;
    if (out.folders) {
      source.images = settings.paths(name, base);
    } else {
      source.images = settings.paths(name + "_images", base);
      source.labels = settings.paths(name + "_labels", base);
      if (source.images.size() != source.labels.size())
        settings.fails(
            fail(ErrorCode::kInvalidArgument,
                 "expected as many files of '{}_labels' as of '{}_images' in [data], got {} and {}", part,
                 part, source.labels.size(), source.images.size()));
    }
    if (!source.images.empty()) out.sources.push_back(std::move(source));
  }
  out.size.width = settings.integer("width", 0, 1, 4096);
  out.size.height = settings.integer("height", 0, 1, 4096);
  out.size.channels = settings.integer("channels", 0, 1, 3);
  if (out.size.channels == 2)
    settings.fails(
        fail(ErrorCode::kInvalidArgument, "expected 'channels' 1 (grey) or 3 (RGB) in [data], got 2"));
  if ((out.size.width == 0) != (out.size.height == 0))
    settings.fails(
        fail(ErrorCode::kInvalidArgument, "expected 'width' and 'height' in [data], got one of them"));
  TRY(settings.finish());
  if (out.sources.empty() || std::string_view(out.sources[0].part) != "train")
    return fail(ErrorCode::kInvalidArgument, "expected '{}' in [data]: the pictures to learn from",
                out.folders ? "train" : "train_images");
  if (out.sources.size() == 1) out.sources[0].part = "all";
  return out;
}

Status read_idx_files(const Source& source, size_t file, const RowSink& sink) {
  const Path& path = source.images[file];
  const IdxArray images = TRY(read_idx(path)), labels = TRY(read_idx(source.labels[file]));
  const size_t n_dims = images.shape.size();
  const bool colour = n_dims == 4 && images.shape[3] == 3;
  if (n_dims != 3 && !colour)
    return fail(ErrorCode::kParse,
                "expected pictures [n, height, width] or [n, height, width, 3], got {} dimensions", n_dims)
        .at(path.string());
  if (labels.shape.size() != 1 || labels.shape[0] != images.shape[0])
    return fail(ErrorCode::kParse, "expected {} labels, as many as pictures in {}, got {} in {} dimensions",
                images.shape[0], path.string(), labels.shape[0], labels.shape.size())
        .at(source.labels[file].string());
  Image image{.width = images.shape[2], .height = images.shape[1], .channels = colour ? 3 : 1};
  const auto bytes = static_cast<size_t>(image.width * image.height * image.channels);
  for (size_t i = 0; i < static_cast<size_t>(images.shape[0]); ++i) {
    const auto begin = images.bytes.begin() + static_cast<int64_t>(i * bytes);
    image.pixels.assign(begin, begin + static_cast<int64_t>(bytes));
    TaskRow row;
    row.id = fmt::format("{}:{}", path.filename().string(), i);
    row.input = image_input(TRY(encode_png(image)));
    row.label = std::to_string(static_cast<unsigned char>(labels.bytes[i]));
    TRY(sink(std::move(row), source.part));
  }
  return {};
}

// The pictures below a folder, sorted, each with the name of the folder it lies in.
Result<std::vector<Path>> pictures_in(const Path& root) {
  std::vector<Path> out;
  std::error_code error;
  for (const auto& label : std::filesystem::directory_iterator(root, error)) {
    if (!label.is_directory(error)) continue;
    for (const auto& entry : std::filesystem::directory_iterator(label.path(), error)) {
      if (is_picture(entry.path())) out.push_back(entry.path());
    }
  }
  if (error) return fail(ErrorCode::kIo, "cannot be listed: {}", error.message()).at(root.string());
  if (out.empty())
    return fail(ErrorCode::kNotFound,
                "expected a folder for each label with .png or .jpg files in it, found none")
        .at(root.string());
  std::sort(out.begin(), out.end());
  return out;
}

Status read_folder(const Source& source, const Path& root, const RowSink& sink) {
  for (const Path& path : TRY(pictures_in(root))) {
    TaskRow row;
    row.id = (root.filename() / path.lexically_relative(root)).string();
    row.label = path.parent_path().filename().string();
    row.input = TRY(picture_input(path));
    TRY(sink(std::move(row), source.part));
  }
  return {};
}

Status read(const Json& data, const Path& base, const RowSink& sink) {
  const ImageData images = TRY(parse_data(data, base));
  for (const Source& source : images.sources)
    for (size_t i = 0; i < source.images.size(); ++i)
      TRY(images.folders ? read_folder(source, source.images[i], sink) : read_idx_files(source, i, sink));
  return {};
}

Result<std::vector<Path>> files(const Json& data, const Path& base) {
  const ImageData images = TRY(parse_data(data, base));
  std::vector<Path> out;
  for (const Source& source : images.sources) {
    if (images.folders) {
      for (const Path& root : source.images)
        for (Path& path : TRY(pictures_in(root))) out.push_back(std::move(path));
      continue;
    }
    out.insert(out.end(), source.images.begin(), source.images.end());
    out.insert(out.end(), source.labels.begin(), source.labels.end());
  }
  return out;
}

Result<std::unique_ptr<InputEncoder>> learn(const Json& data, const Json&, const Path& base,
                                            std::span<const TaskRow> train) {
  return std::unique_ptr<InputEncoder>(TRY(ImageEncoder::learn(TRY(parse_data(data, base)).size, train)));
}

Result<std::unique_ptr<InputEncoder>> load(const Path& folder) {
  return std::unique_ptr<InputEncoder>(TRY(ImageEncoder::load(folder)));
}

}  // namespace

const Task kImageTask = {"image", "pictures into classes", read, files, learn, load, ImageAugmenter::make};

}  // namespace volant
