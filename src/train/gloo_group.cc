// clang-format off: before the other headers of libtorch, which define a CHECK of their own
#include "ops/torch/tensor.h"
// clang-format on
#ifndef VOLANT_NO_GLOO
#pragma push_macro("CHECK")
#undef CHECK
#define USE_C10D_GLOO
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#pragma pop_macro("CHECK")
#endif

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <unistd.h>

#include <stdexcept>

#include "train/sum_group.h"

namespace volant {

#ifndef VOLANT_NO_GLOO

namespace {

std::string numeric(const sockaddr* address, socklen_t size) {
  char text[NI_MAXHOST] = {};
  return ::getnameinfo(address, size, text, sizeof text, nullptr, 0, NI_NUMERICHOST) == 0 ? text : "";
}

// Our own address on the way to rank 0; empty when there is none.
std::string address_towards(const RankInfo& info) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_DGRAM;  // connecting it sends nothing
  addrinfo* found = nullptr;
  if (::getaddrinfo(info.host.c_str(), std::to_string(info.port).c_str(), &hints, &found) != 0) return {};
  std::string address;
  for (const addrinfo* a = found; a != nullptr && address.empty(); a = a->ai_next) {
    const int fd = ::socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, 0);
    if (fd < 0) continue;
    sockaddr_storage mine{};
    socklen_t size = sizeof mine;
    if (::connect(fd, a->ai_addr, a->ai_addrlen) == 0 &&
        ::getsockname(fd, reinterpret_cast<sockaddr*>(&mine), &size) == 0)
      address = numeric(reinterpret_cast<sockaddr*>(&mine), size);
    ::close(fd);
  }
  ::freeaddrinfo(found);
  return address;
}

// The first one that others can reach.
std::string outer_address() {
  ifaddrs* all = nullptr;
  if (::getifaddrs(&all) != 0) return {};
  std::string address;
  for (const ifaddrs* i = all; i != nullptr && address.empty(); i = i->ifa_next)
    if (i->ifa_addr != nullptr && i->ifa_addr->sa_family == AF_INET && (i->ifa_flags & IFF_UP) != 0 &&
        (i->ifa_flags & IFF_LOOPBACK) == 0)
      address = numeric(i->ifa_addr, sizeof(sockaddr_in));
  ::freeifaddrs(all);
  return address;
}

std::shared_ptr<gloo::transport::Device> network_device(const RankInfo& info) {
  if (const auto interface = environment_variable("GLOO_SOCKET_IFNAME"))
    return c10d::ProcessGroupGloo::createDeviceForInterface(*interface);
  std::string address = address_towards(info);
  // Many machines call themselves 127.0.1.1.
  const bool inner = address.starts_with("127.") || address == "::1";
  if (address.empty() || (inner && info.local_size < info.size))
    if (const std::string outer = outer_address(); !outer.empty()) address = outer;
  return address.empty() ? c10d::ProcessGroupGloo::createDefaultDevice()
                         : c10d::ProcessGroupGloo::createDeviceForHostname(address);
}

}  // namespace

c10::intrusive_ptr<SumGroup> make_gloo_group(const c10::intrusive_ptr<c10d::Store>& store,
                                             const RankInfo& info, std::chrono::milliseconds timeout) {
  const auto options = c10d::ProcessGroupGloo::Options::create(timeout);
  options->devices.push_back(network_device(info));
  options->threads = 2;
  return c10::make_intrusive<c10d::ProcessGroupGloo>(store, info.rank, info.size, options);
}

#else

c10::intrusive_ptr<SumGroup> make_gloo_group(const c10::intrusive_ptr<c10d::Store>&, const RankInfo&,
                                             std::chrono::milliseconds) {
  throw std::runtime_error(
      "volant-train was built without the headers of Gloo (Debian's libgloo-dev), which several processes need");
}

#endif

}  // namespace volant
