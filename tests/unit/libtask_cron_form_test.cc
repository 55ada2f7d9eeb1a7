#include "libtask/src/cron_form.h"

#include <gtest/gtest.h>

namespace libtask::detail {
namespace {

TEST(CronForm, CommonSchedulesPass) {
  for (const char* cron :
       {"* * * * *", "*/5 * * * *", "0 3 1,15 * *", "0 9-17/2 * jan-mar mon-FRI", "5/10 * * * *",
        "0 0 1 1 0 30", "* * * * * */10", " 0  4 * * 7 ", "@hourly", "@annually"}) {
    EXPECT_EQ(cron_fault(cron), "") << cron;
  }
}

TEST(CronForm, NumberOfFieldsIsTold) {
  EXPECT_EQ(cron_fault(""), "it needs five fields (or six, seconds last), not 0");
  EXPECT_EQ(cron_fault("* * * *"), "it needs five fields (or six, seconds last), not 4");
  EXPECT_EQ(cron_fault("@often"), "it needs five fields (or six, seconds last), not 1");
}

TEST(CronForm, FieldThatIsWrongIsNamed) {
  EXPECT_EQ(cron_fault("60 * * * *"), "\"60\" cannot be its minute (0 to 59)");
  EXPECT_EQ(cron_fault("* 24 * * *"), "\"24\" cannot be its hour (0 to 23)");
  EXPECT_EQ(cron_fault("* * 0 * *"), "\"0\" cannot be its day of month (1 to 31)");
  EXPECT_EQ(cron_fault("* * * 13 *"), "\"13\" cannot be its month (1 to 12)");
  EXPECT_EQ(cron_fault("* * * * 8"), "\"8\" cannot be its day of week (0 to 7)");
  EXPECT_EQ(cron_fault("* * * * * 61"), "\"61\" cannot be its second (0 to 59)");
}

TEST(CronForm, ItemsWithoutSenseAreRefused) {
  for (const char* cron :
       {"a * * * *", "1- * * * *", "-1 * * * *", "5-1 * * * *", "*/0 * * * *", "*/ * * * *", "*/2/3 * * * *",
        "1,,2 * * * *", "mon * * * *", "1-2-3 * * * *", "99999999999 * * * *"}) {
    EXPECT_NE(cron_fault(cron), "") << cron;
  }
}

}  // namespace
}  // namespace libtask::detail
