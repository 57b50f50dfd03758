// Stop: Ctrl-C and SIGTERM as a flag that long work asks for between steps. The first signal
// sets the flag; a second one ends the process at once.
#pragma once

namespace volant {
// Catches SIGINT and SIGTERM from now on; for the main function of a program.
void install_stop_handler();
// True once a stop was asked for.
bool stop_requested();
// Sleeps until then, without waking up meanwhile. For one thread of the program.
void wait_for_stop();
// Asks for a stop from inside: for tests and for a server that ends itself.
void request_stop();
}  // namespace volant
