// The task executable: the tasks, whose webhooks go through HTTP.
#include <netdb.h>
#include <sys/socket.h>

#include <cstdio>
#include <memory>
#include <regex>

#include "shop.h"

namespace {

shop::Answer post(const std::string& url, const std::string& body) {
  static const std::regex kUrl("http://([^:/]+):([0-9]+)(/.*)");
  static const std::regex kAnswer("HTTP/1.. ([0-9]{3})(?:[^\n]*\n(?:[^\r][^\n]*\n)*?retry-after: *([0-9]+))?",
                                  std::regex::icase);
  std::smatch part;
  if (!std::regex_match(url, part, kUrl)) throw libtask::BadArguments(url + " is not http://host:port/path");
  addrinfo wanted{}, *found = nullptr;
  wanted.ai_socktype = SOCK_STREAM;
  if (getaddrinfo(part.str(1).c_str(), part.str(2).c_str(), &wanted, &found) != 0)
    throw std::runtime_error("nobody knows " + part.str(1));
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> address(found, freeaddrinfo);
  const int channel = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const std::unique_ptr<FILE, decltype(&fclose)> server(fdopen(channel, "r+"), fclose);
  if (!server || connect(channel, found->ai_addr, found->ai_addrlen) != 0)
    throw std::runtime_error(url + " cannot be reached");
  std::fprintf(server.get(), "POST %s HTTP/1.0\r\nContent-Length: %zu\r\n\r\n%s", part.str(3).c_str(),
               body.size(), body.c_str());
  std::fflush(server.get());
  std::string text(4096, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), server.get()));
  std::smatch answer;
  if (!std::regex_search(text, answer, kAnswer)) throw std::runtime_error(url + " does not answer in HTTP");
  return {std::stoi(answer.str(1)), std::chrono::seconds(answer[2].matched ? std::stoi(answer.str(2)) : 60)};
}

}  // namespace

int main(int argc, char** argv) {
  libtask::App app;
  shop::add_tasks(app, post);
  return app.run(argc, argv);
}
