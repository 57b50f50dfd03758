// Pictures into classes. [data]: format = "idx" with train_images, train_labels, test_images, test_labels, or
// format = "folders" with train (and test, validation), folders with one folder of PNG and JPEG files for
// each label; width, height, channels of what the model reads (default: those of the images).
#pragma once
#include "tasks/task.h"

namespace volant {
extern const Task kImageTask;
}  // namespace volant
