// The error with which the database, or the code in front of it, refuses something.
#pragma once

#include <gtest/gtest.h>

#include "sql/error.h"

namespace postpone::tests {

// The DatabaseError that `work` throws; a failure of the test when it throws none.
template <class Work>
sql::DatabaseError error_of(Work work) {
  try {
    work();
  } catch (const sql::DatabaseError& error) {
    return error;
  }
  ADD_FAILURE() << "nothing was thrown";
  return {sql::Remedy::bug, ""};
}

}  // namespace postpone::tests
