// Every function of the schema, called with what its parameters' types admit: it answers, or says in an error
// of its own what is wrong. An error of the server's machinery (overflow, a cast, "unexpected null") is none.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/integration/session.h"
#include "tests/support/database.h"

namespace postpone::tests {
namespace {

// By type. The first is what a sensible caller says.
const std::map<std::string, Values>& values() {
  static const std::map<std::string, Values> all = {
      {"bigint", {"1", "NULL", "0", "'-1'", "2", "3", "4", "9223372036854775807", "'-9223372036854775808'"}},
      {"integer", {"1", "NULL", "0", "'-1'", "2147483647", "'-2147483648'"}},
      {"double precision",
       {"'1'", "NULL", "'0'", "'-1'", "'1e300'", "'-1e300'", "'4.9e-324'", "'NaN'", "'Infinity'",
        "'-Infinity'"}},
      {"boolean", {"true", "false", "NULL"}},
      {"text",
       {"'retry'", "NULL", "''", "repeat('x', 100)", "repeat(U&'\\+01F600', 128)", "U&'\\202E\\FFFF'",
        "E'\\n\\\\'"}},
      {"character varying",
       {"'q'", "NULL", "''", "repeat('x', 128)", "repeat(U&'\\20AC', 128)", "U&'\\202E\\FFFF'"}},
      {"timestamp with time zone",
       {"now()", "NULL", "'infinity'", "'-infinity'", "'294276-12-31 23:59:59.999999+00'",
        "'4714-11-24 00:00:00+00 BC'", "'3000-01-01'"}},
      {"jsonb",
       {R"('[{"job_id": 2, "attempt": 1, "action": "succeed"}]')",
        "NULL",
        "'[]'",
        "'{}'",
        "'null'",
        "'1'",
        R"('"x"')",
        "'[null]'",
        "'[1]'",
        "'[{}]'",
        "'[[]]'",
        R"('[{"job_id": null, "attempt": null, "action": null}]')",
        R"('[{"job_id": 2, "attempt": 1, "action": "retry", "retry_in": 1e300}]')",
        R"('[{"job_id": 2, "attempt": 1, "action": "retry", "retry_in": -1e300}]')",
        R"('[{"job_id": 2, "attempt": 1, "action": "retry", "new_priority": null, "new_queue": "", "new_lock": ""}]')",
        R"('[{"job_id": 3, "attempt": 2147483647, "action": "fail", "delete_job": true}]')",
        R"('[{"job_id": 3, "attempt": 2147483647, "action": "release"}]')",
        R"('[{"job_id": 3, "attempt": -2147483648, "action": "succeed"}]')",
        R"('[{"job_id": 2, "attempt": 1, "action": "succeed", "defers": [{"task": "t", "delay": 1e300}]}]')",
        R"('[{"job_id": 2, "attempt": 1, "action": "succeed", "defers": [{"task": null}]}]')",
        R"('[{"job_id": 2, "attempt": 1, "action": "succeed", "defers": 7}]')",
        R"('[{"job_id": 2, "attempt": 1, "action": "succeed", "result": null, "progress": {}}]')",
        R"('[{"job_id": 2, "attempt": 1, "action": "succeed", "result": [], "progress": 7}]')",
        R"('[{"job_id": 2, "attempt": 1, "action": "succeed", "defers": [null]}]')"}},
      {"json", {"'{\"a\": 1}'", "NULL", "'[]'", "'null'", "'1'", "'{\"a\": 1, \"a\": 2}'"}},
      {"jsonb[]", {"ARRAY['{\"a\": 1}']", "NULL", "'{}'", "'{NULL}'", "ARRAY['null', '[]', '1']"}},
      {"boolean[]", {"'{true}'", "NULL", "'{}'", "'{NULL,false}'"}},
      {"timestamp with time zone[]",
       {"'{2040-01-01}'", "NULL", "'{}'", "'{NULL,infinity,-infinity}'", "'{294276-12-31}'"}},
      {"bigint[]",
       {"'{1,2}'", "NULL", "'{}'", "'{NULL}'", "'{{1,2},{3,NULL}}'", "'[5:6]={1,2}'",
        "'{9223372036854775807}'"}},
      {"integer[]", {"'{1,1}'", "NULL", "'{}'", "'{NULL}'", "'{2147483647}'"}},
      {"double precision[]", {"'{1,1}'", "NULL", "'{}'", "'{NULL}'", "'{NaN,Infinity}'"}},
      {"text[]", {"'{l}'", "NULL", "'{}'", "'{NULL}'", "'{{a,b},{\"\",NULL}}'"}},
      {"character varying[]", {"'{q}'", "NULL", "'{}'", "'{NULL}'", "'{{a,b},{\"\",q}}'", "'[5:6]={a,q}'"}},
      {"procrastinate_job_status",
       {"'succeeded'", "NULL", "'todo'", "'doing'", "'failed'", "'cancelled'", "'aborting'", "'aborted'"}},
      {"postpone_parking", {"'time'", "NULL", "'lock'"}},
      {"postpone_action", {"'succeed'", "NULL", "'fail'", "'abort'", "'retry'", "'release'"}},
      {"procrastinate_job_status[]", {"'{doing}'", "NULL", "'{}'", "'{NULL}'", "'{todo,failed}'"}},
      {"procrastinate_jobs",
       {"(SELECT job FROM procrastinate_jobs AS job WHERE id = 2)", "NULL",
        "(SELECT job FROM procrastinate_jobs AS job WHERE id = 3)"}},
      {"procrastinate_job_to_defer_v1[]",
       {"ARRAY[ROW('q', 't', 0, NULL, NULL, '{}', NULL)]", "NULL", "'{}'", "ARRAY[NULL]",
        "ARRAY[ROW(NULL, NULL, NULL, NULL, NULL, NULL, NULL)]",
        "ARRAY[ROW('', '', -2147483648, '', '', 'null', '-infinity')]",
        "ARRAY[ROW('q', 't', 2147483647, NULL, NULL, '[]', '294276-12-31')]"}}};
  return all;
}

struct Call {
  std::string text, sqlstate, message;
};

// The errors that a caller may get: our own words, or what a column or a constraint does not admit.
const std::set<std::string>& own_errors() {
  static const std::set<std::string> states = {"P0001",  // raise_exception
                                               "22004",  // null_value_not_allowed
                                               "22023",  // invalid_parameter_value
                                               "22001",  // string_data_right_truncation: a name is too long
                                               "0A000",  // feature_not_supported: an array of arrays
                                               "2201W",  // invalid_row_count_in_limit_clause
                                               "23502", "23503", "23505"};
  return states;
}

class HostileCalls : public testing::Test {
 protected:
  HostileCalls() {
    // Worker 1 is ours, 2 is Python's. Jobs: 1 waits, 2 and 3 run under 1, 4 has failed.
    session_.rows(
        "SELECT postpone_register_worker('s', 'h', 'n', 1); SELECT procrastinate_register_worker_v1();"
        "INSERT INTO procrastinate_jobs (queue_name, task_name, lock, queueing_lock, status, attempts, "
        "worker_id) VALUES"
        " ('q', 't', 'l', 'ql', 'todo', 0, NULL), ('q', 't', 'l', 'ql', 'doing', 0, 1),"
        " ('q', 't', NULL, 'ql', 'doing', 2147483647, 1), ('q', 't', NULL, NULL, 'failed', 2147483647, "
        "NULL)");
  }

  struct Function {
    std::string name;
    Values types;
  };
  std::vector<Function> functions() {
    std::vector<Function> all;
    // By oid: two functions may share a name.
    std::istringstream oids(
        session_.value("SELECT string_agg(oid::bigint::text, ' ' ORDER BY proname, oid) FROM pg_proc WHERE "
                       "pronamespace = 'public'::regnamespace AND "
                       "proname ~ '^(procrastinate|postpone)_' AND prorettype <> 'trigger'::regtype"
                       " AND proname <> 'postpone_refuse_to_wait'"));  // raises whatever it is given
    for (std::string oid; oids >> oid;) {
      all.push_back(
          {session_.value("SELECT proname FROM pg_proc WHERE oid = " + oid),
           session_.rows("SELECT format_type(type, NULL) FROM pg_proc, unnest(proargtypes) WITH ORDINALITY "
                         "AS argument (type, n) WHERE pg_proc.oid = " +
                         oid + " ORDER BY n")});
    }
    return all;
  }

  void call(const Function& function, const Values& arguments) {
    std::string text = "SELECT * FROM " + function.name + "(";
    for (std::size_t i = 0; i < arguments.size(); ++i)
      text += (i > 0 ? ", " : "") + arguments[i] + "::" + function.types[i];
    text += ")";
    try {
      session_.rows("BEGIN");
      session_.rows(text);
    } catch (const SqlError& error) {
      EXPECT_TRUE(own_errors().contains(error.sqlstate)) << text << "\n"
                                                         << error.sqlstate << " " << error.message;
    }
    session_.rows("ROLLBACK");
    ++calls_;
  }

  const TestDatabase database_;
  Session session_{database_};
  int calls_ = 0;
};

TEST_F(HostileCalls, EachParameterByItself) {
  for (const Function& function : functions()) {
    Values sensible;
    for (const std::string& type : function.types) {
      ASSERT_TRUE(values().contains(type)) << function.name << " takes " << type;
      sensible.push_back(values().at(type).front());
    }
    for (std::size_t i = 0; i < sensible.size(); ++i) {
      for (const std::string& value : values().at(function.types[i])) {
        Values arguments = sensible;
        arguments[i] = value;
        call(function, arguments);
      }
    }
  }
  EXPECT_GT(calls_, 500);
}

TEST_F(HostileCalls, AnyOfThemTogether) {
  constexpr std::uint64_t kSeed = 1;
  SCOPED_TRACE("seed " + std::to_string(kSeed));
  std::mt19937_64 random(kSeed);
  for (const Function& function : functions()) {
    for (int i = 0; i < 40 && !function.types.empty(); ++i) {
      Values arguments;
      for (const std::string& type : function.types)
        arguments.push_back(values().at(type)[random() % values().at(type).size()]);
      call(function, arguments);
    }
  }
}

}  // namespace
}  // namespace postpone::tests
