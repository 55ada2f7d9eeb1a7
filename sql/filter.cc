#include "sql/filter.h"

namespace postpone::sql {

Where where_of(const JobFilter& filter) {
  Where where;
  where.equals("j.id", filter.id);
  where.equals("j.queue_name", filter.queue);
  where.equals("j.task_name", filter.task);
  where.equals("j.lock", filter.lock);
  where.equals("j.queueing_lock", filter.queueing_lock);
  where.equals("j.worker_id", filter.worker_id);
  where.is_any_of("j.status", filter.statuses);
  return where;
}

}  // namespace postpone::sql
