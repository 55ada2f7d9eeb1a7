// The tasks of the shop, declared for those who run them and those who defer them.
#pragma once

#include <libtask/task.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

namespace shop {

using libtask::declare, std::string;

inline constexpr auto send_mail = declare<string, string>("mail.send", "to", "text").queue("mail");
inline constexpr auto make_invoice = declare<string, std::int64_t>("invoice.make", "customer", "cents");
inline constexpr auto thumbnail = declare<string, int>("image.thumbnail", "image", "width").queue("media");
inline constexpr auto call_webhook = declare<string, string>("webhook.call", "url", "body").queue("web");
inline constexpr auto transcode = declare<string>("audio.transcode", "file").queue("media");
inline constexpr auto report = declare<>("report.nightly");

struct Answer {
  int status = 0;
  std::chrono::seconds retry_after{0};  // as a server asks for with status 429
};
using Post = std::function<Answer(const string& url, const string& body)>;

// Registers them all, with the way to post something. Their files lie in the working directory.
void add_tasks(libtask::App& app, const Post& post);

}  // namespace shop
