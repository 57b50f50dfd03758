// One level of nesting, counted as long as it is in scope.
#pragma once

namespace volant::jinja {

class Level {
 public:
  explicit Level(int& depth) : depth_(depth) { ++depth_; }
  ~Level() { --depth_; }
  Level(const Level&) = delete;
  Level& operator=(const Level&) = delete;

 private:
  int& depth_;
};

}  // namespace volant::jinja
