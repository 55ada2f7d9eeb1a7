#!/usr/bin/env python3
"""web_browser.py BUILD-DIRECTORY [PICTURES-DIRECTORY]

Opens each page of postpone-web in Chromium: at 375 and 1440 pixels, with JavaScript and without. No page may scroll sideways, none
may leave an error in the console, and no text of a job may become a script. With PICTURES-DIRECTORY it writes the screenshots
of docs/web.md instead.

With POSTPONE_AXE, the path of axe.min.js (`npm pack axe-core` has it as package/axe.min.js), each page is also judged by axe-core, and
may have no fault that it calls serious or critical.

Wants chromium, chromium-driver and python3-selenium; where one of them is missing it says so and ends with 77.
"""
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import time
import uuid

WIDTHS = (375, 1440)
HOSTILE = "\"><script>alert(1)</script><img src=x onerror=alert(1)>\u202e' onload='x"
LONG = "com.example.integrations.accounting.datev.export.monthly.ClosingBalanceReconciliation"


def missing(what):
    print(f"skipped: no {what}; scripts/install-dependencies chromium chromium-driver python3-selenium installs what is missing")
    sys.exit(77)


try:
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
except ImportError:
    # The package is for the distribution's own Python, and another one may come first in PATH.
    if sys.executable == "/usr/bin/python3" or not os.path.exists("/usr/bin/python3"):
        missing("python3-selenium")
    os.execv("/usr/bin/python3", ["/usr/bin/python3", "-B", *sys.argv])


class Database:
    def __init__(self, build):
        self.server = os.environ["POSTPONE_TEST_SERVER"]
        self.name = f"web_{uuid.uuid4().hex[:12]}"
        self.sql(f"CREATE DATABASE {self.name} TEMPLATE template0 ENCODING 'UTF8'", self.server)
        self.url = f"{self.server} dbname={self.name}"
        subprocess.run([build / "bin/postpone", "schema", "apply", "--database-url", self.url], check=True, stdout=subprocess.DEVNULL)

    def sql(self, text, url=None, **variables):
        options = [word for name, value in variables.items() for word in ("-v", f"{name}={value}")]
        return subprocess.run(["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", *options, url or self.url], input=text, check=True,
                              capture_output=True, text=True).stdout.strip()

    def drop(self):
        self.sql(f"DROP DATABASE IF EXISTS {self.name} WITH (FORCE)", self.server)


FILL = """
INSERT INTO procrastinate_workers (last_heartbeat)
SELECT now() + CASE WHEN n = 5 THEN interval '-2 minutes' ELSE interval '1 hour' END FROM generate_series(1, 14) AS n;
INSERT INTO postpone_workers (worker_id, supervisor, host, name, pid, queues)
SELECT n, 'app-' || n % 3 || ':221:17', 'app-' || n % 3, 'default/' || n, 200 + n, ARRAY['mail', 'invoices'] FROM generate_series(1, 12) AS n;
INSERT INTO procrastinate_jobs (queue_name, task_name, lock, args, status, attempts)
SELECT (ARRAY['mail', 'invoices', 'exports'])[1 + n % 3], (ARRAY['mail.send', 'invoice.render', :'long'])[1 + n % 3],
       CASE WHEN n % 4 = 0 THEN 'customer:' || n END, jsonb_build_object('invoice_id', 90071992547409931 + n, 'locale', 'de-DE'),
       (CASE WHEN n % 9 = 1 THEN 'failed' ELSE 'succeeded' END)::procrastinate_job_status, 1 FROM generate_series(1, 400) AS n;
INSERT INTO procrastinate_events (job_id, type, at)
SELECT id, type::procrastinate_job_event_type, now() - (401 - id) * interval '9 s' + i * interval '700 ms' FROM procrastinate_jobs,
       LATERAL (VALUES (0, 'deferred'), (1, 'started'), (2, status::text)) AS event (i, type) ORDER BY id, i;
INSERT INTO postpone_attempts (job_id, attempt, cause, signal, message, stderr_tail, run_time, cpu_time, max_rss, worker_name, ended_at)
SELECT id, 1, (CASE WHEN status = 'failed' THEN 'signalled' ELSE 'succeeded' END)::postpone_cause,
       CASE WHEN status = 'failed' THEN 11 END, CASE WHEN status = 'failed' THEN 'killed by signal 11 (Segmentation fault)' END,
       CASE WHEN status = 'failed' THEN E'font cache miss: NotoSerif-Italic\\nSegmentation fault in layout::shape(Run const&)' END,
       0.2 + id % 40 / 20.0, 0.1, 40000000 + id * 10000, 'default/' || id % 12, now() - (401 - id) * interval '9 s' + interval '1.4 s'
FROM procrastinate_jobs;
INSERT INTO procrastinate_jobs (queue_name, task_name, lock, args, scheduled_at, parked)
SELECT 'exports', :'long', CASE WHEN n % 3 = 0 THEN 'customer:4711/region:eu-central-1/warehouse:hamburg-altona/shipment:2026-000017' END,
       jsonb_build_object('period', '2026-10'), CASE WHEN n % 5 = 1 THEN now() + n * interval '10 min' END,
       (CASE WHEN n % 3 = 0 THEN 'lock' WHEN n % 5 = 1 THEN 'time' END)::postpone_parking FROM generate_series(1, 60) AS n;
INSERT INTO procrastinate_jobs (queue_name, task_name, args, status, worker_id, lock)
SELECT 'invoices', 'invoice.render', '{"kind": "stock"}', 'doing', n,
       CASE WHEN n = 1 THEN 'customer:4711/region:eu-central-1/warehouse:hamburg-altona/shipment:2026-000017' END FROM generate_series(1, 6) AS n;
INSERT INTO procrastinate_jobs (queue_name, task_name, lock, args, status, attempts)
VALUES (left(:'hostile', 128), left(:'hostile', 128), :'hostile', jsonb_build_object(:'hostile', :'hostile'), 'failed', 1);
INSERT INTO procrastinate_events (job_id, type, at)
SELECT id, 'deferred', now() - interval '4 min' FROM procrastinate_jobs WHERE id > 400;
INSERT INTO procrastinate_events (job_id, type, at)
SELECT id, 'started', now() - id % 100 * interval '7 s' FROM procrastinate_jobs WHERE status = 'doing';
INSERT INTO procrastinate_events (job_id, type) SELECT max(id), 'failed' FROM procrastinate_jobs;
INSERT INTO postpone_attempts (job_id, attempt, cause, exception_type, message, stderr_tail, worker_name)
SELECT max(id), 1, 'exception', :'hostile', :'hostile', :'hostile', :'hostile' FROM procrastinate_jobs;
INSERT INTO postpone_results (job_id, attempt, progress_done, progress_total, progress_note)
SELECT id, 1, 34 + id % 50, 100, 'pages' FROM procrastinate_jobs WHERE status = 'doing';
INSERT INTO postpone_schedules (task_name, periodic_id, cron, zone, missed, missed_within, queue_name, priority, args, since, announced_at,
                                announced_by, last_tick, last_job_id, paused_at)
VALUES ('cache.sweep', '', '*/5 * * * *', 'UTC', 'skip', 60, 'default', 0, '{}', now(), now(), 'app-1:221:17', now() - interval '2 min', 4, NULL),
       ('report.build', 'nightly', '0 3 * * *', 'Europe/Berlin', 'last', 60, 'reports', 0, '{}', now(), now(), 'app-1:221:17', NULL, NULL, now()),
       ('gdpr.erase', '', '@daily', 'UTC', 'skip', 60, 'default', 0, '{}', now(), now() - interval '2 days', 'app-9:1:1', NULL, NULL, NULL);
ANALYZE procrastinate_jobs;
"""


class Web:
    def __init__(self, build, url):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{probe.getsockname()[1]}"
        self.program = subprocess.Popen([build / "bin/postpone-web", "--listen", self.address, "--log-level", "warning"],
                                        env={**os.environ, "POSTPONE_DATABASE_URL": url})
        host, port = self.address.split(":")
        for _ in range(200):
            with socket.socket() as client:
                if client.connect_ex((host, int(port))) == 0:
                    return
            time.sleep(0.05)
        sys.exit("postpone-web does not listen")

    def stop(self):
        self.program.terminate()
        self.program.wait()


def browser(width, has_script, is_dark=False):
    options = Options()
    options.binary_location = shutil.which("chromium") or missing("chromium")
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
                     f"--window-size={width},1000"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    if not has_script:
        options.add_experimental_option("prefs", {"profile.managed_default_content_settings.javascript": 2})
    driver = webdriver.Chrome(service=Service(shutil.which("chromedriver") or missing("chromium-driver")), options=options)
    # A window is never narrower than 500 pixels; what it shows may be.
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": False})
    if is_dark:
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark"}]})
    return driver


def content_width(driver):
    return driver.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]["width"]


FAULTS = []


def check(is_right, what):
    if not is_right:
        print(f"WRONG: {what}", flush=True)
        FAULTS.append(what)


def judge(driver, axe, where):
    driver.execute_script(axe)
    faults = driver.execute_async_script(
        "const done = arguments[0]; axe.run().then((found) => done(found.violations"
        ".filter((one) => ['serious', 'critical'].includes(one.impact)).map((one) => `${one.id}: ${one.nodes[0].html}`)))")
    check(not faults, f"{where}: {faults}")


def look_at(driver, url, width, has_script):
    where = f"{url} at {width} {'with' if has_script else 'without'} JavaScript"
    driver.get(url)
    check(content_width(driver) <= width, f"{where}: it is {content_width(driver)} wide")
    check(driver.find_elements(By.TAG_NAME, "h1"), f"{where}: no heading")
    check(not driver.find_elements(By.CSS_SELECTOR, "main script, main img, [onload], [onerror]"), f"{where}: a text became markup")
    log = [entry["message"] for entry in driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
    check(not log, f"{where}: {log}")


def try_keys(driver, root):
    driver.get(f"{root}/jobs")
    body = driver.find_element(By.TAG_NAME, "body")
    body.send_keys("/")
    check(driver.switch_to.active_element.get_attribute("name") == "q", "/ does not lead to the search")
    driver.switch_to.active_element.send_keys(Keys.ESCAPE)
    body.send_keys("j", "j")
    check(len(driver.find_elements(By.CSS_SELECTOR, "tr.cur")) == 1, "j chooses no row")
    driver.find_element(By.TAG_NAME, "body").send_keys("g", "w")
    for _ in range(50):
        if driver.current_url.endswith("/workers"):
            break
        time.sleep(0.1)
    check(driver.current_url.endswith("/workers"), "g w does not lead to the workers")


def try_live(driver, root, database):
    driver.get(f"{root}/jobs")
    for _ in range(100):
        if driver.find_element(By.CSS_SELECTOR, "[data-state]").text == "Live":
            break
        time.sleep(0.1)
    database.sql("INSERT INTO procrastinate_jobs (queue_name, task_name) VALUES ('mail', 'brand.new')")
    for _ in range(150):
        if "brand.new" in driver.find_element(By.TAG_NAME, "main").text:
            return
        time.sleep(0.1)
    check(False, "a new job does not come into a page that is open")


def try_themes(driver, root):
    driver.get(f"{root}/theme?theme=dark&back=%2Fqueues")
    check(driver.current_url.endswith("/queues"), "the way back from a change of theme leads elsewhere")
    check(driver.find_element(By.TAG_NAME, "html").get_attribute("data-theme") == "dark", "the theme is not kept")


def pages_of(database):
    last = int(database.sql("SELECT max(id) FROM procrastinate_jobs"))
    waiting, running = (database.sql(f"SELECT min(id) FROM procrastinate_jobs WHERE {condition}")
                        for condition in ("status = 'todo' AND lock IS NOT NULL", "status = 'doing'"))
    return ["/", "/jobs", "/jobs?status=failed", "/jobs?status=running", "/jobs?q=task:nothing", "/jobs?q=-task:mail.*+lock:customer:*",
            "/jobs/1", "/jobs/10", f"/jobs/{waiting}", f"/jobs/{running}", f"/jobs/{last}", "/failures", "/queues", "/tasks", "/locks",
            "/schedules", "/workers"]


def take_pictures(root, database, directory):
    waiting = database.sql("SELECT min(id) FROM procrastinate_jobs WHERE status = 'todo' AND lock IS NOT NULL")
    for name, page, width, is_dark in (("web-overview", "/", 1440, False), ("web-overview-dark", "/", 1440, True), ("web-jobs", "/jobs", 1440, False),
                                       ("web-job", "/jobs/10", 1440, False), ("web-job-waiting-narrow", f"/jobs/{waiting}", 375, False)):
        driver = browser(width, True, is_dark)
        driver.get(root + page)
        driver.save_screenshot(f"{directory}/{name}.png")
        driver.quit()


def try_axe(root, database):
    path = os.environ.get("POSTPONE_AXE")
    if not path:
        print("axe-core was not asked: POSTPONE_AXE names no file", flush=True)
        return
    axe = pathlib.Path(path).read_text()
    for width, is_dark in ((1440, False), (375, True)):
        driver = browser(width, True, is_dark)
        try:
            for page in pages_of(database):
                driver.get(root + page)
                judge(driver, axe, f"{page} at {width}")
        finally:
            driver.quit()


def try_everything(root, empty_root, database):
    for width in WIDTHS:
        for has_script in (True, False):
            driver = browser(width, has_script)
            try:
                for page in pages_of(database):
                    look_at(driver, root + page, width, has_script)
                for page in ("/", "/jobs", "/workers", "/schedules"):
                    look_at(driver, empty_root + page, width, has_script)
            finally:
                driver.quit()
    driver = browser(1440, True)
    try:
        try_keys(driver, root)
        try_live(driver, root, database)
        try_themes(driver, root)
    finally:
        driver.quit()
    try_axe(root, database)


def main():
    for program in ("chromium", "chromedriver", "psql"):
        if not shutil.which(program):
            missing(program)
    build = pathlib.Path(sys.argv[1])
    database, empty = Database(build), Database(build)
    webs = []
    try:
        is_for_pictures = len(sys.argv) > 2
        database.sql(FILL, hostile="webhook.deliver" if is_for_pictures else HOSTILE, long=LONG)
        webs = [Web(build, database.url), Web(build, empty.url)]
        root, empty_root = (f"http://{web.address}" for web in webs)
        if is_for_pictures:
            take_pictures(root, database, sys.argv[2])
        else:
            try_everything(root, empty_root, database)
    finally:
        for web in webs:
            web.stop()
        database.drop()
        empty.drop()
    sys.exit(1 if FAULTS else 0)


if __name__ == "__main__":
    main()
