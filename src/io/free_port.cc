#include "io/free_port.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/system_error.h"

namespace volant {

Result<int> free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  socklen_t size = sizeof address;
  const bool found = fd >= 0 && ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
                     ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  Status status;
  if (!found) status = system_error("a TCP port", "find");
  if (fd >= 0) ::close(fd);
  if (!status) return std::move(status).error();
  return int{ntohs(address.sin_port)};
}

}  // namespace volant
