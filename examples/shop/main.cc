// The task executable: the tasks, with libcurl to call webhooks.
#include <curl/curl.h>
#include <stdexcept>

#include "shop.h"

static shop::Answer post(const std::string& url, const std::string& body) {
  long status = 0;
  curl_off_t wait = 0;
  CURL* const call = curl_easy_init();
  curl_easy_setopt(call, CURLOPT_URL, url.c_str());
  curl_easy_setopt(call, CURLOPT_POSTFIELDS, body.c_str());
  curl_easy_setopt(call, CURLOPT_TIMEOUT, 30L);
  const CURLcode code = curl_easy_perform(call);  // what the server says is printed, and so in the log
  curl_easy_getinfo(call, CURLINFO_RESPONSE_CODE, &status);
  curl_easy_getinfo(call, CURLINFO_RETRY_AFTER, &wait);
  curl_easy_cleanup(call);
  if (code != CURLE_OK) throw std::runtime_error(url + ": " + curl_easy_strerror(code));
  return {.status = static_cast<int>(status), .retry_after = std::chrono::seconds(wait > 0 ? wait : 60)};
}

int main(int argc, char** argv) {
  libtask::App app;
  shop::add_tasks(app, post);
  return app.run(argc, argv);
}
