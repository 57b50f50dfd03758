// The program `volant`.
#include "base/stop.h"
#include "cli/app.h"

int main(int argc, char** argv) {
  volant::install_stop_handler();
  return volant::cli::run_app(argc, argv);
}
